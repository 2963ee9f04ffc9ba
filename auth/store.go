package auth

import (
	"context"
	"crypto/sha256"
	"time"
)

// Hash is the SHA-256 of a secret. Nothing else of a secret is ever stored.
type Hash [sha256.Size]byte

func hashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// Store keeps accounts and their sessions. What ends sessions also writes down,
// in the same transaction, that their tokens are revoked, and answers the
// revocations.
type Store interface {
	AccountStore
	AccountChanges
	SessionStore
}

// AccountStore is the part of a Store that signing up and logging in need.
type AccountStore interface {
	// CreateAccount keeps a new account; ErrUsernameTaken if the name is.
	CreateAccount(ctx context.Context, a Account) error
	// AccountByUsername finds an account; ErrNotFound if there is none.
	AccountByUsername(ctx context.Context, username string) (Account, error)
	// AccountByID finds an account; ErrNotFound if there is none.
	AccountByID(ctx context.Context, id string) (Account, error)
	// RenewPasswordHash replaces a hash by another of the same password, and tells
	// whether the old one was still the account's; if not, it does nothing.
	RenewPasswordHash(ctx context.Context, id, old, renewed string) (bool, error)
}

// AccountChanges is the part of a Store that changes accounts.
type AccountChanges interface {
	// ChangePassword, ChangeRole and Disable change the account that e names and
	// end its sessions; ErrNotFound if there is no such account. Disabled
	// accounts get no session. Where old is given, ChangePassword knows only an
	// account that still has that hash and is not disabled.
	ChangePassword(ctx context.Context, old, hash string, e Ending) ([]Revocation, error)
	ChangeRole(ctx context.Context, role string, e Ending) ([]Revocation, error)
	Disable(ctx context.Context, e Ending) ([]Revocation, error)
	// Enable undoes Disable; ErrNotFound if there is no such account.
	Enable(ctx context.Context, id string) error
	// DeleteAccount forgets the account that e names and its sessions, and has
	// its messages gone through; ErrNotFound if there is no such account.
	// removeMessages leaves nothing of them but their places; otherwise their
	// text stays, without a name.
	DeleteAccount(ctx context.Context, removeMessages bool, e Ending) ([]Revocation, error)
}

// SessionStore is the part of a Store that keeps sessions.
type SessionStore interface {
	// CreateSession keeps a new session of an account that still has that
	// password hash and role and is not disabled; ErrNotFound otherwise. It ends
	// those of the account that are beyond limit, the longest unused first, and
	// forgets sessions and revocations that are over.
	CreateSession(ctx context.Context, s Session, account Account, limit int) ([]Revocation, error)
	// SessionByFamily finds a session and its account by the hash of what its
	// refresh tokens share; ErrNotFound if there is none.
	SessionByFamily(ctx context.Context, family Hash) (Session, Account, error)
	// Sessions are an account's, the last used first.
	Sessions(ctx context.Context, accountID string) ([]Session, error)
	// Rotate puts s.RefreshHash in the place of r.Used, with when and from where
	// s was used, keeps r, and forgets the session's rotations from before
	// forget. It tells whether r.Used was still the hash there; if not, nothing
	// has changed.
	Rotate(ctx context.Context, s Session, r Rotation, forget time.Time) (bool, error)
	// RotationOf finds how a refresh token was used; ErrNotFound if it was not,
	// or that is forgotten.
	RotationOf(ctx context.Context, used Hash) (Rotation, error)
	// EndSessions ends the sessions that e names.
	EndSessions(ctx context.Context, e Ending) ([]Revocation, error)
}

// Ending says which sessions of an account end.
type Ending struct {
	AccountID string
	Only      string // ID of the one that ends; empty for all
	Except    string // ID of one that does not
	At        time.Time
	TokensEnd time.Time // when no access token from before At is good any more, if none was revoked
}

// Session is one login, and the family of refresh tokens that come from it.
type Session struct {
	ID          string
	AccountID   string
	FamilyHash  Hash // of what all its refresh tokens share
	RefreshHash Hash // of the one that is good now
	Client      Client
	CreatedAt   time.Time
	UsedAt      time.Time // when it was opened, or last refreshed
	ExpiresAt   time.Time // if it is not used before
	EndsAt      time.Time // however much it is used
	TokensEnd   time.Time // when its last access token has ended, on every clock
}

// Client is where a session is used from, as its owner is shown it.
type Client struct {
	Device  string // what the client says of itself
	Address string
}

// Rotation is the use of a refresh token.
type Rotation struct {
	Used   Hash
	Seed   []byte // makes the successor, together with the token itself
	UsedAt time.Time
}
