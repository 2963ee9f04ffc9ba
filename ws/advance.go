package ws

import (
	"context"
	"time"
)

// advanceRetry is the wait before a channel reads again from a log that failed.
const advanceRetry = time.Second

// enter gives the channel of that name, made where it is missing, and keeps it
// until leave.
func (h *Hub) enter(ctx context.Context, name string) (*channel, error) {
	h.mu.Lock()
	c := h.channels[name]
	if c == nil {
		c = h.newChannel(name)
		h.channels[name] = c
	}
	c.entered++
	h.mu.Unlock()

	if err := h.open(ctx, c); err != nil {
		h.leave(c)
		return nil, err
	}
	return c, nil
}

func (h *Hub) leave(c *channel) {
	h.mu.Lock()
	c.entered--
	last := c.entered == 0
	if last {
		delete(h.channels, c.name)
	}
	h.mu.Unlock()
	if last && c.keeps && c.isOpened() {
		h.opts.Log.Close(c.name)
	}
}

// open asks the log where a channel is that has just been made. One session
// asks for all.
func (h *Hub) open(ctx context.Context, c *channel) error {
	if c.isOpened() {
		return nil
	}
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.isOpened() {
		return nil
	}
	position, err := h.opts.Log.Open(ctx, c.name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.position, c.opened = position, true
	missing := c.startAdvancing() // what the broker told of meanwhile
	c.mu.Unlock()
	if missing {
		h.goAdvance(c)
	}
	return nil
}

func (c *channel) isOpened() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened
}

// goAdvance reads what the broker lost on a goroutine that Shutdown waits for.
// Whoever calls it has been told to by startAdvancing.
func (h *Hub) goAdvance(c *channel) {
	h.advancing.Go(func() {
		for h.ctx.Err() == nil {
			if err := h.advance(h.ctx, c); err == nil {
				c.mu.Lock()
				c.advancing = false
				again := h.isUsed(c) && c.startAdvancing()
				c.mu.Unlock()
				if !again {
					return
				}
			} else if !h.isUsed(c) {
				return
			} else {
				h.opts.Logger.Error("a channel waits for the log", "channel", c.name, "error", err)
				select {
				case <-h.ctx.Done():
				case <-time.After(advanceRetry):
				}
			}
		}
	})
}

// isUsed tells whether c is still the hub's channel of its name.
func (h *Hub) isUsed(c *channel) bool { return h.channel(c.name) == c }

// advance gives the members what the log has behind the channel's position.
// Any number may do so at once: what one has given the others pass over.
func (h *Hub) advance(ctx context.Context, c *channel) error {
	for {
		page, err := h.opts.Log.Read(ctx, c.name, Span{After: c.place().Seq, Limit: PageMax, Bytes: h.pages.bytes})
		if err != nil {
			return err
		}
		if c.apply(&page) {
			return nil
		}
	}
}
