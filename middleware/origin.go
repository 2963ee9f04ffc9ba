package middleware

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/cors"
)

// Origins are the sites besides our own whose pages may call us. Each is
// spelled as browsers spell it.
type Origins []string

// allow tells whether a request's Origin is our own or listed.
func (o Origins) allow(c *fiber.Ctx, origin string) bool {
	scheme := "http"
	if IsSecure(c) {
		scheme = "https"
	}
	return origin == scheme+"://"+strings.ToLower(string(c.Request().Host())) || slices.Contains(o, origin)
}

// headerOurs is a header that a page of another site cannot send without asking
// first (a preflight), which CORS refuses.
const headerOurs = "X-Gatecast"

// GuardCookie refuses requests that speak by a browser's cookie, or ask for one,
// and may have been made by a page of another site: those without an allowed
// Origin, or where there is none, without the header X-Gatecast.
func (o Origins) GuardCookie(c *fiber.Ctx) error {
	origin := c.Get(fiber.HeaderOrigin)
	switch {
	case origin != "" && !o.allow(c, origin):
		return ErrForeignOrigin
	case origin == "" && c.Get(headerOurs) == "":
		return ErrCookieUse
	}
	return nil
}

// corsMaxAge is how long a browser remembers a preflight's answer, in seconds.
const corsMaxAge = 600

// CORS lets pages of the listed origins read our answers.
func CORS(origins Origins) fiber.Handler {
	return cors.New(cors.Config{
		AllowOriginsFunc: func(origin string) bool { return slices.Contains(origins, origin) },
		AllowMethods:     "GET,POST,PUT,DELETE",
		AllowHeaders:     "Authorization,Content-Type,Idempotency-Key," + headerOurs,
		AllowCredentials: true, // the session cookie, where both are of one site
		ExposeHeaders:    "Retry-After,RateLimit,RateLimit-Policy," + HeaderRequestID,
		MaxAge:           corsMaxAge,
	})
}
