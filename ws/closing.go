package ws

import "time"

// ending is what a session that closes says, and until when what is still to
// happen may take.
type ending struct {
	code   int
	reason string
	by     time.Duration // on the hub's clock
}

// Close sends what is waiting, the answers to what the client has published
// too, and a close frame, and ends the session when the peer has said goodbye or
// CloseTimeout is over. It does not wait for that, and does nothing where the
// session is closing already. What the client sends from now on is dropped.
func (s *Session) Close(code int, reason string) {
	if s.closing.Swap(true) {
		return
	}
	s.shard.mu.Lock()
	if s.ending == nil {
		s.endBy(code, reason) // the log may be long about what it owes
	}
	s.shard.mu.Unlock()
	s.answers.whenSettled(func() { s.finish(code, reason, true) })
}

// endBy notes what a close frame is to say, and that it has CloseTimeout. The
// caller holds the shard's mu.
func (s *Session) endBy(code int, reason string) {
	s.ending = &ending{code, reason, s.hub().elapsed() + s.hub().opts.CloseTimeout}
	s.dueBy(s.ending.by)
}

// finish queues the close frame as the last one, before which flush lets what is
// waiting go out.
func (s *Session) finish(code int, reason string, flush bool) {
	s.closing.Store(true)
	if !s.queueClose(code, reason, flush) {
		return
	}
	s.hub().opts.Logger.Debug("closing a socket", "client", s.clientID, "user", s.bearer.Load().Subject(), "code", code, "reason", reason)
}

// queueClose tells whether this call was the one that finished the session.
func (s *Session) queueClose(code int, reason string, flush bool) bool {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if s.finished || s.over {
		return false
	}
	if !flush || s.abrupt || !s.settleAll() {
		s.abrupt = true
		s.dropUnbegun()
	}
	frame := closeFrame(code, reason)
	s.out = append(s.out, frame...)
	s.shard.queued += int64(len(frame))
	s.finished = true
	s.endBy(code, reason)
	s.tellRoom()
	s.markDirty()
	if !s.bye { // the client's codes are anything
		s.hub().counts.close(code)
	}
	return true
}

// dropUnbegun drops what waits but for the rest of the frame that has begun. The
// caller holds the shard's mu.
func (s *Session) dropUnbegun() {
	if s.writing > 0 {
		s.drop(0) // the frame that has begun is not in out now
	} else {
		s.drop(min(int(s.partial), len(s.out)))
	}
}

// sayGoodbye ends the connection, or our side of it, when the close frame has
// been written and nobody is waited for. The caller holds the shard's mu.
func (s *Session) sayGoodbye() {
	if !s.finished || len(s.out) > 0 || s.writing > 0 || s.conn == nil {
		return
	}
	if s.bye {
		s.conn.Close(false)
	} else if s.half {
		s.half = false
		s.conn.CloseWrite()
	}
}

// cut ends the session at once. What has been written still gets there where it
// was all written.
func (s *Session) cut() {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	(*lifetime)(s).cancel() // whatever a handler waits for
	s.closing.Store(true)
	s.finished = true
	s.tellRoom()
	if s.conn != nil {
		s.conn.Close(len(s.out) > 0 || s.abrupt)
	}
	s.drop(0)
}
