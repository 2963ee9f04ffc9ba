package ws

import (
	"context"
	"errors"
)

// queue.go is what waits to be written to one session: Session.out, and behind it
// what is pending in the parts of its channels. Whoever puts something into out
// first puts in what is pending for the session (settle), so that everything
// goes out in the order in which it was said.

// errFinished: the session is closing, and nobody will read what waits.
var errFinished = errors.New("ws: the socket is closing")

// push queues a whole WebSocket frame, which is the session's own from here on.
// A session whose queue is full is closed: recovery brings the rest later, and
// nobody else waits for it.
func (s *Session) push(frame []byte) {
	s.shard.mu.Lock()
	fits := s.queue(frame, false)
	s.shard.mu.Unlock()
	if !fits {
		s.tooSlow()
	}
}

func (s *Session) tooSlow() { s.finish(CloseTooSlow, "too slow to read", false) }

// queue is push with the shard's mu held. A shared frame is others' too. It tells
// whether there was room; a finished session drops the frame.
func (s *Session) queue(frame []byte, shared bool) bool {
	if s.finished {
		return true
	}
	if !s.settleAll() {
		return false
	}
	if s.out == nil && !shared {
		s.out = frame
		s.shard.queued += int64(len(frame))
	} else if !s.append(frame) {
		return false
	}
	s.markDirty()
	return true
}

// append copies b behind what is in out, where there is room. The caller holds
// the shard's mu.
func (s *Session) append(b []byte) bool {
	limit := s.shard.hub.opts.QueueBytes
	if limit > 0 && len(s.out) > 0 && len(s.out)+len(b) > limit {
		return false
	}
	s.out = append(s.out, b...)
	s.shard.queued += int64(len(b))
	return true
}

// settleAll copies into out what is pending for the session, and tells whether
// there was room. The caller holds the shard's mu.
func (s *Session) settleAll() bool {
	if len(s.shard.parts) == 0 {
		return true
	}
	for _, m := range s.members {
		if !s.settle(m) {
			return false
		}
	}
	return true
}

// settle is settleAll for one member.
func (s *Session) settle(m *member) bool {
	if !m.live || s.finished {
		return true
	}
	p := m.channel.parts[s.shard.number]
	fresh := p.pending[m.offset:]
	if len(fresh) == 0 {
		return true
	}
	if !s.append(fresh) {
		return false
	}
	m.offset = len(p.pending)
	s.markDirty()
	return true
}

// markDirty has the worker write what is in out. The caller holds the shard's mu.
func (s *Session) markDirty() {
	if !s.dirty && !s.blocked {
		s.dirty = true
		s.shard.sessions = append(s.shard.sessions, s)
		s.shard.wakeUp()
	}
}

// takeOut gives the worker what is in out. The caller holds the shard's mu.
func (s *Session) takeOut() []byte {
	taken := s.out
	s.out, s.writing = nil, int32(len(taken))
	s.shard.queued -= int64(len(taken))
	return taken
}

// putBack puts what could not be written before what has come meanwhile. It
// tells whether there was room for more than the rest of the frame that has
// begun: that is kept in any case, and so is everything of a session that is
// finished, to which nothing is added. Where rest is the session's own, it is not
// copied: who reads slowly has it put back again and again. The caller holds the
// shard's mu.
func (s *Session) putBack(rest []byte, own bool) (fits bool) {
	limit := s.shard.hub.opts.QueueBytes
	fits = limit == 0 || s.finished || len(rest)+len(s.out) <= limit || len(rest) <= int(s.partial)
	if !fits {
		rest = rest[:s.partial]
	}
	s.shard.queued += int64(len(rest))
	if !own {
		rest = append(make([]byte, 0, len(rest)+len(s.out)), rest...)
	}
	s.out = append(rest, s.out...)
	return fits
}

// drop forgets what is in out but for the first bytes. The caller holds the
// shard's mu.
func (s *Session) drop(keep int) {
	s.shard.queued -= int64(len(s.out) - keep)
	s.out = s.out[:keep:keep]
	if keep == 0 {
		s.out = nil
	}
}

// remainder is how many bytes of a frame are left in bytes behind n, where
// bytes begins with the last begun bytes of another frame.
func remainder(bytes []byte, begun, n int) int {
	end := begun
	for end < n {
		size, _ := frameSize(bytes[end:])
		end += size
	}
	return end - n
}

// await waits until no more than n bytes wait or are being written. It is for
// those who have much to send and can wait with it.
func (s *Session) await(ctx context.Context, n int) error {
	for {
		room, err := s.look(n)
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look answers nil where there is room or never will be, and otherwise what
// tells that it is worth another look.
func (s *Session) look(n int) (room <-chan struct{}, err error) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	switch {
	case s.finished:
		return nil, errFinished
	case len(s.out)+int(s.writing) <= n:
		return nil, nil
	case s.room == nil:
		s.room = make(chan struct{})
	}
	return s.room, nil
}

// tellRoom wakes those who await. The caller holds the shard's mu.
func (s *Session) tellRoom() {
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}
