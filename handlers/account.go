package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ratelimit"
)

// credentials is what register and login take.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// accountBody is an account as its owner sees it. A user of another issuer has
// no account here, and no day when it was made.
type accountBody struct {
	UserID    string    `json:"user_id"`
	Username  string    `json:"username"`
	Role      string    `json:"role"`
	CreatedAt time.Time `json:"created_at,omitzero"`
}

var (
	// errRegistrationClosed: accounts come from the operator.
	errRegistrationClosed = errors.New("nobody can sign up here; ask the operator for an account")
	errWrongPassword      = errors.New("the current password is wrong")
)

func register(accounts *auth.Accounts, closed bool, body jsonBody) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if closed {
			return errRegistrationClosed
		}
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

// me answers from the account, or from the token where no login is behind it:
// then there may be no account.
func me(accounts *auth.Accounts) fiber.Handler {
	return func(c *fiber.Ctx) error {
		claims, _ := middleware.ClaimsOf(c)
		if claims.SessionID == "" {
			return c.JSON(accountBody{UserID: claims.Subject, Username: claims.Username, Role: claims.Role})
		}
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

// changePassword gives the bearer's account another password and ends its other
// sessions.
func changePassword(accounts *auth.Accounts, guesses *ratelimit.Guesses, body jsonBody) fiber.Handler {
	return func(c *fiber.Ctx) error {
		var in struct {
			CurrentPassword string `json:"current_password"`
			NewPassword     string `json:"new_password"`
		}
		if err := body.decode(c, &in); err != nil {
			return err
		}
		claims, _ := middleware.ClaimsOf(c)
		err := middleware.Guess(c, guesses, claims.Username, func() error {
			return accounts.ChangePassword(c.UserContext(), claims.Subject, in.CurrentPassword, in.NewPassword, claims.SessionID)
		})
		switch {
		case errors.Is(err, auth.ErrNotFound):
			return auth.ErrInvalidToken // its account is gone
		case errors.Is(err, auth.ErrBadCredentials):
			return errWrongPassword
		case err != nil:
			return err
		}
		c.Status(http.StatusNoContent)
		return nil
	}
}

// deleteMe forgets the account. What becomes of its messages is configured.
func deleteMe(accounts *auth.Accounts) fiber.Handler {
	return func(c *fiber.Ctx) error {
		claims, _ := middleware.ClaimsOf(c)
		err := accounts.Delete(c.UserContext(), claims.Subject)
		if errors.Is(err, auth.ErrNotFound) {
			return auth.ErrInvalidToken // it is gone already
		}
		if err != nil {
			return err
		}
		dropCookie(c)
		c.Status(http.StatusNoContent)
		return nil
	}
}

func bodyOf(a auth.Account) accountBody {
	return accountBody{UserID: a.ID, Username: a.Username, Role: a.Role, CreatedAt: a.CreatedAt}
}
