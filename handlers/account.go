package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ws"
)

// credentials is what register and login take.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// accountBody is an account as its owner sees it.
type accountBody struct {
	UserID    string    `json:"user_id"`
	Username  string    `json:"username"`
	Role      string    `json:"role"`
	CreatedAt time.Time `json:"created_at"`
}

// grantBody is a login's answer (RFC 6749, 5.1).
type grantBody struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token"`
}

func register(accounts *auth.Accounts, body jsonBody) fiber.Handler {
	return func(c *fiber.Ctx) error {
		var in credentials
		if err := body.decode(c, &in); err != nil {
			return err
		}
		account, err := accounts.Register(c.UserContext(), in.Username, in.Password)
		if err != nil {
			return err
		}
		return c.Status(http.StatusCreated).JSON(bodyOf(account))
	}
}

func login(accounts *auth.Accounts, body jsonBody) fiber.Handler {
	return func(c *fiber.Ctx) error {
		var in credentials
		if err := body.decode(c, &in); err != nil {
			return err
		}
		grant, err := accounts.Login(c.UserContext(), in.Username, in.Password)
		if err != nil {
			return err
		}
		return c.JSON(grantBody{
			AccessToken: grant.AccessToken, TokenType: "Bearer",
			ExpiresIn:    int(grant.Claims.ExpiresAt.Sub(grant.Claims.IssuedAt).Seconds()),
			RefreshToken: grant.RefreshToken,
		})
	}
}

func me(accounts *auth.Accounts) fiber.Handler {
	return func(c *fiber.Ctx) error {
		claims, _ := middleware.ClaimsOf(c)
		account, err := accounts.Account(c.UserContext(), claims.Subject)
		if errors.Is(err, auth.ErrNotFound) {
			return auth.ErrInvalidToken // its account is gone
		}
		if err != nil {
			return err
		}
		return c.JSON(bodyOf(account))
	}
}

// deleteMe forgets the account and ends its sockets. What becomes of its
// messages is configured.
func deleteMe(accounts *auth.Accounts, hub *ws.Hub) fiber.Handler {
	return func(c *fiber.Ctx) error {
		claims, _ := middleware.ClaimsOf(c)
		err := accounts.Delete(c.UserContext(), claims.Subject)
		if errors.Is(err, auth.ErrNotFound) {
			return auth.ErrInvalidToken // it is gone already
		}
		if err != nil {
			return err
		}
		hub.CloseUser(claims.Subject, ws.CloseUnauthorized, "the account is deleted")
		c.Status(http.StatusNoContent)
		return nil
	}
}

func bodyOf(a auth.Account) accountBody {
	return accountBody{UserID: a.ID, Username: a.Username, Role: a.Role, CreatedAt: a.CreatedAt}
}
