package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gatecast/gatecast/ws"
)

// rememberedChannels bounds what an appender remembers, at about 150 bytes a
// channel. When it is full it begins anew.
const rememberedChannels = 50_000

// sqliteAppender knows where channels are, since no other process writes.
type sqliteAppender struct {
	db        *sql.DB
	channels  map[string]*place
	insert    *sql.Stmt // prepared at the first batch
	duplicate *sql.Stmt
}

func newSQLiteAppender(db *sql.DB) appender {
	return &sqliteAppender{db: db, channels: make(map[string]*place)}
}

const (
	sqliteInsert = `INSERT INTO messages (channel_id, seq, kind, event, client_id, user_id, username, idem_key, created_at, data)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (channel_id, user_id, idem_key) WHERE idem_key IS NOT NULL DO NOTHING`
	sqliteDuplicate = `SELECT seq, created_at FROM messages WHERE channel_id = ? AND user_id = ? AND idem_key = ?`
)

func (a *sqliteAppender) prepare(ctx context.Context) (err error) {
	if a.insert == nil {
		if a.insert, err = a.db.PrepareContext(ctx, sqliteInsert); err != nil {
			return err
		}
	}
	if a.duplicate == nil {
		a.duplicate, err = a.db.PrepareContext(ctx, sqliteDuplicate)
	}
	return err
}

// append implements appender. Neighbours in a channel are neighbours in the
// indexes, so a batch is stored channel by channel.
func (a *sqliteAppender) append(ctx context.Context, now time.Time, batch []*entry, u *upkeep) error {
	if err := a.prepare(ctx); err != nil {
		return err
	}
	now = now.Truncate(time.Millisecond)
	sorted := slices.Clone(batch)
	slices.SortStableFunc(sorted, func(x, y *entry) int { return cmp.Compare(x.message.Channel, y.message.Channel) })
	err := inTx(ctx, a.db, func(tx *sql.Tx) error {
		insert, duplicate := tx.StmtContext(ctx, a.insert), tx.StmtContext(ctx, a.duplicate)
		for len(sorted) > 0 {
			channel := sorted[0].message.Channel
			n := 1
			for n < len(sorted) && sorted[n].message.Channel == channel {
				n++
			}
			if err := a.appendTo(ctx, tx, channel, sorted[:n], appending{now, u, insert, duplicate}); err != nil {
				return err
			}
			sorted = sorted[n:]
		}
		return nil
	})
	if err != nil { // what was remembered may not have come to be
		for _, e := range batch {
			a.forget(e.message.Channel)
		}
	}
	if sqliteCode(err) == sqlite3.SQLITE_IOERR_FSYNC { // the commit is written, and may survive
		return fmt.Errorf("%w: %w", ws.ErrUnknown, err)
	}
	return err
}

// appending is what one transaction works with.
type appending struct {
	now               time.Time
	upkeep            *upkeep
	insert, duplicate *sql.Stmt
}

// appendTo stores the part of a batch that goes to one channel.
func (a *sqliteAppender) appendTo(ctx context.Context, tx *sql.Tx, channel string, part []*entry, in appending) error {
	p, err := a.find(ctx, tx, channel, in)
	if err != nil {
		return err
	}
	before, wasEmpty := p.head, p.head == p.tail
	for _, e := range part {
		if !e.opens {
			if err := e.insertAt(ctx, p, in); err != nil {
				return err
			}
			continue
		}
		e.receipt = ws.Receipt{Position: ws.Position{Epoch: p.epoch, Seq: p.head}}
	}
	if p.head == before {
		return nil
	}
	in.upkeep.grew(channel, p.id, before, p.head)
	if wasEmpty {
		_, err = tx.ExecContext(ctx, `UPDATE channels SET trim_at = ? WHERE id = ?`, in.upkeep.firstTrim(channel, in.now), p.id)
	}
	return err
}

// insertAt stores a message as the channel's next one, unless its key is there.
func (e *entry) insertAt(ctx context.Context, p *place, in appending) error {
	m := &e.message
	kind, key := kindJSON, sql.NullString{String: m.Key, Valid: m.Key != ""}
	if m.Binary {
		kind = kindBinary
	}
	data := m.Data
	if data == nil {
		data = []byte{} // not NULL
	}
	result, err := in.insert.ExecContext(ctx, p.id, p.head+1, kind, m.Event, m.Sender.ClientID, m.Sender.UserID, m.Sender.Username, key, in.now.UnixMilli(), data)
	if err != nil {
		return err
	}
	inserted, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if inserted == 1 {
		p.head++
		e.receipt = ws.Receipt{Position: ws.Position{Epoch: p.epoch, Seq: p.head}, Time: in.now}
		return nil
	}
	e.receipt = ws.Receipt{Position: ws.Position{Epoch: p.epoch}, Duplicate: true}
	var created int64
	err = in.duplicate.QueryRowContext(ctx, p.id, m.Sender.UserID, m.Key).Scan(&e.receipt.Seq, &created)
	e.receipt.Time = time.UnixMilli(created)
	return err
}

// find tells where a channel is, and makes it where it is new.
func (a *sqliteAppender) find(ctx context.Context, tx *sql.Tx, channel string, in appending) (*place, error) {
	if p := a.channels[channel]; p != nil {
		return p, nil
	}
	p, err := scanPlace(tx.QueryRowContext(ctx, placeOfName, channel))
	if errors.Is(err, errNoChannel) {
		_, err = tx.ExecContext(ctx, `INSERT INTO channels (name, epoch, tail_seq, trim_at) VALUES ($1, $2, 0, $3)`, channel, rand.Text(), in.upkeep.birthTrim(in.now))
		if err == nil {
			p, err = scanPlace(tx.QueryRowContext(ctx, placeOfName, channel))
		}
	}
	if err != nil {
		return nil, err
	}
	if len(a.channels) >= rememberedChannels {
		clear(a.channels)
	}
	a.channels[channel] = &p
	return &p, nil
}

// forget implements appender.
func (a *sqliteAppender) forget(channel string) { delete(a.channels, channel) }

// sqliteCode is the extended result code in an error; 0 where there is none.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return sqlite3.SQLITE_OK
	}
	return e.Code()
}

// isSQLitePoison tells whether an error is about what was to be stored, and not
// about the database.
func isSQLitePoison(err error) bool {
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return true
	}
	return false
}
