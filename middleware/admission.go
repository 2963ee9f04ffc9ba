package middleware

import (
	"sync"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
)

// claimWithin bounds the time between the gate's yes and the socket's handler.
// When the client goes away while the upgrade is answered, the handler never
// runs, and nobody else would give the slots back.
const claimWithin = 10 * time.Second

// Admission is the gate's yes: whose socket it is, the user's Limiter, and the
// slots that it takes until Release.
type Admission struct {
	Claims  auth.Claims
	Limiter *ratelimit.Limiter

	expiry  *time.Timer
	release func() // gives everything back, once
}

func newAdmission(claims auth.Claims, limiter *ratelimit.Limiter, release func()) *Admission {
	a := &Admission{Claims: claims, Limiter: limiter, release: sync.OnceFunc(release)}
	a.expiry = time.AfterFunc(claimWithin, a.release)
	return a
}

// AdmissionLocal names the Admission in the Locals that contrib's websocket
// hands on.
const AdmissionLocal = localAdmission

// Claim begins the use of an admission. It tells whether there was still time.
func (a *Admission) Claim() bool { return a.expiry.Stop() }

// Release gives the slots and the Limiter back. Only the first call counts.
func (a *Admission) Release() {
	a.expiry.Stop()
	a.release()
}
