package ws

import (
	"sync"
	"time"
)

// expiry is the timer of a session's token.
type expiry struct {
	mu      sync.Mutex // guards the rest
	end     time.Time  // of the token that timer is about
	timer   *time.Timer
	stopped bool
}

// after has do called once after d, for a token that ends at end, in the place
// of what was to be called for that one or for one that ends sooner.
func (e *expiry) after(end time.Time, d time.Duration, do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped || end.Before(e.end) {
		return
	}
	e.end = end
	if e.timer != nil {
		e.timer.Stop()
	}
	e.timer = time.AfterFunc(d, do)
}

func (e *expiry) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	if e.timer != nil {
		e.timer.Stop()
	}
}

// awaitExpiry warns the client before its token ends, and closes the session
// when it does. A token without an end never does.
func (s *Session) awaitExpiry() {
	end := s.Claims().ExpiresAt
	if end.IsZero() {
		return
	}
	s.expiry.after(end, s.until(end)-s.hub.opts.ExpiryNotice, func() {
		if s.Claims().ExpiresAt.Equal(end) { // and was not refreshed just now
			s.send(expiryFrame{Type: TypeExpiring, ExpiresAt: timestamp(end)})
		}
		s.expiry.after(end, s.until(end), s.expire)
	})
}

// expire closes the session, unless a refresh has come in between, or the clock
// was put back since the timer was set.
func (s *Session) expire() {
	end := s.Claims().ExpiresAt
	if left := s.until(end); left > 0 {
		s.expiry.after(end, left, s.expire)
		return
	}
	s.Close(CloseUnauthorized, "the token has expired")
}

func (s *Session) until(end time.Time) time.Duration { return end.Sub(s.hub.opts.Now()) }
