package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// CreateSession implements auth.Store.
func (d *DB) CreateSession(ctx context.Context, s auth.Session, account auth.Account, limit int) (ended []auth.Revocation, err error) {
	err = inTx(ctx, d.write, func(tx *sql.Tx) error {
		// A change of the account that is under way is waited for, and one that
		// comes later finds the session.
		var id string
		err := tx.QueryRowContext(ctx, `SELECT id FROM accounts WHERE id = $1 AND password_hash = $2 AND role = $3 AND disabled_at = 0`+d.driver.forUpdate,
			s.AccountID, account.PasswordHash, account.Role).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return auth.ErrNotFound
		}
		if err != nil {
			return err
		}
		if ended, err = endBeyond(ctx, tx, s.AccountID, limit-1); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx,
			`INSERT INTO sessions (id, account_id, family_hash, refresh_hash, device, address, created_at, used_at, expires_at, ends_at, tokens_end)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			s.ID, s.AccountID, s.FamilyHash[:], s.RefreshHash[:], s.Client.Device, s.Client.Address,
			s.CreatedAt.UnixMilli(), s.UsedAt.UnixMilli(), s.ExpiresAt.UnixMilli(), s.EndsAt.UnixMilli(), s.TokensEnd.UnixMilli())
		return err
	})
	if err == nil {
		d.tidy(ctx, s.CreatedAt)
	}
	return ended, unavailable("keeping a session", err)
}

// tidy forgets some of the sessions and revocations that are over, and passes by
// those that somebody else is at. A session is not over before its last access
// token is, or nothing could revoke that one. It is no part of what it comes
// after: when it fails, the next one does it.
func (d *DB) tidy(ctx context.Context, now time.Time) {
	for _, query := range []string{
		`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 AND tokens_end < $1 LIMIT 100`,
		`DELETE FROM revocations WHERE id IN (SELECT id FROM revocations WHERE expires_at < $1 LIMIT 100`,
	} {
		_, _ = d.write.ExecContext(ctx, query+d.driver.skipLocked+`)`, now.UnixMilli())
	}
}

const selectSession = `SELECT s.id, s.account_id, s.family_hash, s.refresh_hash, s.device, s.address, s.created_at, s.used_at, s.expires_at, s.ends_at, s.tokens_end,
	a.username, a.password_hash, a.role, a.created_at, a.disabled_at
	FROM sessions s JOIN accounts a ON a.id = s.account_id `

// SessionByFamily implements auth.Store.
func (d *DB) SessionByFamily(ctx context.Context, family auth.Hash) (auth.Session, auth.Account, error) {
	s, a, err := scanSession(d.read.QueryRowContext(ctx, selectSession+`WHERE s.family_hash = $1`, family[:]).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return auth.Session{}, auth.Account{}, auth.ErrNotFound
	}
	return s, a, unavailable("reading a session", err)
}

// maxSessions bounds a list of sessions, whatever has been allowed before.
const maxSessions = 1000

// Sessions implements auth.Store.
func (d *DB) Sessions(ctx context.Context, accountID string) (list []auth.Session, err error) {
	err = eachRow(ctx, d.read, selectSession+`WHERE s.account_id = $1 ORDER BY s.used_at DESC, s.id LIMIT $2`, []any{accountID, maxSessions}, func(scan scan) error {
		s, _, err := scanSession(scan)
		list = append(list, s)
		return err
	})
	return list, unavailable("reading sessions", err)
}

func scanSession(scan scan) (s auth.Session, a auth.Account, err error) {
	var family, refresh []byte
	var created, used, expires, ends, tokens, registered, disabled int64
	err = scan(&s.ID, &s.AccountID, &family, &refresh, &s.Client.Device, &s.Client.Address, &created, &used, &expires, &ends, &tokens,
		&a.Username, &a.PasswordHash, &a.Role, &registered, &disabled)
	copy(s.FamilyHash[:], family)
	copy(s.RefreshHash[:], refresh)
	s.CreatedAt, s.UsedAt, s.ExpiresAt = fromMilli(created), fromMilli(used), fromMilli(expires)
	s.EndsAt, s.TokensEnd = fromMilli(ends), fromMilli(tokens)
	a.ID, a.CreatedAt, a.DisabledAt = s.AccountID, fromMilli(registered), fromMilli(disabled)
	return s, a, err
}

// Rotate implements auth.Store.
func (d *DB) Rotate(ctx context.Context, s auth.Session, r auth.Rotation, forget time.Time) (first bool, err error) {
	err = inTx(ctx, d.write, func(tx *sql.Tx) error {
		err := changeOne(ctx, tx,
			`UPDATE sessions SET refresh_hash = $1, device = $2, address = $3, used_at = $4, expires_at = $5,
			tokens_end = CASE WHEN tokens_end > $6 THEN tokens_end ELSE $6 END WHERE id = $7 AND refresh_hash = $8`,
			s.RefreshHash[:], s.Client.Device, s.Client.Address, s.UsedAt.UnixMilli(), s.ExpiresAt.UnixMilli(), s.TokensEnd.UnixMilli(), s.ID, r.Used[:])
		if errors.Is(err, auth.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM rotations WHERE session_id = $1 AND used_at < $2`, s.ID, forget.UnixMilli()); err != nil {
			return err
		}
		first = true
		_, err = tx.ExecContext(ctx, `INSERT INTO rotations (used_hash, session_id, seed, used_at) VALUES ($1, $2, $3, $4)`,
			r.Used[:], s.ID, r.Seed, r.UsedAt.UnixMilli())
		return err
	})
	return first && err == nil, unavailable("refreshing a session", err)
}

// RotationOf implements auth.Store.
func (d *DB) RotationOf(ctx context.Context, used auth.Hash) (auth.Rotation, error) {
	r := auth.Rotation{Used: used}
	var at int64
	err := d.read.QueryRowContext(ctx, `SELECT seed, used_at FROM rotations WHERE used_hash = $1`, used[:]).Scan(&r.Seed, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return r, auth.ErrNotFound
	}
	r.UsedAt = fromMilli(at)
	return r, unavailable("reading a refresh", err)
}

// EndSessions implements auth.Store.
func (d *DB) EndSessions(ctx context.Context, e auth.Ending) (ended []auth.Revocation, err error) {
	err = inTx(ctx, d.write, func(tx *sql.Tx) error {
		ended, err = endSessions(ctx, tx, e)
		return err
	})
	return ended, unavailable("ending sessions", err)
}

func endSessions(ctx context.Context, tx *sql.Tx, e auth.Ending) ([]auth.Revocation, error) {
	return revoke(ctx, tx, `DELETE FROM sessions WHERE account_id = $1 AND ($2 = '' OR id = $2) AND id <> $3 RETURNING id, tokens_end`,
		e.AccountID, e.Only, e.Except)
}

// endBeyond ends the sessions of an account that are not among the keep last
// used.
func endBeyond(ctx context.Context, tx *sql.Tx, accountID string, keep int) ([]auth.Revocation, error) {
	return revoke(ctx, tx,
		`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE account_id = $1 ORDER BY used_at DESC, id LIMIT $2 OFFSET $3) RETURNING id, tokens_end`,
		accountID, maxSessions, keep)
}

// revoke runs a statement that deletes sessions and answers their IDs and when
// their tokens end, and writes down that those are revoked.
func revoke(ctx context.Context, tx *sql.Tx, statement string, args ...any) (list []auth.Revocation, err error) {
	err = eachRow(ctx, tx, statement, args, func(scan scan) error {
		var r auth.Revocation
		var end int64
		err := scan(&r.Mark, &end)
		r.ExpiresAt = fromMilli(end)
		list = append(list, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if _, err := tx.ExecContext(ctx, insertRevocation, r.Mark, r.ExpiresAt.UnixMilli()); err != nil {
			return nil, err
		}
	}
	return list, nil
}

const insertRevocation = `INSERT INTO revocations (mark, expires_at) VALUES ($1, $2)`
