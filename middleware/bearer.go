package middleware

import (
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/gatecast/gatecast/auth"
)

// Verifier tells what a valid token says.
type Verifier interface {
	Verify(token string) (auth.Claims, error)
}

// Bearer lets through who shows a valid token in the Authorization header, and
// leaves its claims for those behind.
func Bearer(verifier Verifier) fiber.Handler {
	return func(c *fiber.Ctx) error {
		token := bearerHeader(c)
		if token == "" {
			return ErrNoToken
		}
		claims, err := verifier.Verify(token)
		if err != nil {
			return err
		}
		c.Locals(localClaims, claims)
		return c.Next()
	}
}

// bearerHeader is the token of the Authorization header, or empty. The text is
// our own copy: Fiber reuses its buffers.
func bearerHeader(c *fiber.Ctx) string {
	scheme, token, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return utils.CopyString(strings.TrimSpace(token))
}
