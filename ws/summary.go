package ws

import (
	"sync"
	"time"
)

// summaryInterval is the time between two summaries of a channel.
const summaryInterval = time.Second

// restless are the channels whose crowds have something to say at the next
// summary. It is safe for concurrent use.
type restless struct {
	mu       sync.Mutex // guards the rest
	channels map[*channel]struct{}
}

// add may be called with the channel's mu held.
func (r *restless) add(c *channel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.channels == nil {
		r.channels = make(map[*channel]struct{})
	}
	r.channels[c] = struct{}{}
}

func (r *restless) take() map[*channel]struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	channels := r.channels
	r.channels = nil
	return channels
}

// noteCrowd sees to it that c is asked at the next summary where it will have
// something to say. The caller holds c.mu.
func (h *Hub) noteCrowd(c *channel) {
	if c.crowd.isRestless() {
		h.restless.add(c)
	}
}

// summarise is to be called once a summaryInterval. Channels at rest cost it
// nothing.
func (h *Hub) summarise(now time.Time) {
	for c := range h.restless.take() {
		if c.summarise(now) {
			h.restless.add(c)
		}
	}
}

// summarise tells the members who came and went, and whether it has to be called
// again although nobody comes or goes.
func (c *channel) summarise(now time.Time) (again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.crowd.summarise(now)
	for _, p := range c.parts {
		if p == nil || len(b.seeing)+len(b.others) == 0 {
			continue
		}
		for _, s := range p.tell(b) {
			s.tooSlow()
		}
	}
	return c.crowd.isRestless()
}

// of is what those are told who may see presence, or those who may not.
func (b bulletin) of(seeing bool) [][]byte {
	if seeing {
		return b.seeing
	}
	return b.others
}
