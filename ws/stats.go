package ws

import (
	"maps"
	"sync"
	"time"
)

// Stats counts what a Hub does. What is counted since the Hub was made only grows.
type Stats struct {
	Sessions      int
	Channels      int   // that somebody is in
	Subscriptions int   // of all sessions together
	QueueBytes    int64 // that wait to be written, of all sessions together

	Received       uint64 // frames from clients but for close frames, since the start
	Deliveries     uint64 // frames of channels, one for each member they went to, since the start
	DeliveredBytes uint64 // of those

	Refused map[string]uint64 // frames that were answered with an error, by its code, since the start
	Closed  map[int]uint64    // sessions that this side closed, by close code, since the start
}

// Observer is told how long things take. It must not block.
type Observer interface {
	// Published is the time from a message's arrival until the members of its
	// channel on this node have been given it.
	Published(took time.Duration)
	// Acked is the time from a message's arrival until its sender has been given
	// the answer.
	Acked(took time.Duration)
}

// noObserver is told nothing.
type noObserver struct{}

func (noObserver) Published(time.Duration) {}
func (noObserver) Acked(time.Duration)     {}

// counts are what happens seldom enough to be counted under a lock.
type counts struct {
	mu      sync.Mutex // guards the rest
	refused map[string]uint64
	closed  map[int]uint64
}

func newCounts() *counts {
	return &counts{refused: make(map[string]uint64), closed: make(map[int]uint64)}
}

func (c *counts) refuse(code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[code]++
}

func (c *counts) close(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed[code]++
}

// Stats are what has been counted so far.
func (h *Hub) Stats() Stats {
	st := Stats{Sessions: h.Sessions(), Subscriptions: int(h.subscriptions.Load())}
	h.mu.RLock()
	st.Channels = len(h.channels)
	h.mu.RUnlock()
	for _, sh := range h.shards {
		st.Received += sh.received.Load()
		sh.mu.Lock()
		st.QueueBytes += sh.queued
		st.Deliveries += sh.deliveries
		st.DeliveredBytes += sh.delivered
		sh.mu.Unlock()
	}
	h.counts.mu.Lock()
	defer h.counts.mu.Unlock()
	st.Refused, st.Closed = maps.Clone(h.counts.refused), maps.Clone(h.counts.closed)
	return st
}
