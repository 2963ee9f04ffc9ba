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
	return float64(used.Microseconds()) / float64(l.latencies.count())
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// metrics are the columns that all loads have. In bare the log is a part of the
// bench.
func (l load) metrics(d *database) []metric {
	metrics := []metric{
		{"perSecond", "a second", 0, l.perSecond()},
		{"p50Ms", "p50 ms", 2, milliseconds(l.latencies.quantile(0.5))},
		{"p99Ms", "p99 ms", 2, milliseconds(l.latencies.quantile(0.99))},
	}
	if l.usage.server > 0 {
		metrics = append(metrics, metric{"serverCPUMicros", "server us", 1, l.each(l.usage.server)})
	}
	if d.pid != 0 {
		metrics = append(metrics, metric{"databaseCPUMicros", "database us", 1, l.each(l.usage.database)})
	}
	return append(metrics,
		metric{"benchCPUMicros", "bench us", 1, l.each(l.usage.generator)},
		metric{"othersCPUPercent", "others %", 0, 100 * l.usage.others().Seconds() / l.took.Seconds() / float64(runtime.NumCPU())})
}
