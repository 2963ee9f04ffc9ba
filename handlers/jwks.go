package handlers

import (
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/auth"
)

// jwks publishes the keys that our tokens can be verified with (RFC 7517).
func jwks(keys *auth.KeySet) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderCacheControl, fmt.Sprintf("public, max-age=%d", int(keys.JWKSMaxAge().Seconds())))
		return c.JSON(keys.JWKS(), "application/jwk-set+json")
	}
}
