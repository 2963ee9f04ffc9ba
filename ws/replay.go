package ws

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// replays is the members of a session that are behind their channels. One
// goroutine a session brings them up, one after another, as fast as the client
// reads: a page is read when there is room for it, and not before.
type replays struct {
	mu      sync.Mutex // guards the rest
	waiting []*member
	running bool
	worker  sync.WaitGroup
}

// follow has m brought up to its channel. The reader calls it.
func (s *Session) follow(m *member) {
	r := &s.seldom().replays
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.waiting, m) {
		r.waiting = append(r.waiting, m)
	}
	if !r.running {
		r.running = true
		r.worker.Go(func() { s.replayAll(r) })
	}
}

// next takes the first who waits, or ends the worker.
func (r *replays) next() *member {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		r.running = false
		return nil
	}
	m := r.waiting[0]
	r.waiting = r.waiting[1:]
	return m
}

func (s *Session) replayAll(r *replays) {
	for m := r.next(); m != nil; m = r.next() {
		if err := s.replay(s.lifetime(), m); err != nil && s.lifetime().Err() == nil && !errors.Is(err, errFinished) {
			s.hub().opts.Logger.Error("a replay failed", "channel", m.channel.name, "client", s.clientID, "error", err)
			s.Close(CloseTryLater, "missed messages cannot be read now") // and its since brings them later
		}
	}
}

// replay gives m the pages between it and its channel, until it is live.
func (s *Session) replay(ctx context.Context, m *member) error {
	c := m.channel
	for {
		if err := s.await(ctx, s.hub().roomBytes()); err != nil {
			return err
		}
		seq, at, behind := m.place()
		if !behind {
			return nil
		}
		page, err := s.hub().pages.between(ctx, c.name, seq, at.Seq)
		switch {
		case err != nil:
		case page.Epoch != at.Epoch: // the channel begins anew
			err = s.hub().advance(ctx, c)
		case page.follows(seq):
			m.take(seq, page)
		default:
			err = s.startOver(ctx, m, at)
		}
		if err != nil {
			return err
		}
	}
}

// place tells how far m and its channel are, and whether m is behind at all.
func (m *member) place() (seq int64, at Position, behind bool) {
	c := m.channel
	c.mu.Lock()
	defer c.mu.Unlock()
	return m.seq, c.position, !m.live && !m.gone
}

// take sends a page that was read behind seq. A member that has left or begun
// again meanwhile is sent nothing.
func (m *member) take(seq int64, page *Page) {
	c := m.channel
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.gone || m.live || m.seq != seq {
		return
	}
	for i := range page.Messages {
		m.session.push(page.Messages[i].frame())
		m.seq = page.Messages[i].Seq
	}
	m.setLive(m.seq == c.position.Seq)
}

// startOver tells m that it has missed messages for good, and goes on from the
// newest ones up to at.
func (s *Session) startOver(ctx context.Context, m *member, at Position) error {
	c := m.channel
	messages, err := s.hub().newest(ctx, c, at, PageMax)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.gone || m.live || at.Epoch != c.position.Epoch {
		return nil
	}
	s.push(s.lost(c, at, messages))
	m.seq = at.Seq
	m.setLive(m.seq == c.position.Seq)
	return nil
}

// lost is the word that messages up to at are lost, but for the last ones. Who
// may not read them is told no more than that. The caller holds the channel's
// mu.
func (s *Session) lost(c *channel, at Position, last []Message) []byte {
	if !s.may(ActionRead, c.name) {
		return s.subscribed(c, subscription{}, beginning{recovered: new(bool)})
	}
	return s.subscribed(c, subscription{Since: &Position{}}, beginning{Position: at, recovered: new(bool), messages: last})
}
