package middleware

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/ratelimit"
)

// Headers of draft-ietf-httpapi-ratelimit-headers-10.
const (
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"
)

// RateLimit charges a request to its address, and tells what is left.
func RateLimit(name string, rate ratelimit.Rate, limiters *ratelimit.Keyed) fiber.Handler {
	told := newToldRate(name, rate)
	return func(c *fiber.Ctx) error {
		if rate.PerSecond == 0 {
			return c.Next()
		}
		limiter := limiters.Acquire(ratelimit.AddressKey(AddressOf(c)))
		defer limiters.Release(limiter)
		if err := told.charge(c, limiter, 1); err != nil {
			return err
		}
		return c.Next()
	}
}

// toldRate is a limit whose first bucket responses tell of.
type toldRate struct {
	name   string
	policy string // empty where the bucket is switched off
}

func newToldRate(name string, rate ratelimit.Rate) toldRate {
	if rate.PerSecond == 0 {
		return toldRate{name: name}
	}
	// The policy is the bucket's size, and the seconds in which an empty one fills.
	window := math.Ceil(float64(rate.Burst) / rate.PerSecond)
	return toldRate{name, fmt.Sprintf("%q;q=%d;w=%s", name, rate.Burst, strconv.FormatFloat(window, 'f', 0, 64))}
}

// charge spends one cost a bucket and tells what is left of the first, or
// answers the refusal.
func (r toldRate) charge(c *fiber.Ctx, limiter *ratelimit.Limiter, costs ...float64) error {
	wait := limiter.Take(costs...)
	tooLarge := wait == ratelimit.Never
	if tooLarge { // asking for it costs as much as any request
		wait = limiter.Take(costs[0])
	}
	left, next := limiter.Left(0)
	r.tell(c, left, next)
	switch {
	case wait > 0 && len(costs) > 1 && float64(left) >= costs[0]: // the first bucket had enough
		return &RateError{Limit: "bytes", Wait: wait}
	case wait > 0:
		return &RateError{Limit: r.name, Wait: wait}
	case tooLarge:
		return ErrOverBurst
	}
	return nil
}

// tell says how many tokens are left, and how long until there is one more.
func (r toldRate) tell(c *fiber.Ctx, left int, next time.Duration) {
	if r.policy != "" {
		c.Set(headerRateLimitPolicy, r.policy)
		c.Set(headerRateLimit, fmt.Sprintf("%q;r=%d;t=%d", r.name, left, WholeSeconds(next)))
	}
}

// WholeSeconds rounds up, so that who waits that long is let in.
func WholeSeconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}
