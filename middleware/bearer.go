package middleware

import (
	"context"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/auth"
)

// Verifier tells whose a valid token is.
type Verifier interface {
	// Verify may ask an issuer for its keys; ctx bounds that.
	Verify(ctx context.Context, token string) (*auth.Bearer, error)
}

// Bearer lets through who shows a valid token in the Authorization header, and
// leaves its claims for those behind.
func Bearer(verifier Verifier) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := Authenticate(c, verifier); err != nil {
			return err
		}
		return c.Next()
	}
}

// Authenticate is Bearer for a handler that only sometimes asks for a token.
func Authenticate(c *fiber.Ctx, verifier Verifier) error {
	tokens := bearerHeaders(c)
	switch {
	case len(tokens) == 0:
		return ErrNoToken
	case len(tokens) > 1:
		return ErrManyTokens
	}
	bearer, err := verifier.Verify(c.UserContext(), tokens[0])
	if err != nil {
		return err
	}
	c.Locals(localBearer, bearer)
	return nil
}

// LoggedIn stands behind Bearer and lets through whose token comes from a login
// here.
func LoggedIn() fiber.Handler {
	return func(c *fiber.Ctx) error {
		if claims, ok := ClaimsOf(c); !ok {
			return ErrNoToken
		} else if claims.SessionID == "" {
			return ErrNoSession
		}
		return c.Next()
	}
}

// bearerHeaders are the tokens of Authorization headers; more than one is the
// client's mistake.
func bearerHeaders(c *fiber.Ctx) []string {
	var tokens []string
	for _, line := range c.Context().Request.Header.PeekAll(fiber.HeaderAuthorization) {
		scheme, token, _ := strings.Cut(string(line), " ")
		if token = strings.TrimSpace(token); strings.EqualFold(scheme, "Bearer") && token != "" {
			tokens = append(tokens, token)
		}
	}
	return tokens
}
