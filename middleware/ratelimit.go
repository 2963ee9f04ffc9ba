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
	policy := policyOf(name, rate)
	return func(c *fiber.Ctx) error {
		if rate.PerSecond == 0 {
			return c.Next()
		}
		limiter, release := limiters.Acquire(ratelimit.AddressKey(AddressOf(c)))
		defer release()
		wait := limiter.Take(1)
		left, next := limiter.Left(0)
		c.Set(headerRateLimitPolicy, policy)
		c.Set(headerRateLimit, fmt.Sprintf("%q;r=%d;t=%d", name, left, WholeSeconds(next)))
		if wait > 0 {
			return &RateError{Limit: name, Wait: wait}
		}
		return c.Next()
	}
}

// policyOf is the RateLimit-Policy of a bucket: its size, and the seconds in
// which an empty one fills.
func policyOf(name string, rate ratelimit.Rate) string {
	window := math.Ceil(float64(rate.Burst) / rate.PerSecond)
	return fmt.Sprintf("%q;q=%d;w=%s", name, rate.Burst, strconv.FormatFloat(window, 'f', 0, 64))
}

// WholeSeconds rounds up, so that who waits that long is let in.
func WholeSeconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}
