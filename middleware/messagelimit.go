package middleware

import (
	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/ratelimit"
)

// MessageLimit charges a request to its user: as one message, and its body as
// bytes, out of the buckets that the user's sockets spend too. It stands behind
// Bearer and before the body is read; ChargeBody charges what it cannot see.
func MessageLimit(rate ratelimit.Rate, users *ratelimit.Keyed) fiber.Handler {
	told := newToldRate("messages", rate)
	return func(c *fiber.Ctx) error {
		claims, ok := ClaimsOf(c)
		if !ok {
			return ErrNoToken
		}
		limiter := users.Acquire(claims.Subject)
		defer users.Release(limiter)
		declared := max(0, c.Request().Header.ContentLength()) // below 0 without one
		if err := told.charge(c, limiter, 1, float64(declared)); err != nil {
			return err
		}
		c.Locals(localBudget, budget{told, limiter, declared})
		return c.Next()
	}
}

// budget is what the rest of a request is charged to.
type budget struct {
	told    toldRate
	limiter *ratelimit.Limiter
	paid    int // bytes
}

// ChargeBody charges what a body had beyond the Content-Length that
// MessageLimit has charged, which a chunked body does not have.
func ChargeBody(c *fiber.Ctx, size int) error {
	b, ok := c.Locals(localBudget).(budget)
	if !ok || size <= b.paid {
		return nil
	}
	return b.told.charge(c, b.limiter, 0, float64(size-b.paid))
}
