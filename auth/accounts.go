// Package auth knows who someone is: accounts and passwords, the keys and
// tokens that say so, and the logins that tokens come from.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
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
}

// Session is one login. Its refresh token is kept as a hash only.
type Session struct {
	ID          string
	AccountID   string
	RefreshHash [sha256.Size]byte
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// Store keeps accounts and sessions.
type Store interface {
	// CreateAccount keeps a new account; ErrUsernameTaken if the name is.
	CreateAccount(ctx context.Context, a Account) error
	// AccountByUsername finds an account; ErrNotFound if there is none.
	AccountByUsername(ctx context.Context, username string) (Account, error)
	// AccountByID finds an account; ErrNotFound if there is none.
	AccountByID(ctx context.Context, id string) (Account, error)
	// SetPasswordHash replaces an account's hash.
	SetPasswordHash(ctx context.Context, id, hash string) error
	// CreateSession keeps a new login and forgets those that expired before
	// it was created.
	CreateSession(ctx context.Context, s Session) error
	// DeleteAccount forgets an account and its sessions, and has its messages
	// gone through; ErrNotFound if there is no such account.
	DeleteAccount(ctx context.Context, id string, e Erasure) error
}

// Erasure is what becomes of the messages of an account that is deleted.
type Erasure struct {
	Remove    bool      // leave nothing but their places; otherwise their text stays, without a name
	At        time.Time // when the account is deleted
	TokensEnd time.Time // when no token of the account is good any more
}

// Grant is what a login gives.
type Grant struct {
	AccessToken  string
	Claims       Claims // of the access token
	RefreshToken string
}

// Accounts registers people and logs them in.
type Accounts struct {
	store  Store
	hasher *Hasher
	issuer *Issuer
	opts   AccountOptions
	clock  func() time.Time
}

// AccountOptions of Accounts.
type AccountOptions struct {
	RefreshTTL     time.Duration // life of a login
	RemoveMessages bool          // of accounts that are deleted; otherwise they lose their name alone
}

// NewAccounts wires Accounts. The clock is the issuer's.
func NewAccounts(store Store, hasher *Hasher, issuer *Issuer, opts AccountOptions) *Accounts {
	return &Accounts{store, hasher, issuer, opts, issuer.opts.now}
}

// Register makes an account with the role of a user. It fails with an
// *InputError, ErrUsernameTaken or ErrBusy.
func (a *Accounts) Register(ctx context.Context, username, password string) (Account, error) {
	name, err := Username(username)
	if err != nil {
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
	account := Account{ID: rand.Text(), Username: name, PasswordHash: hash, Role: RoleUser, CreatedAt: a.now()}
	if err := a.store.CreateAccount(ctx, account); err != nil {
		return Account{}, err
	}
	return account, nil
}

// Login checks a password and opens a session. It fails with an *InputError
// where a field is missing, ErrBadCredentials or ErrBusy. A user that does not
// exist costs as much as a wrong password and reads the same.
func (a *Accounts) Login(ctx context.Context, username, password string) (Grant, error) {
	account, err := a.authenticate(ctx, username, password)
	if err != nil {
		return Grant{}, err
	}
	refresh := rand.Text() + rand.Text() // 256 bits
	session := Session{
		ID: rand.Text(), AccountID: account.ID, RefreshHash: sha256.Sum256([]byte(refresh)),
		CreatedAt: a.now(), ExpiresAt: a.now().Add(a.opts.RefreshTTL),
	}
	if err := a.store.CreateSession(ctx, session); err != nil {
		return Grant{}, err
	}
	token, claims, err := a.issuer.Issue(account, session.ID)
	if err != nil {
		return Grant{}, err
	}
	return Grant{AccessToken: token, Claims: claims, RefreshToken: refresh}, nil
}

// Account finds the account that a token's subject names.
func (a *Accounts) Account(ctx context.Context, id string) (Account, error) {
	return a.store.AccountByID(ctx, id)
}

// Delete forgets an account, its logins, and its messages or its name on them.
// It fails with ErrNotFound.
func (a *Accounts) Delete(ctx context.Context, id string) error {
	now := a.now()
	return a.store.DeleteAccount(ctx, id, Erasure{
		Remove: a.opts.RemoveMessages, At: now, TokensEnd: now.Add(a.issuer.opts.TTL + leeway),
	})
}

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
	ok, rehash, err := a.hasher.Verify(ctx, password, account.PasswordHash)
	if err != nil {
		return Account{}, err
	}
	if !ok {
		return Account{}, ErrBadCredentials
	}
	if rehash {
		if err := a.upgrade(ctx, account.ID, password); err != nil {
			return Account{}, err
		}
	}
	return account, nil
}

// upgrade stores the password at today's costs. A password that today's rules
// would refuse keeps its old hash: its owner can still log in.
func (a *Accounts) upgrade(ctx context.Context, id, password string) error {
	hash, err := a.hasher.Hash(ctx, password)
	var refused *InputError
	if errors.As(err, &refused) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("auth: renewing a password hash: %w", err)
	}
	return a.store.SetPasswordHash(ctx, id, hash)
}

// now is in the milliseconds that stores keep.
func (a *Accounts) now() time.Time { return a.clock().UTC().Truncate(time.Millisecond) }
