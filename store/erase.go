package store

import (
	"context"
	"database/sql"
	"errors"
)

// erasure is a deleted account whose messages are being gone through: once when
// it is deleted, and once more when none of its tokens is good any more, for
// what they may have published meanwhile.
type erasure struct {
	userID              string
	remove              int // above 0 removes the messages, 0 takes the name off them
	next, dueAt, tokens int64
}

// eraseSome goes through a part of the messages for the erasure that is due
// first.
func (u *upkeep) eraseSome(ctx context.Context) (more bool, err error) {
	var e erasure
	err = u.log.db.log.QueryRowContext(ctx,
		`SELECT user_id, remove, next_id, due_at, until_at FROM erasures WHERE due_at <= $1 ORDER BY due_at LIMIT 1`, u.log.opts.Now().UnixMilli()).
		Scan(&e.userID, &e.remove, &e.next, &e.dueAt, &e.tokens)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, wrap("looking for erasures", err)
	}
	err = inTx(ctx, u.log.db.log, func(tx *sql.Tx) error { return e.step(ctx, tx) })
	return true, wrap("erasing messages", err)
}

const (
	// The place of a removed message stays, or its channel would have a hole.
	removeMessages = `UPDATE messages SET kind = 2, event = '', client_id = '', user_id = '', username = '', idem_key = NULL, data = $1
		WHERE id >= $2 AND id < $3 AND user_id = $4`
	anonymiseMessages = `UPDATE messages SET client_id = '', user_id = '', username = '', idem_key = NULL
		WHERE id >= $1 AND id < $2 AND user_id = $3`
)

func (e *erasure) step(ctx context.Context, tx *sql.Tx) error {
	var last int64
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(id), 0) FROM messages`).Scan(&last); err != nil {
		return err
	}
	end := min(e.next+eraseMessages, last+1)
	statement, args := anonymiseMessages, []any{e.next, end, e.userID}
	if e.remove > 0 {
		statement, args = removeMessages, append([]any{[]byte{}}, args...)
	}
	if _, err := tx.ExecContext(ctx, statement, args...); err != nil {
		return err
	}
	switch {
	case end <= last:
		e.next = end
	case e.dueAt >= e.tokens:
		_, err := tx.ExecContext(ctx, `DELETE FROM erasures WHERE user_id = $1`, e.userID)
		return err
	default:
		e.next, e.dueAt = 0, e.tokens
	}
	_, err := tx.ExecContext(ctx, `UPDATE erasures SET next_id = $1, due_at = $2 WHERE user_id = $3`, e.next, e.dueAt, e.userID)
	return err
}
