package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gatecast/gatecast/auth"
)

var _ auth.Store = (*SQLite)(nil)

// CreateAccount implements auth.Store.
func (s *SQLite) CreateAccount(ctx context.Context, a auth.Account) error {
	_, err := s.write.ExecContext(ctx,
		`INSERT INTO accounts (id, username, password_hash, role, created_at) VALUES ($1, $2, $3, $4, $5)`,
		a.ID, a.Username, a.PasswordHash, a.Role, a.CreatedAt.UnixMilli())
	var refused *sqlite.Error
	if errors.As(err, &refused) && refused.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
		return auth.ErrUsernameTaken // the ID is random; it is the name that is there twice
	}
	return wrap("keeping an account", err)
}

const selectAccount = `SELECT id, username, password_hash, role, created_at FROM accounts `

// AccountByUsername implements auth.Store.
func (s *SQLite) AccountByUsername(ctx context.Context, username string) (auth.Account, error) {
	return scanAccount(s.read.QueryRowContext(ctx, selectAccount+`WHERE username = $1`, username))
}

// AccountByID implements auth.Store.
func (s *SQLite) AccountByID(ctx context.Context, id string) (auth.Account, error) {
	return scanAccount(s.read.QueryRowContext(ctx, selectAccount+`WHERE id = $1`, id))
}

func scanAccount(row *sql.Row) (auth.Account, error) {
	var a auth.Account
	var created int64
	err := row.Scan(&a.ID, &a.Username, &a.PasswordHash, &a.Role, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return auth.Account{}, auth.ErrNotFound
	}
	a.CreatedAt = time.UnixMilli(created).UTC()
	return a, wrap("reading an account", err)
}

// SetPasswordHash implements auth.Store.
func (s *SQLite) SetPasswordHash(ctx context.Context, id, hash string) error {
	_, err := s.write.ExecContext(ctx, `UPDATE accounts SET password_hash = $1 WHERE id = $2`, hash, id)
	return wrap("keeping a password hash", err)
}

// CreateSession implements auth.Store.
func (s *SQLite) CreateSession(ctx context.Context, session auth.Session) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return wrap("keeping a session", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at < $1`, session.CreatedAt.UnixMilli()); err != nil {
		return wrap("forgetting old sessions", err)
	}
	if _, err := tx.ExecContext(ctx,
		`INSERT INTO sessions (id, account_id, refresh_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		session.ID, session.AccountID, session.RefreshHash[:], session.CreatedAt.UnixMilli(), session.ExpiresAt.UnixMilli()); err != nil {
		return wrap("keeping a session", err)
	}
	return wrap("keeping a session", tx.Commit())
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s: %w", doing, err)
}
