package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/gatecast/gatecast/ws"
)

const (
	// trimSlack is how many messages a channel grows by between two looks at
	// its count: trimming at each would cost as much as storing.
	trimSlack = 32
	// trimChannels and trimMessages bound one look, so that no publisher waits
	// long behind it. A channel loses more at a time than it grows by.
	trimChannels = 16
	trimMessages = 100
	// eraseMessages is how many messages one step of an erasure looks at.
	eraseMessages = 2000
	// lookAgain is how long a channel that keeps messages goes without a look, so
	// that what is kept by changed rules does not stay for ever.
	lookAgain = 6 * time.Hour
)

// upkeep is what the writer does beside storing: it trims channels that have
// more than they keep, forgets empty ones, goes through the messages of deleted
// accounts, and tries out a database that has failed. It is owned by writeLoop.
type upkeep struct {
	log     *Log
	due     map[int64]string // names by id of channels that have grown past what they keep
	backlog bool             // the last look found as much as it may take
}

// grew is told by the appender that a channel's head has moved.
func (u *upkeep) grew(channel string, id, before, after int64) {
	if before/trimSlack == after/trimSlack {
		return
	}
	if h := u.log.opts.History(channel); h.Count > 0 && after > int64(h.Count) {
		u.due[id] = channel
	}
}

// firstTrim is the trim_at, in Unix milliseconds, of a channel whose first
// message is stored now.
func (u *upkeep) firstTrim(channel string, now time.Time) int64 {
	h := u.log.opts.History(channel)
	wait := lookAgain
	if h.Age > 0 || !h.Keeps() {
		wait = min(wait, max(h.Age, u.log.opts.DedupeWindow))
	}
	return now.Add(wait).UnixMilli()
}

// birthTrim is the trim_at of a channel that is made now.
func (u *upkeep) birthTrim(now time.Time) int64 { return now.Add(u.log.opts.ForgetAfter).UnixMilli() }

// afterBatch does a little where there is much to do.
func (u *upkeep) afterBatch() {
	if u.backlog || len(u.due) >= trimChannels {
		u.step()
	}
}

// onTick works until nothing is due, or something is to be stored. Where the log
// is to stop it does nothing: a database that hangs would hold up the stop, try
// after try.
func (u *upkeep) onTick() {
	if u.isStopped() || u.log.Err() != nil && !u.probe() {
		return
	}
	for more := true; more && len(u.log.intake) == 0 && !u.isStopped(); {
		more = u.step()
	}
}

func (u *upkeep) isStopped() bool {
	select {
	case <-u.log.stop:
		return true
	default:
		return false
	}
}

// step does one bounded part of what is due, and tells whether there is more.
func (u *upkeep) step() (more bool) {
	ctx, cancel := u.log.db.bound(u.log.ctx, batchTimeout)
	defer cancel()
	trims, err := u.trimSome(ctx)
	erases := false
	if err == nil {
		erases, err = u.eraseSome(ctx)
	}
	if err != nil {
		u.backlog = false // not before the next tick
		u.log.writing.fail(err)
		return false
	}
	u.backlog = trims || erases
	return u.backlog
}

// probe writes and takes back a row, to see whether the database stores again.
func (u *upkeep) probe() bool {
	ctx, cancel := u.log.db.bound(u.log.ctx, batchTimeout)
	defer cancel()
	err := inTx(ctx, u.log.db.log, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO erasures (user_id, remove, next_id, due_at, until_at) VALUES ('', 0, 0, $1, 0)`, int64(math.MaxInt64)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM erasures WHERE user_id = ''`)
		return err
	})
	if err != nil {
		u.log.writing.fail(err)
		return false
	}
	u.log.writing.mend()
	return true
}

// trimSome trims channels that have grown and channels whose time has come.
func (u *upkeep) trimSome(ctx context.Context) (more bool, err error) {
	now := u.log.opts.Now()
	names, err := u.log.db.timed(ctx, now)
	if err != nil {
		return false, err
	}
	more = len(names) == trimChannels
	for id, name := range u.due {
		if len(names) == 2*trimChannels {
			more = true
			break
		}
		names[id] = name
	}
	if len(names) == 0 {
		return false, nil
	}
	var emptied []string
	err = inTx(ctx, u.log.db.log, func(tx *sql.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(names)) { // in the order in which appends lock them
			t := trim{id: id, db: u.log.db, history: u.log.opts.History(names[id]), now: now, opts: &u.log.opts, isOpen: u.log.isOpen(names[id])}
			again, err := t.run(ctx, tx)
			if err != nil {
				return err
			}
			more = more || again
			if t.emptied {
				emptied = append(emptied, names[id])
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, name := range emptied {
		u.log.append.forget(name)
	}
	for id := range names {
		delete(u.due, id)
	}
	return more, nil
}

// timed are names by id of channels whose trim_at has come.
func (d *DB) timed(ctx context.Context, now time.Time) (map[int64]string, error) {
	rows, err := d.log.QueryContext(ctx, `SELECT id, name FROM channels WHERE trim_at <= $1 ORDER BY trim_at LIMIT $2`, now.UnixMilli(), trimChannels)
	if err != nil {
		return nil, wrap("looking for channels to trim", err)
	}
	defer func() { _ = rows.Close() }()
	names := make(map[int64]string)
	for rows.Next() {
		var id int64
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return nil, wrap("looking for channels to trim", err)
		}
		names[id] = name
	}
	return names, wrap("looking for channels to trim", rows.Err())
}

// trim takes the oldest messages off one channel.
type trim struct {
	id      int64
	db      *DB
	history ws.History
	now     time.Time
	opts    *LogOptions
	isOpen  bool

	emptied bool // nothing is kept any more
}

// run trims a part, and tells whether there is more to trim now.
func (t *trim) run(ctx context.Context, tx *sql.Tx) (more bool, err error) {
	p, err := scanPlace(tx.QueryRowContext(ctx, placeOfID+t.db.driver.forUpdate, t.id))
	if errors.Is(err, errNoChannel) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if p.tail == p.head && !p.trimAt.After(t.now) && !t.isOpen {
		t.emptied = true
		// Another writer that has just begun to use the channel has moved its
		// trim_at.
		_, err := tx.ExecContext(ctx, `DELETE FROM channels WHERE id = $1 AND trim_at = $2`, p.id, p.trimAt.UnixMilli())
		return false, wrap("forgetting a channel", err)
	}
	tail, more, err := t.cut(ctx, tx, p)
	if err != nil {
		return false, err
	}
	t.emptied = tail == p.head
	next := t.now.UnixMilli()
	if !more {
		if next, err = t.next(ctx, tx, p, tail); err != nil {
			return false, err
		}
	}
	_, err = tx.ExecContext(ctx,
		`UPDATE channels SET tail_seq = CASE WHEN tail_seq < $1 THEN $1 ELSE tail_seq END, trim_at = $2 WHERE id = $3`, tail, next, p.id)
	return more, wrap("trimming a channel", err)
}

// surplus is the newest number that the count leaves no room for; 0 for none.
func (t *trim) surplus(p place) int64 {
	switch {
	case !t.history.Keeps():
		return p.head
	case t.history.Count == 0:
		return 0
	default:
		return max(0, p.head-int64(t.history.Count))
	}
}

// cut deletes up to the first message that is kept, trimMessages at most, and
// gives the new tail. What the dedupe window covers is kept, whatever the count
// and the age say.
func (t *trim) cut(ctx context.Context, tx *sql.Tx, p place) (tail int64, more bool, err error) {
	oldest := int64(math.MinInt64)
	if t.history.Age > 0 {
		oldest = t.now.Add(-t.history.Age).UnixMilli()
	}
	end := min(p.tail+trimMessages, p.head)
	var kept sql.NullInt64
	err = tx.QueryRowContext(ctx, `
		SELECT MIN(seq) FROM messages WHERE channel_id = $1 AND seq > $2 AND seq <= $3
			AND (created_at > $4 OR (seq > $5 AND created_at > $6))`,
		p.id, p.tail, end, t.now.Add(-t.opts.DedupeWindow).UnixMilli(), t.surplus(p), oldest).Scan(&kept)
	if err != nil {
		return 0, false, wrap("looking for messages to trim", err)
	}
	tail = end
	if kept.Valid {
		tail = kept.Int64 - 1
	}
	if tail > p.tail {
		_, err = tx.ExecContext(ctx, `DELETE FROM messages WHERE channel_id = $1 AND seq <= $2`, p.id, tail)
	}
	return tail, !kept.Valid && end < p.head, wrap("trimming messages", err)
}

// next is when the first message that is kept may go, in Unix milliseconds, or
// when the channel may where none is.
func (t *trim) next(ctx context.Context, tx *sql.Tx, p place, tail int64) (int64, error) {
	if tail == p.head {
		return t.now.Add(t.opts.ForgetAfter).UnixMilli(), nil
	}
	var created int64
	if err := tx.QueryRowContext(ctx, `SELECT created_at FROM messages WHERE channel_id = $1 AND seq = $2`, p.id, tail+1).Scan(&created); err != nil {
		return 0, wrap("looking at the first message", err)
	}
	stays := t.opts.DedupeWindow
	if tail >= t.surplus(p) {
		if t.history.Age == 0 {
			return t.now.Add(lookAgain).UnixMilli(), nil
		}
		stays = max(stays, t.history.Age)
	}
	return min(created+stays.Milliseconds(), t.now.Add(lookAgain).UnixMilli()), nil
}
