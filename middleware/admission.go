package middleware

import (
	"sync"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
)

// Admission is the gate's yes: whose socket it is, the user's Limiter, and the
// slots that it holds until Release.
type Admission struct {
	Claims  *auth.Claims
	Limiter *ratelimit.Limiter

	release func() // gives everything back, once
}

// AdmissionLocal names the Admission in the Locals that contrib's websocket
// hands on.
const AdmissionLocal = "gatecast.admission"

// Release gives the slots and the Limiter back. Only the first call counts.
func (a *Admission) Release() { a.release() }

// admission takes what a socket holds: a slot in all, of its address and of its
// user, and the user's Limiter. Where one is missing it gives back the others.
func (g *Gate) admission(claims *auth.Claims, address string) (*Admission, error) {
	var taken []func()
	giveBack := func() {
		for _, release := range taken {
			release()
		}
	}
	for _, slot := range []struct {
		of   *ratelimit.Slots
		key  string
		full error
	}{
		{g.all, "", ErrFull},
		{g.ofAddress, address, ErrTooManyOfAddress},
		{g.ofUser, claims.Subject, ErrTooManyOfUser},
	} {
		if !slot.of.Acquire(slot.key) {
			giveBack()
			return nil, slot.full
		}
		taken = append(taken, func() { slot.of.Release(slot.key) })
	}
	limiter := g.opts.Users.Acquire(claims.Subject)
	taken = append(taken, func() { g.opts.Users.Release(limiter) })
	return &Admission{Claims: claims, Limiter: limiter, release: sync.OnceFunc(giveBack)}, nil
}
