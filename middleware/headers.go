package middleware

import "github.com/gofiber/fiber/v2"

// contentSecurityPolicy lets the page load its own files and talk to its own
// server, and nothing else; there is no inline script or style.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// SecurityHeaders are on every response.
func SecurityHeaders() fiber.Handler {
	headers := [][2]string{
		{fiber.HeaderContentSecurityPolicy, contentSecurityPolicy},
		{fiber.HeaderXContentTypeOptions, "nosniff"},
		{fiber.HeaderReferrerPolicy, "no-referrer"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
	}
	return func(c *fiber.Ctx) error {
		for _, h := range headers {
			c.Set(h[0], h[1])
		}
		if isSecure(c) {
			c.Set(fiber.HeaderStrictTransportSecurity, "max-age=31536000")
		}
		return c.Next()
	}
}

// NoStore keeps answers with secrets out of every cache.
func NoStore() fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderCacheControl, "no-store")
		return c.Next()
	}
}
