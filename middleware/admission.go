package middleware

import (
	"sync/atomic"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
)

// Admission is the gate's yes: whose socket it is, the user's Limiter, and the
// slots that it holds until Release. It lives as long as the socket.
type Admission struct {
	// static after construction
	Bearer  *auth.Bearer
	Limiter *ratelimit.Limiter

	gate    *Gate
	address string // key of the address's slot

	released atomic.Bool
}

// AdmissionLocal names the Admission in the Locals that contrib's websocket
// hands on.
const AdmissionLocal = "gatecast.admission"

// Release gives the slots and the Limiter back. Only the first call counts. The
// slot in all goes last: when none is held, nothing is.
func (a *Admission) Release() {
	if a.released.Swap(true) {
		return
	}
	a.gate.opts.Users.Release(a.Limiter)
	a.gate.ofUser.Release(a.Bearer.Subject())
	a.gate.ofAddress.Release(a.address)
	a.gate.all.Release("")
}

// admission takes what a socket holds: a slot in all, of its address and of its
// user, and the user's Limiter. Where one is missing it gives back the others.
func (g *Gate) admission(bearer *auth.Bearer, address string) (*Admission, error) {
	if !g.all.Acquire("") {
		return nil, ErrFull
	}
	if !g.ofAddress.Acquire(address) {
		g.all.Release("")
		return nil, ErrTooManyOfAddress
	}
	if !g.ofUser.Acquire(bearer.Subject()) {
		g.ofAddress.Release(address)
		g.all.Release("")
		return nil, ErrTooManyOfUser
	}
	limiter := g.opts.Users.Acquire(bearer.Subject())
	return &Admission{Bearer: bearer, Limiter: limiter, gate: g, address: address}, nil
}
