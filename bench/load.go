package main

import (
	"runtime"
	"time"
)

// load is what a while of a load came to.
type load struct {
	took      time.Duration
	latencies *latencies
	usage     usage
}

func (l load) perSecond() float64 { return float64(l.latencies.count()) / l.took.Seconds() }

// each is CPU time an answer, in microseconds.
func (l load) each(used time.Duration) float64 {
	return float64(used.Nanoseconds()) / 1000 / float64(l.latencies.count())
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// serverCPU is the metric of what an answer costs the server.
const serverCPU = "serverCPUMicros"

// metrics are the columns of a load on a database. In bare the log is a part of
// the bench.
func (l load) metrics(d *database) []metric {
	metrics := l.speed()
	if l.usage.server > 0 {
		metrics = append(metrics, l.server())
	}
	if d.pid != 0 {
		metrics = append(metrics, metric{"databaseCPUMicros", "database us", l.each(l.usage.database)})
	}
	return append(metrics, l.machine()...)
}

func (l load) speed() []metric {
	return []metric{
		{"perSecond", "a second", l.perSecond()},
		{"p50Ms", "p50 ms", milliseconds(l.latencies.quantile(0.5))},
		{"p99Ms", "p99 ms", milliseconds(l.latencies.quantile(0.99))},
	}
}

func (l load) server() metric { return metric{serverCPU, "server us", l.each(l.usage.server)} }

func (l load) machine() []metric {
	return []metric{{"benchCPUMicros", "bench us", l.each(l.usage.generator)}, l.others()}
}

// others is how busy the processors were with something else.
func (l load) others() metric {
	return metric{"othersCPUPercent", "others %", 100 * l.usage.others().Seconds() / l.took.Seconds() / float64(runtime.NumCPU())}
}
