package ws

import (
	"math"
	"sync/atomic"
	"time"

	wire "github.com/gobwas/ws"
)

// sweepPace is the time between two looks at all sessions at least, and so how
// late may come what is due: pings, closes, the ends of tokens.
const sweepPace = 100 * time.Millisecond

// never is later than all else.
const never = time.Duration(math.MaxInt64)

// sweep is the hub's one timer. Where nothing is due it sleeps.
type sweep struct {
	poke    chan struct{} // holds one: something is due sooner than planned
	planned atomic.Int64  // when the next look is, on the hub's clock
}

// watch looks after the sessions until the hub has shut down.
func (h *Hub) watch() {
	timer, summaries := time.NewTimer(sweepPace), time.NewTicker(summaryInterval)
	defer timer.Stop()
	defer summaries.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-summaries.C:
			h.summarise(h.opts.Now())
		case <-h.sweep.poke:
			// Not later than was planned: who pokes all the time must not put it off.
			h.plan(timer, min(time.Duration(h.sweep.planned.Load()), h.elapsed()+sweepPace))
		case <-timer.C:
			h.sweep.planned.Store(int64(never)) // what becomes due meanwhile pokes
			next := h.look()
			h.plan(timer, max(next, h.elapsed()+sweepPace))
		}
	}
}

func (h *Hub) plan(timer *time.Timer, next time.Duration) {
	h.sweep.planned.Store(int64(next))
	timer.Reset(next - h.elapsed())
}

// look has everything done that is due, and answers when the next thing is.
func (h *Hub) look() (next time.Duration) {
	next = never
	now := h.elapsed()
	for _, sh := range h.shards {
		due, later := sh.due(now)
		next = min(next, later)
		for _, s := range due {
			s.onTime(now)
			next = min(next, s.reschedule())
		}
	}
	return next
}

// due gives the sessions that are to be looked at now, and when the next one is.
func (sh *shard) due(now time.Duration) (those []*Session, later time.Duration) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	later = never
	for i := range sh.seats {
		if at := sh.seats[i].due; at > now {
			later = min(later, at)
		} else {
			those = append(those, sh.seats[i].session)
		}
	}
	return those, later
}

// dueBy has the session looked at no later than at. The caller holds the shard's
// mu.
func (s *Session) dueBy(at time.Duration) {
	if s.seat < 0 || at >= s.shard.seats[s.seat].due {
		return
	}
	s.shard.seats[s.seat].due = at
	sweep := &s.hub().sweep
	if int64(at) < sweep.planned.Load() {
		select {
		case sweep.poke <- struct{}{}:
		default:
		}
	}
}

// pulse is what a session has to do with time while it is not closing. It is
// guarded by the shard's mu; times are on the hub's clock.
type pulse struct {
	beat   time.Duration // when to ping, or to see whether the ping was answered
	pinged time.Duration // when it was sent; 0 while no answer is awaited
	expiry time.Duration // when the token ends, or its end is to be told; 0 is never
	warned bool          // its end was told
}

// reschedule notes when the session is to be looked at again.
func (s *Session) reschedule() time.Duration {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	next := s.pulse.beat
	switch {
	case s.over || s.seat < 0:
		next = never
	case s.ending != nil:
		next = s.ending.by
	default:
		if s.pulse.expiry > 0 {
			next = min(next, s.pulse.expiry)
		}
		if s.blocked && s.stalled > 0 {
			next = min(next, s.stalled)
		}
	}
	if s.seat >= 0 {
		s.shard.seats[s.seat].due = next
	}
	return next
}

// onTime does what is due.
func (s *Session) onTime(now time.Duration) {
	s.shard.mu.Lock()
	ending, finished := s.ending, s.finished
	stalled := s.blocked && s.stalled > 0 && now >= s.stalled
	beat := now >= s.pulse.beat
	expiry := s.pulse.expiry > 0 && now >= s.pulse.expiry
	s.shard.mu.Unlock()
	switch {
	case ending != nil && now < ending.by:
	case ending != nil && finished:
		s.cut()
	case ending != nil: // the log owes it answers for too long
		s.finish(ending.code, ending.reason, true)
	case stalled:
		s.finish(CloseTooSlow, "too slow to read", false)
	default:
		if expiry {
			s.expire(now)
		}
		if beat {
			s.beat(now)
		}
	}
}

// beat pings, and closes a peer that has not answered.
func (s *Session) beat(now time.Duration) {
	opts := &s.hub().opts
	s.shard.mu.Lock()
	p := &s.pulse
	pinged, silent := p.pinged, false
	switch {
	case pinged == 0:
		p.pinged, p.beat = now, now+opts.PingTimeout
	case s.busy.Load(): // the answer may be there, unread
		p.beat = now + opts.PingTimeout
	case time.Duration(s.heard.Load()) < pinged:
		silent = true
	default:
		p.pinged, p.beat = 0, now+opts.PingInterval-opts.PingTimeout
	}
	s.shard.mu.Unlock()
	switch {
	case silent:
		s.finish(CloseTooSlow, "no answer to a ping", false)
	case pinged == 0:
		s.push(wireFrame(wire.OpPing, nil))
	}
}

// awaitExpiry begins to look after the token's end, of which the client is warned
// once. A token without an end has none.
func (s *Session) awaitExpiry() {
	end := s.Claims().ExpiresAt
	if end.IsZero() {
		return
	}
	opts := &s.hub().opts
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.pulse.warned = false
	s.pulse.expiry = max(1, s.hub().elapsed()+end.Sub(opts.Now())-opts.ExpiryNotice)
	s.dueBy(s.pulse.expiry)
}

// expire warns the client that its token is about to end, and closes the session
// when it has. A refresh may have come in between, or the clock was put back.
func (s *Session) expire(now time.Duration) {
	end := s.Claims().ExpiresAt
	left := end.Sub(s.hub().opts.Now())
	s.shard.mu.Lock()
	warn := !s.pulse.warned
	s.pulse.warned = true
	s.pulse.expiry = now + max(left, 1)
	s.shard.mu.Unlock()
	if warn {
		s.send(expiryFrame{Type: TypeExpiring, ExpiresAt: timestamp(end)})
	}
	if left <= 0 {
		s.Close(CloseUnauthorized, "the token has expired")
	}
}
