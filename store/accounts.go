package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast/auth"
)

var _ auth.Store = (*DB)(nil)

// CreateAccount implements auth.Store.
func (d *DB) CreateAccount(ctx context.Context, a auth.Account) error {
	result, err := d.write.ExecContext(ctx,
		`INSERT INTO accounts (id, username, password_hash, role, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (username) DO NOTHING`,
		a.ID, a.Username, a.PasswordHash, a.Role, a.CreatedAt.UnixMilli())
	if err != nil {
		return unavailable("keeping an account", err)
	}
	if n, err := result.RowsAffected(); err != nil {
		return unavailable("keeping an account", err)
	} else if n == 0 {
		return auth.ErrUsernameTaken
	}
	return nil
}

const selectAccount = `SELECT id, username, password_hash, role, created_at FROM accounts `

// AccountByUsername implements auth.Store.
func (d *DB) AccountByUsername(ctx context.Context, username string) (auth.Account, error) {
	return scanAccount(d.read.QueryRowContext(ctx, selectAccount+`WHERE username = $1`, username))
}

// AccountByID implements auth.Store.
func (d *DB) AccountByID(ctx context.Context, id string) (auth.Account, error) {
	return scanAccount(d.read.QueryRowContext(ctx, selectAccount+`WHERE id = $1`, id))
}

func scanAccount(row *sql.Row) (auth.Account, error) {
	var a auth.Account
	var created int64
	err := row.Scan(&a.ID, &a.Username, &a.PasswordHash, &a.Role, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return auth.Account{}, auth.ErrNotFound
	}
	a.CreatedAt = time.UnixMilli(created).UTC()
	return a, unavailable("reading an account", err)
}

// SetPasswordHash implements auth.Store.
func (d *DB) SetPasswordHash(ctx context.Context, id, hash string) error {
	_, err := d.write.ExecContext(ctx, `UPDATE accounts SET password_hash = $1 WHERE id = $2`, hash, id)
	return unavailable("keeping a password hash", err)
}

// CreateSession implements auth.Store.
func (d *DB) CreateSession(ctx context.Context, session auth.Session) error {
	return unavailable("keeping a session", inTx(ctx, d.write, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at < $1`, session.CreatedAt.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx,
			`INSERT INTO sessions (id, account_id, refresh_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
			session.ID, session.AccountID, session.RefreshHash[:], session.CreatedAt.UnixMilli(), session.ExpiresAt.UnixMilli())
		return err
	}))
}

// DeleteAccount implements auth.Store. The Log goes through the messages.
func (d *DB) DeleteAccount(ctx context.Context, id string, e auth.Erasure) error {
	remove := 0
	if e.Remove {
		remove = 1
	}
	return unavailable("deleting an account", inTx(ctx, d.write, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM accounts WHERE id = $1`, id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return auth.ErrNotFound
		}
		_, err = tx.ExecContext(ctx,
			`INSERT INTO erasures (user_id, remove, next_id, due_at, until_at) VALUES ($1, $2, 0, $3, $4)`,
			id, remove, e.At.UnixMilli(), e.TokensEnd.UnixMilli())
		return err
	}))
}

// unavailable is what becomes of a database's own error.
func unavailable(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, auth.ErrNotFound): // found out inside a transaction
		return err
	}
	return fmt.Errorf("%w: %w", auth.ErrUnavailable, wrap(doing, err))
}
