package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast/auth"
)

var _ auth.TicketStore = Tickets{}

// Tickets keeps tickets in PostgreSQL, where every node finds them. They do not
// outlive a crash of the database.
type Tickets struct{ db *DB }

// NewTickets needs a DB from OpenPostgres.
func NewTickets(db *DB) Tickets { return Tickets{db} }

// KeepTicket implements auth.TicketStore.
func (t Tickets) KeepTicket(ctx context.Context, hash auth.Hash, ticket auth.Ticket, now time.Time) error {
	claims, err := json.Marshal(ticket.Claims)
	if err != nil {
		return fmt.Errorf("store: encoding a ticket: %w", err)
	}
	return unavailable("keeping a ticket", inTx(ctx, t.db.write, func(tx *sql.Tx) error {
		// A few at a time, and never those that another call is at.
		if _, err := tx.ExecContext(ctx, `DELETE FROM tickets WHERE hash IN
			(SELECT hash FROM tickets WHERE expires_at < $1 LIMIT 4 FOR UPDATE SKIP LOCKED)`, now.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO tickets (hash, claims, origin, expires_at) VALUES ($1, $2, $3, $4)`,
			hash[:], string(claims), ticket.Origin, ticket.ExpiresAt.UnixMilli())
		return err
	}))
}

// TakeTicket implements auth.TicketStore.
func (t Tickets) TakeTicket(ctx context.Context, hash auth.Hash) (ticket auth.Ticket, err error) {
	var claims string
	var expires int64
	err = t.db.write.QueryRowContext(ctx, `DELETE FROM tickets WHERE hash = $1 RETURNING claims, origin, expires_at`, hash[:]).
		Scan(&claims, &ticket.Origin, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return ticket, auth.ErrNotFound
	}
	if err != nil {
		return ticket, unavailable("taking a ticket", err)
	}
	ticket.ExpiresAt = fromMilli(expires)
	if err := json.Unmarshal([]byte(claims), &ticket.Claims); err != nil {
		return ticket, fmt.Errorf("store: decoding a ticket: %w", err)
	}
	return ticket, nil
}
