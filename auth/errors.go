package auth

import (
	"errors"
	"fmt"
)

var (
	// ErrUsernameTaken: an account of that name exists.
	ErrUsernameTaken = errors.New("auth: the username is taken")
	// ErrNotFound: a Store has no such row.
	ErrNotFound = errors.New("auth: not found")
	// ErrBadCredentials: no such user or a wrong password; which of them is
	// not told.
	ErrBadCredentials = errors.New("auth: wrong username or password")
	// ErrDisabled: the operator has disabled the account.
	ErrDisabled = errors.New("auth: the account is disabled")
	// ErrReused: a refresh token came back that had been used. Its session is
	// ended, since whoever shows it may be a thief or the thief's victim.
	ErrReused = fmt.Errorf("%w: a refresh token was used again", ErrInvalidToken)
	// ErrInvalidTicket: a ticket that is spent, too old, or another page's.
	ErrInvalidTicket = errors.New("auth: invalid ticket")
	// ErrBusy: too much at once, passwords to hash or tickets to keep; try again
	// in a second.
	ErrBusy = errors.New("auth: too much at once")
	// ErrUnavailable: a store cannot keep or read now.
	ErrUnavailable = errors.New("auth: accounts and sessions are not available")
	// ErrIssuerUnavailable: the keys of a token's issuer cannot be had now, so nobody can
	// tell whether the token is good.
	ErrIssuerUnavailable = errors.New("auth: the keys of the token's issuer cannot be had")
	// ErrInvalidToken: an access or refresh token that is altered, expired,
	// revoked, or of nobody whom we trust.
	ErrInvalidToken = errors.New("auth: invalid token")
	// ErrNoKeys: a folder has no signing keys.
	ErrNoKeys = errors.New("auth: there are no signing keys")
	// ErrKeyWaits: the newest signing key does not sign yet.
	ErrKeyWaits = errors.New("auth: the newest signing key waits for its turn")
)

// InputError says what is wrong with something that a person typed.
type InputError struct {
	Field  string // name of the field on the wire
	Reason string // what is wrong with it, to stand behind the name
}

func (e *InputError) Error() string { return e.Field + " " + e.Reason }
