package middleware

import "github.com/gofiber/fiber/v2"

// contentSecurityPolicy lets the page load its own files and talk to its own
// server, and nothing else; there is no inline script or style.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// SecurityHeaders are on every response.
func SecurityHeaders() fiber.Handler {
	return func(c *fiber.Ctx) error {
		SetSecurityHeaders(c)
		return c.Next()
	}
}

// SetSecurityHeaders is for responses that no middleware has seen.
func SetSecurityHeaders(c *fiber.Ctx) {
	c.Set(fiber.HeaderContentSecurityPolicy, contentSecurityPolicy)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	if IsSecure(c) {
		c.Set(fiber.HeaderStrictTransportSecurity, "max-age=31536000")
	}
}

// NoStore keeps answers with secrets out of every cache.
func NoStore() fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderCacheControl, "no-store")
		return c.Next()
	}
}
