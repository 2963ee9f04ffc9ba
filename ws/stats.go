package ws

import "time"

// Stats counts what a Hub does. What is counted since the Hub was made only grows.
type Stats struct {
	Sessions      int
	Channels      int   // that somebody is in
	Subscriptions int   // of all sessions together
	QueueBytes    int64 // that wait to be written, of all sessions together

	Received       uint64 // messages and control frames from clients, since the start
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

// Stats are up to date within a second.
func (h *Hub) Stats() Stats {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return Stats{Sessions: len(h.sessions), Channels: len(h.channels)}
}
