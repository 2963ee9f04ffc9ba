package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/gatecast/gatecast/ws"
)

// postgresAppender stores a batch in two round trips: lock the channels and
// look where they are, then insert and commit. Other nodes may write to the same
// channels; the locks, always taken in one order, make them wait.
type postgresAppender struct {
	db       *sql.DB
	channels map[string]channelKey // what does not change while a channel lives
}

type channelKey struct {
	id    int64
	epoch string
}

func newPostgresAppender(db *sql.DB) appender {
	return &postgresAppender{db: db, channels: make(map[string]channelKey)}
}

// forget implements appender.
func (a *postgresAppender) forget(channel string) { delete(a.channels, channel) }

// errForgotten: another node has forgotten a channel that we remember.
var errForgotten = errors.New("store: a channel was forgotten")

// append implements appender.
func (a *postgresAppender) append(ctx context.Context, now time.Time, batch []*entry, u *upkeep) error {
	err := a.try(ctx, now, batch, u)
	if errors.Is(err, errForgotten) {
		for _, e := range batch {
			a.forget(e.message.Channel)
		}
		err = a.try(ctx, now, batch, u)
	}
	return err
}

func (a *postgresAppender) try(ctx context.Context, now time.Time, batch []*entry, u *upkeep) error {
	conn, err := a.db.Conn(ctx)
	if err != nil {
		return err
	}
	b := pgBatch{now: now.Truncate(time.Millisecond), entries: batch, upkeep: u}
	err = conn.Raw(func(driverConn any) error {
		b.conn = driverConn.(*stdlib.Conn).Conn()
		if err := a.name(ctx, &b); err != nil {
			return err
		}
		return b.run(ctx)
	})
	_ = conn.Close() // back to the pool, or gone
	if b.committing && err != nil && b.conn.IsClosed() {
		return a.outcome(ctx, b.xid, err)
	}
	return err
}

// name gives every entry its channel's id and epoch, and makes the channels
// that are new.
func (a *postgresAppender) name(ctx context.Context, b *pgBatch) error {
	var names, epochs []string
	for _, e := range b.entries {
		if _, known := a.channels[e.message.Channel]; !known && !slices.Contains(names, e.message.Channel) {
			names, epochs = append(names, e.message.Channel), append(epochs, rand.Text())
		}
	}
	if len(names) > 0 {
		if err := a.make(ctx, b, names, epochs); err != nil {
			return err
		}
	}
	b.keys = a.channels
	return nil
}

func (a *postgresAppender) make(ctx context.Context, b *pgBatch, names, epochs []string) error {
	if len(a.channels)+len(names) > rememberedChannels {
		clear(a.channels)
		for _, e := range b.entries {
			if !slices.Contains(names, e.message.Channel) {
				names, epochs = append(names, e.message.Channel), append(epochs, rand.Text())
			}
		}
	}
	_, err := b.conn.Exec(ctx, `
		INSERT INTO channels (name, epoch, tail_seq, trim_at)
		SELECT n.name, n.epoch, 0, $3 FROM unnest($1::text[], $2::text[]) AS n (name, epoch)
		WHERE NOT EXISTS (SELECT 1 FROM channels c WHERE c.name = n.name COLLATE "C")
		ORDER BY n.name ON CONFLICT (name) DO NOTHING`, names, epochs, b.upkeep.birthTrim(b.now))
	if err != nil {
		return err
	}
	rows, err := b.conn.Query(ctx, `SELECT name, id, epoch FROM channels WHERE name = ANY($1)`, names)
	if err != nil {
		return err
	}
	var name string
	var key channelKey
	_, err = pgx.ForEachRow(rows, []any{&name, &key.id, &key.epoch}, func() error {
		a.channels[name] = key
		return nil
	})
	return err
}

// outcome asks what became of a transaction whose connection was lost at the
// commit. Where nobody answers, its fate is unknown.
func (a *postgresAppender) outcome(ctx context.Context, xid string, lost error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTimeout)
	defer cancel()
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	for {
		var status sql.NullString
		err := a.db.QueryRowContext(ctx, `SELECT pg_xact_status($1::text::xid8)`, xid).Scan(&status)
		switch {
		case err == nil && status.String == "committed":
			return nil
		case err == nil && status.String == "aborted":
			return lost
		}
		select { // in progress, or the database is still away
		case <-pause.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ws.ErrUnknown, lost)
		}
	}
}

// pgBatch is one transaction.
type pgBatch struct {
	now     time.Time
	entries []*entry
	upkeep  *upkeep
	conn    *pgx.Conn
	keys    map[string]channelKey

	xid        string
	places     map[int64]*pgPlace // by channel id
	first      map[pgKey]int      // entry that has a key first, or -1 where it is stored already
	committing bool
}

type pgPlace struct {
	name               string
	tail, head, before int64
}

// pgKey is what makes a message a duplicate.
type pgKey struct {
	channel   int64
	user, key string
}

func (b *pgBatch) run(ctx context.Context) error {
	err := b.lookUp(ctx)
	if err == nil {
		b.number()
		b.committing = true
		if err = b.insert(ctx); err == nil {
			for id, p := range b.places {
				b.upkeep.grew(p.name, id, p.before, p.head)
			}
			return nil
		}
	}
	if !b.conn.IsClosed() {
		b.committing = false
		_, _ = b.conn.Exec(ctx, `ROLLBACK`) // what cannot be rolled back is closed by the pool
	}
	return err
}

// lookUp locks the batch's channels and reads where they are, and which of the
// batch's keys are there. Both are statements of their own behind the lock, or
// they would not see what was committed while it was waited for.
func (b *pgBatch) lookUp(ctx context.Context) error {
	ids, keys := b.wanted()
	var batch pgx.Batch
	batch.Queue(`BEGIN`)
	batch.Queue(`SELECT id FROM channels WHERE id = ANY($1) ORDER BY id FOR UPDATE`, ids)
	batch.Queue(`SELECT c.id, c.name, c.tail_seq, `+headSeq+`, pg_current_xact_id()::text FROM channels c WHERE c.id = ANY($1)`, ids)
	batch.Queue(`
		SELECT m.channel_id, m.user_id, m.idem_key, m.seq, m.created_at
		FROM unnest($1::bigint[], $2::text[], $3::text[]) AS k (channel_id, user_id, idem_key)
		JOIN messages m ON m.channel_id = k.channel_id AND m.user_id = k.user_id AND m.idem_key = k.idem_key`, keys.channels, keys.users, keys.keys)
	results := b.conn.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }()
	if _, err := results.Exec(); err != nil {
		return err
	}
	locked, err := results.Exec()
	if err != nil {
		return err
	}
	if locked.RowsAffected() != int64(len(ids)) {
		return errForgotten
	}
	if err := b.readPlaces(results); err != nil {
		return err
	}
	return b.readDuplicates(results)
}

// keyColumns are the keys of a batch, column by column.
type keyColumns struct {
	channels    []int64
	users, keys []string
}

// wanted are the channels of the batch, and its keys.
func (b *pgBatch) wanted() (ids []int64, keys keyColumns) {
	n := len(b.entries)
	seen := make(map[int64]bool, n)
	ids = make([]int64, 0, n)
	keys = keyColumns{make([]int64, 0, n), make([]string, 0, n), make([]string, 0, n)}
	for _, e := range b.entries {
		id := b.keys[e.message.Channel].id
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
		if m := &e.message; m.Key != "" {
			keys.channels, keys.users, keys.keys = append(keys.channels, id), append(keys.users, m.Sender.UserID), append(keys.keys, m.Key)
		}
	}
	return ids, keys
}

func (b *pgBatch) readPlaces(results pgx.BatchResults) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	b.places = make(map[int64]*pgPlace, len(b.entries))
	for rows.Next() {
		var id int64
		var p pgPlace
		if err := rows.Scan(&id, &p.name, &p.tail, &p.head, &b.xid); err != nil {
			rows.Close()
			return err
		}
		p.before = p.head
		b.places[id] = &p
	}
	return rows.Err()
}

func (b *pgBatch) readDuplicates(results pgx.BatchResults) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	stored := make(map[pgKey]ws.Receipt)
	for rows.Next() {
		var k pgKey
		var created int64
		r := ws.Receipt{Duplicate: true}
		if err := rows.Scan(&k.channel, &k.user, &k.key, &r.Seq, &created); err != nil {
			rows.Close()
			return err
		}
		r.Time = time.UnixMilli(created)
		stored[k] = r
	}
	b.first = make(map[pgKey]int, len(b.entries))
	for _, e := range b.entries {
		k := b.keyOf(e)
		if r, ok := stored[k]; ok && k.key != "" {
			r.Epoch = b.keys[e.message.Channel].epoch
			e.receipt = r
			b.first[k] = -1
		}
	}
	return rows.Err()
}

func (b *pgBatch) keyOf(e *entry) pgKey {
	return pgKey{b.keys[e.message.Channel].id, e.message.Sender.UserID, e.message.Key}
}

// number gives the messages that are not stored yet their numbers.
func (b *pgBatch) number() {
	for i, e := range b.entries {
		k := b.keyOf(e)
		p := b.places[k.channel]
		at := ws.Position{Epoch: b.keys[e.message.Channel].epoch, Seq: p.head}
		if e.opens {
			e.receipt = ws.Receipt{Position: at}
			continue
		}
		if k.key != "" {
			if first, taken := b.first[k]; taken {
				if first >= 0 {
					e.receipt = b.entries[first].receipt
					e.receipt.Duplicate = true
				}
				continue
			}
			b.first[k] = i
		}
		p.head++
		at.Seq = p.head
		e.receipt = ws.Receipt{Position: at, Time: b.now}
	}
}

// insert stores what has a number of its own, and commits.
func (b *pgBatch) insert(ctx context.Context) error {
	c := newPGColumns(len(b.entries))
	for _, e := range b.entries {
		if !e.opens && !e.receipt.Duplicate {
			c.add(b.keys[e.message.Channel].id, e)
		}
	}
	var batch pgx.Batch
	if len(c.seqs) > 0 {
		batch.Queue(`
			INSERT INTO messages (channel_id, seq, kind, event, client_id, user_id, username, idem_key, created_at, data)
			SELECT n.channel_id, n.seq, n.kind, n.event, n.client_id, n.user_id, n.username, n.idem_key, $10, n.data
			FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[])
				AS n (channel_id, seq, kind, event, client_id, user_id, username, idem_key, data)`,
			c.channels, c.seqs, c.kinds, c.events, c.clients, c.users, c.usernames, c.keys, c.data, b.now.UnixMilli())
	}
	for id, p := range b.places {
		if p.tail == p.before && p.head > p.before {
			batch.Queue(`UPDATE channels SET trim_at = $2 WHERE id = $1`, id, b.upkeep.firstTrim(p.name, b.now))
		}
	}
	batch.Queue(`COMMIT`)
	return b.conn.SendBatch(ctx, &batch).Close()
}

// pgColumns are messages, column by column.
type pgColumns struct {
	channels, seqs                    []int64
	kinds                             []int16
	events, clients, users, usernames []string
	keys                              []*string
	data                              [][]byte
}

// newPGColumns makes room for n messages.
func newPGColumns(n int) *pgColumns {
	numbers, names := func() []int64 { return make([]int64, 0, n) }, func() []string { return make([]string, 0, n) }
	return &pgColumns{
		channels: numbers(), seqs: numbers(), kinds: make([]int16, 0, n),
		events: names(), clients: names(), users: names(), usernames: names(),
		keys: make([]*string, 0, n), data: make([][]byte, 0, n),
	}
}

func (c *pgColumns) add(channel int64, e *entry) {
	m := &e.message
	c.channels, c.seqs = append(c.channels, channel), append(c.seqs, e.receipt.Seq)
	kind := int16(kindJSON)
	if m.Binary {
		kind = kindBinary
	}
	c.kinds = append(c.kinds, kind)
	c.events, c.clients = append(c.events, m.Event), append(c.clients, m.Sender.ClientID)
	c.users, c.usernames = append(c.users, m.Sender.UserID), append(c.usernames, m.Sender.Username)
	var key *string
	if m.Key != "" {
		key = &m.Key
	}
	c.keys = append(c.keys, key)
	data := m.Data
	if data == nil {
		data = []byte{} // not NULL
	}
	c.data = append(c.data, data)
}

// isPostgresPoison tells whether an error is about what was to be stored, and
// not about the database: a data exception or a broken constraint.
func isPostgresPoison(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && len(e.Code) == 5 && (e.Code[:2] == "22" || e.Code[:2] == "23")
}
