// Package auth knows who someone is: accounts and passwords, the keys and
// tokens that say so, and the logins that tokens come from.
package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// Account is someone who can log in.
type Account struct {
	ID           string
	Username     string // as Username gives it
	PasswordHash string // PHC string
	Role         string
	CreatedAt    time.Time
	DisabledAt   time.Time // zero: it is not
}

// Accounts registers people and logs them in.
type Accounts struct {
	store       Store
	hasher      *Hasher
	issuer      *Issuer
	revocations *Revocations
	opts        AccountOptions
	clock       func() time.Time
}

// AccountOptions of Accounts.
type AccountOptions struct {
	SessionTTL     time.Duration // life of a session
	SessionIdle    time.Duration // life of a session that is not refreshed
	RefreshGrace   time.Duration // how long a used refresh token still answers its successor
	Sessions       int           // of an account; one more ends the longest unused
	RemoveMessages bool          // of accounts that are deleted; otherwise they lose their name alone
	Passwords      PasswordRules // for new passwords
}

// NewAccounts wires Accounts. The clock is the issuer's. Sessions that end are
// told to revocations.
func NewAccounts(store Store, hasher *Hasher, issuer *Issuer, revocations *Revocations, opts AccountOptions) *Accounts {
	return &Accounts{store, hasher, issuer, revocations, opts, issuer.opts.now}
}

// Register makes an account with the role of a user. It fails with an
// *InputError, ErrUsernameTaken or ErrBusy.
func (a *Accounts) Register(ctx context.Context, username, password string) (Account, error) {
	return a.Create(ctx, username, password, RoleUser)
}

// Create makes an account of any role. It fails as Register does.
func (a *Accounts) Create(ctx context.Context, username, password, role string) (Account, error) {
	if err := checkRole(role); err != nil {
		return Account{}, err
	}
	name, err := Username(username)
	if err != nil {
		return Account{}, err
	}
	if err := a.opts.Passwords.Check(name, password); err != nil {
		return Account{}, err
	}
	if _, err := a.store.AccountByUsername(ctx, name); err == nil {
		return Account{}, ErrUsernameTaken // before a hash is spent on it
	} else if !errors.Is(err, ErrNotFound) {
		return Account{}, err
	}
	hash, err := a.hasher.Hash(ctx, password)
	if err != nil {
		return Account{}, err
	}
	account := Account{ID: rand.Text(), Username: name, PasswordHash: hash, Role: role, CreatedAt: a.now()}
	if err := a.store.CreateAccount(ctx, account); err != nil {
		return Account{}, err
	}
	return account, nil
}

// Account finds the account that a token's subject names.
func (a *Accounts) Account(ctx context.Context, id string) (Account, error) {
	return a.store.AccountByID(ctx, id)
}

// ByUsername finds an account by any spelling of its name. It fails with an
// *InputError or ErrNotFound.
func (a *Accounts) ByUsername(ctx context.Context, username string) (Account, error) {
	name, err := Username(username)
	if err != nil {
		return Account{}, err
	}
	return a.store.AccountByUsername(ctx, name)
}

// authenticate answers the account that username and password are of. A user
// that does not exist costs as much as a wrong password and reads the same; that
// an account is disabled is told to whom has its password.
func (a *Accounts) authenticate(ctx context.Context, username, password string) (Account, error) {
	if username == "" {
		return Account{}, &InputError{Field: "username", Reason: "is required"}
	}
	var account Account
	name, err := Username(username)
	if err == nil {
		account, err = a.store.AccountByUsername(ctx, name)
	}
	var bad *InputError
	if errors.As(err, &bad) || errors.Is(err, ErrNotFound) {
		if err := a.hasher.Waste(ctx, password); err != nil {
			return Account{}, err
		}
		return Account{}, ErrBadCredentials
	}
	if err != nil {
		return Account{}, err
	}
	rehash, err := a.check(ctx, account, password)
	if rehash && err == nil {
		return a.upgrade(ctx, account, password)
	}
	return account, err
}

// check tells whether password is the account's, and whether its hash has other
// costs than today's.
func (a *Accounts) check(ctx context.Context, account Account, password string) (rehash bool, err error) {
	ok, rehash, err := a.hasher.Verify(ctx, password, account.PasswordHash)
	switch {
	case err != nil:
		return false, err
	case !ok:
		return false, ErrBadCredentials
	case !account.DisabledAt.IsZero():
		return false, ErrDisabled
	}
	return rehash, nil
}

// upgrade stores the password at today's costs. Today's rules are for new
// passwords and are not asked.
func (a *Accounts) upgrade(ctx context.Context, account Account, password string) (Account, error) {
	hash, err := a.hasher.Hash(ctx, password)
	if errors.Is(err, ErrBusy) {
		return account, nil // the next login may find the time
	}
	if err != nil {
		return Account{}, fmt.Errorf("auth: renewing a password hash: %w", err)
	}
	renewed, err := a.store.RenewPasswordHash(ctx, account.ID, account.PasswordHash, hash)
	if err != nil {
		return Account{}, err
	}
	if renewed {
		account.PasswordHash = hash
		return account, nil
	}
	// Another login has renewed it, or the password is another one now.
	if account, err = a.store.AccountByID(ctx, account.ID); err != nil {
		return Account{}, err
	}
	_, err = a.check(ctx, account, password)
	return account, err
}

// now is in the milliseconds that stores keep.
func (a *Accounts) now() time.Time { return a.clock().UTC().Truncate(time.Millisecond) }
