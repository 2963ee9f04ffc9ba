package main

import (
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

// Codes that have a series of their own.
var (
	errorCodes = []string{
		ws.CodeBadFrame, ws.CodeUnknownType, ws.CodeBadChannel, ws.CodeForbidden, ws.CodeNotSubscribed, ws.CodeSubscriptionLimit,
		ws.CodeInvalidToken, ws.CodeRateLimited, ws.CodeBusy, ws.CodeUnavailable, ws.CodeUnknown,
	}
	closeCodes = []int{
		ws.CloseNormal, ws.CloseProtocol, ws.CloseInvalidText, ws.CloseTooBig, ws.CloseInternal, ws.CloseRestart, ws.CloseTryLater,
		ws.CloseUnauthorized, ws.CloseForbidden, ws.CloseTooSlow, ws.CloseOverLimit,
	}
)

// snapshot is what one scrape looks at.
type snapshot struct {
	hub     ws.Stats
	log     store.Stats
	storing bool     // the log is not known to fail
	room    capacity // of sockets
}

func (s *snapshot) logUp() float64 {
	if s.storing {
		return 1
	}
	return 0
}

// reading is a metric that is looked up when somebody asks for it.
type reading struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*snapshot) float64
}

// readings implement prometheus.Collector: each scrape looks once.
type readings struct {
	// static after construction
	look            func() snapshot
	single          []reading
	refused, closed *prometheus.Desc // by code
}

func newReadings(look func() snapshot) *readings {
	return &readings{
		look: look,
		single: []reading{
			gauge("connections", "sockets that are open", func(s *snapshot) float64 { return float64(s.hub.Sessions) }),
			gauge("connections_max", "sockets that are let in at most, as limits.connections and the descriptors allow; 0 is without a bound", func(s *snapshot) float64 { return float64(s.room.sockets) }),
			gauge("channels", "channels that somebody is in", func(s *snapshot) float64 { return float64(s.hub.Channels) }),
			gauge("subscriptions", "subscriptions of all sockets together", func(s *snapshot) float64 { return float64(s.hub.Subscriptions) }),
			gauge("queue_bytes", "bytes that wait to be sent, of all sockets together", func(s *snapshot) float64 { return float64(s.hub.QueueBytes) }),
			counter("received_frames_total", "frames from clients, but for close frames", func(s *snapshot) float64 { return float64(s.hub.Received) }),
			counter("deliveries_total", "frames of channels, one for each member that they went to", func(s *snapshot) float64 { return float64(s.hub.Deliveries) }),
			counter("delivered_bytes_total", "bytes of the frames in gatecast_deliveries_total", func(s *snapshot) float64 { return float64(s.hub.DeliveredBytes) }),
			gauge("log_queued_messages", "messages that wait to be stored", func(s *snapshot) float64 { return float64(s.log.Queued) }),
			gauge("log_queued_bytes", "bytes of the messages that wait to be stored", func(s *snapshot) float64 { return float64(s.log.QueuedBytes) }),
			counter("log_failed_messages_total", "messages whose senders were told that they could not be stored, or that nobody knows", func(s *snapshot) float64 { return float64(s.log.Failed) }),
			gauge("log_up", "1 while messages can be stored, 0 while the database does not take them", (*snapshot).logUp),
		},
		refused: desc("refused_frames_total", "frames that were answered with an error, by its code", "code"),
		closed:  desc("closed_connections_total", "sockets that the server closed, by close code", "code"),
	}
}

// Describe implements prometheus.Collector.
func (r *readings) Describe(out chan<- *prometheus.Desc) {
	for _, one := range r.single {
		out <- one.desc
	}
	out <- r.refused
	out <- r.closed
}

// Collect implements prometheus.Collector.
func (r *readings) Collect(out chan<- prometheus.Metric) {
	s := r.look()
	for _, one := range r.single {
		out <- prometheus.MustNewConstMetric(one.desc, one.kind, one.of(&s))
	}
	collectByCode(out, r.refused, s.hub.Refused, errorCodes)
	collectByCode(out, r.closed, s.hub.Closed, closeCodes)
}

// collectByCode gives each known code its counter, and all others one together:
// nobody can make up series.
func collectByCode[C comparable](out chan<- prometheus.Metric, of *prometheus.Desc, counts map[C]uint64, known []C) {
	for _, code := range known {
		out <- prometheus.MustNewConstMetric(of, prometheus.CounterValue, float64(counts[code]), fmt.Sprint(code))
	}
	others := uint64(0)
	for code, n := range counts {
		if !slices.Contains(known, code) {
			others += n
		}
	}
	out <- prometheus.MustNewConstMetric(of, prometheus.CounterValue, float64(others), "other")
}

func gauge(name, help string, of func(*snapshot) float64) reading {
	return reading{desc(name, help), prometheus.GaugeValue, of}
}

func counter(name, help string, of func(*snapshot) float64) reading {
	return reading{desc(name, help), prometheus.CounterValue, of}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}
