package middleware

import (
	"net/netip"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/auth"
)

// Names of what middleware leaves in a request's Locals.
const (
	localRequestID = "gatecast.requestID"
	localAddress   = "gatecast.address"
	localSecure    = "gatecast.secure"
	localBearer    = "gatecast.bearer"
	localBudget    = "gatecast.budget"
)

// RequestIDOf is the request's id.
func RequestIDOf(c *fiber.Ctx) string {
	id, _ := c.Locals(localRequestID).(string)
	return id
}

// AddressOf is the client's address as Client found it.
func AddressOf(c *fiber.Ctx) netip.Addr {
	addr, _ := c.Locals(localAddress).(netip.Addr)
	return addr
}

// ClaimsOf are the claims of the token that the request showed, if any.
func ClaimsOf(c *fiber.Ctx) (auth.Claims, bool) {
	if bearer := bearerOf(c); bearer != nil {
		return bearer.Claims(), true
	}
	return auth.Claims{}, false
}

// bearerOf is who has shown a token, or nil.
func bearerOf(c *fiber.Ctx) *auth.Bearer {
	bearer, _ := c.Locals(localBearer).(*auth.Bearer)
	return bearer
}

// IsSecure tells whether the client speaks https, to us or to a trusted proxy.
func IsSecure(c *fiber.Ctx) bool {
	secure, _ := c.Locals(localSecure).(bool)
	return secure
}
