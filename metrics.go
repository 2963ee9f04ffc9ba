package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gatecast/gatecast/config"
	"github.com/gatecast/gatecast/handlers"
	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

// Buckets of the histograms. Times are from 100 us, below which nobody minds, to
// 10 s, when everybody has given up; a batch has 512 messages at most.
var (
	secondsBuckets = []float64{1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	batchBuckets   = prometheus.ExponentialBuckets(1, 2, 10)
)

var (
	_ ws.Observer       = (*meter)(nil)
	_ store.Observer    = (*meter)(nil)
	_ handlers.Observer = (*meter)(nil)
)

// meter is what GET /metrics shows, in a registry of its own. Here is what it is
// told; readings are what it asks for. It is safe for concurrent use.
type meter struct {
	registry *prometheus.Registry

	published, acked   prometheus.Histogram
	batches, commits   prometheus.Histogram
	requests, attempts *prometheus.CounterVec
}

// newMeter makes a meter that nothing has been told yet.
func newMeter() *meter {
	m := &meter{
		registry:  prometheus.NewRegistry(),
		published: histogram("publish_seconds", "from a message's arrival until it was handed to its channel's members", secondsBuckets),
		acked:     histogram("ack_seconds", "from a message's arrival until its sender was answered", secondsBuckets),
		batches:   histogram("log_batch_messages", "messages in a transaction of the log; the count is of transactions, the sum of messages", batchBuckets),
		commits:   histogram("log_commit_seconds", "time that a transaction of the log took", secondsBuckets),
		requests:  counters("http_requests_total", "requests, but for handshakes, by kind of route and the code of the answer: ok, or a problem's", "route", "code"),
		attempts:  counters("handshakes_total", "WebSocket handshakes by the code of the answer: ok is let in", "code"),
	}
	m.registry.MustRegister(m.published, m.acked, m.batches, m.commits, m.requests, m.attempts,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watch adds what each scrape looks for itself.
func (m *meter) watch(look func() snapshot) { m.registry.MustRegister(newReadings(look)) }

// gatherer is what GET /metrics shows where there is such a route, and nil where
// http.metrics says that there is none.
func (m *meter) gatherer(setting string) prometheus.Gatherer {
	if setting == config.MetricsOff {
		return nil
	}
	return m.registry
}

// Published implements ws.Observer.
func (m *meter) Published(took time.Duration) { m.published.Observe(took.Seconds()) }

// Acked implements ws.Observer.
func (m *meter) Acked(took time.Duration) { m.acked.Observe(took.Seconds()) }

// Committed implements store.Observer.
func (m *meter) Committed(messages int, took time.Duration) {
	m.batches.Observe(float64(messages))
	m.commits.Observe(took.Seconds())
}

// Answered implements handlers.Observer.
func (m *meter) Answered(route handlers.Route, code string) {
	if route == handlers.RouteHandshake {
		m.attempts.WithLabelValues(code).Inc()
		return
	}
	m.requests.WithLabelValues(string(route), code).Inc()
}

// namespace begins the name of every metric of ours.
const namespace = "gatecast"

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}
