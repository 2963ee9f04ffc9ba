package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

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

const selectAccount = `SELECT id, username, password_hash, role, created_at, disabled_at FROM accounts `

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
	var created, disabled int64
	err := row.Scan(&a.ID, &a.Username, &a.PasswordHash, &a.Role, &created, &disabled)
	if errors.Is(err, sql.ErrNoRows) {
		return auth.Account{}, auth.ErrNotFound
	}
	a.CreatedAt, a.DisabledAt = fromMilli(created), fromMilli(disabled)
	return a, unavailable("reading an account", err)
}

// RenewPasswordHash implements auth.Store.
func (d *DB) RenewPasswordHash(ctx context.Context, id, old, renewed string) (bool, error) {
	err := changeOne(ctx, d.write, `UPDATE accounts SET password_hash = $1 WHERE id = $2 AND password_hash = $3`, renewed, id, old)
	if errors.Is(err, auth.ErrNotFound) {
		return false, nil
	}
	return err == nil, unavailable("keeping a password hash", err)
}

// ChangePassword implements auth.Store.
func (d *DB) ChangePassword(ctx context.Context, old, hash string, e auth.Ending) ([]auth.Revocation, error) {
	return d.change(ctx, e, `UPDATE accounts SET password_hash = $1 WHERE id = $2 AND ($3 = '' OR password_hash = $3 AND disabled_at = 0)`,
		hash, e.AccountID, old)
}

// ChangeRole implements auth.Store.
func (d *DB) ChangeRole(ctx context.Context, role string, e auth.Ending) ([]auth.Revocation, error) {
	return d.change(ctx, e, `UPDATE accounts SET role = $1 WHERE id = $2`, role, e.AccountID)
}

// Disable implements auth.Store.
func (d *DB) Disable(ctx context.Context, e auth.Ending) ([]auth.Revocation, error) {
	return d.change(ctx, e, `UPDATE accounts SET disabled_at = $1 WHERE id = $2`, e.At.UnixMilli(), e.AccountID)
}

// Enable implements auth.Store.
func (d *DB) Enable(ctx context.Context, id string) error {
	return unavailable("enabling an account", changeOne(ctx, d.write, `UPDATE accounts SET disabled_at = 0 WHERE id = $1`, id))
}

// DeleteAccount implements auth.Store. The Log goes through the messages.
func (d *DB) DeleteAccount(ctx context.Context, removeMessages bool, e auth.Ending) (ended []auth.Revocation, err error) {
	remove := 0
	if removeMessages {
		remove = 1
	}
	err = inTx(ctx, d.write, func(tx *sql.Tx) error {
		// Whoever opens a session at the same time is waited for: the account takes
		// its sessions along, and those must be written down as revoked first.
		if _, err := tx.ExecContext(ctx, `SELECT id FROM accounts WHERE id = $1`+d.driver.forUpdate, e.AccountID); err != nil {
			return err
		}
		if ended, err = endSessions(ctx, tx, e); err != nil {
			return err
		}
		if err := changeOne(ctx, tx, `DELETE FROM accounts WHERE id = $1`, e.AccountID); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx,
			`INSERT INTO erasures (user_id, remove, next_id, due_at, until_at) VALUES ($1, $2, 0, $3, $4)`,
			e.AccountID, remove, e.At.UnixMilli(), e.TokensEnd.UnixMilli())
		return err
	})
	return ended, unavailable("deleting an account", err)
}

// change runs a statement that changes the account that e names, and ends its
// sessions. The account comes first: whoever opens a session at the same time
// waits for it, and then sees what it has become.
func (d *DB) change(ctx context.Context, e auth.Ending, statement string, args ...any) (ended []auth.Revocation, err error) {
	err = inTx(ctx, d.write, func(tx *sql.Tx) error {
		if err := changeOne(ctx, tx, statement, args...); err != nil {
			return err
		}
		ended, err = endSessions(ctx, tx, e)
		return err
	})
	return ended, unavailable("changing an account", err)
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
