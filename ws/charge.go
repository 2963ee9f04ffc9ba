package ws

import (
	"fmt"
	"time"

	"github.com/gatecast/gatecast/ratelimit"
)

// frameOverhead is what small frames are charged beside their bytes, so that a
// flood of empty ones is not free.
const frameOverhead = 128

// charge counts a control frame or a piece of a message. Its user's messages do
// not pay for it, and a ping is answered whatever the budget says (RFC 6455,
// 5.5.2), but who floods is closed.
func (s *Session) charge(size int) {
	if s.limiter.Take(0, float64(size+frameOverhead)) > 0 {
		s.violate()
	}
}

// admit charges a frame to its user, or answers the refusal.
func (s *Session) admit(t FrameType, size int) error {
	if t.Forgiving {
		size += frameOverhead
	}
	wait := s.limiter.Take(t.Cost, float64(size))
	if wait == 0 {
		return nil
	}
	// A forgiving type is only a violation when its bytes are too many too:
	// pings that pile up are no attack, a flood of them is.
	if !t.Forgiving || s.limiter.Take(0, float64(size)) > 0 {
		s.violate()
	}
	if wait == ratelimit.Never {
		return &Error{Code: CodeRateLimited, Message: "this frame is larger than your limit can ever hold"}
	}
	return &Error{
		Code: CodeRateLimited, RetryAfter: wait,
		Message: fmt.Sprintf("too much at once; try again in %d ms", wait.Milliseconds()),
	}
}

// violate counts a refusal and closes a session that keeps on.
func (s *Session) violate() {
	if s.seldom().violations.add(s.hub().opts.Now()) {
		s.Close(CloseOverLimit, "kept sending over the limit")
	}
}

// violations remembers the last refusals of a session.
type violations struct {
	limit int         // 0 remembers nothing
	times []time.Time // a ring of limit, made at the first refusal
	next  int
}

// add tells whether limit refusals lie within violationSpan.
func (v *violations) add(now time.Time) bool {
	if v.limit == 0 {
		return false
	}
	if v.times == nil {
		v.times = make([]time.Time, v.limit)
	}
	v.times[v.next] = now
	v.next = (v.next + 1) % v.limit
	oldest := v.times[v.next]
	return !oldest.IsZero() && now.Sub(oldest) <= violationSpan
}
