package middleware

import (
	"crypto/sha256"
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
)

// Guess runs check, which looks at a secret of the account that username names,
// unless too many have guessed wrong. A check that ends with
// auth.ErrBadCredentials was a wrong guess; any other end costs nothing. The
// refusal is a *RateError. It makes no difference whether there is such an
// account.
func Guess(c *fiber.Ctx, guesses *ratelimit.Guesses, username string, check func() error) error {
	try, err := guesses.Admit(guessedAccount(username), ratelimit.AddressKey(AddressOf(c)))
	var refused *ratelimit.GuessError
	if errors.As(err, &refused) {
		newToldRate(limitLogin, refused.Rate).tell(c, 0, refused.Wait)
		return &RateError{Limit: limitLogin, Wait: refused.Wait}
	}
	if err != nil {
		return err
	}
	err = check()
	if !errors.Is(err, auth.ErrBadCredentials) {
		try.Return()
	}
	return err
}

// limitLogin is the limit's name on the wire.
const limitLogin = "login"

// guessedAccount is one key for all spellings of a name. What cannot be a name
// may have any length, and is hashed.
func guessedAccount(username string) string {
	name, err := auth.Username(username)
	if err != nil {
		sum := sha256.Sum256([]byte(username))
		return string(sum[:])
	}
	return name
}
