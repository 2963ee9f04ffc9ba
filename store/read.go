package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gatecast/gatecast/ws"
)

// readTimeout bounds a read of the log.
const readTimeout = 5 * time.Second

var errNoChannel = errors.New("store: there is no such channel")

// place is where a channel is.
type place struct {
	id     int64
	epoch  string
	tail   int64 // the newest number that is no longer kept
	head   int64 // the newest number
	trimAt time.Time
}

// headSeq is the newest number of the channel c, in the select list of a
// query.
const headSeq = `COALESCE((SELECT MAX(seq) FROM messages WHERE channel_id = c.id), c.tail_seq)`

const (
	selectPlace = `SELECT c.id, c.epoch, c.tail_seq, c.trim_at, ` + headSeq + ` FROM channels c WHERE `
	placeOfName = selectPlace + `c.name = $1`
	placeOfID   = selectPlace + `c.id = $1`
)

func (d *DB) place(ctx context.Context, channel string) (place, error) {
	ctx, cancel := d.bound(ctx, readTimeout)
	defer cancel()
	return scanPlace(d.placeOf.QueryRowContext(ctx, channel))
}

func scanPlace(row *sql.Row) (place, error) {
	var p place
	var trimAt int64
	err := row.Scan(&p.id, &p.epoch, &p.tail, &trimAt, &p.head)
	if errors.Is(err, sql.ErrNoRows) {
		return place{}, errNoChannel
	}
	p.trimAt = time.UnixMilli(trimAt)
	return p, wrap("finding a channel", err)
}

// Kinds of messages in the table.
const (
	kindJSON    = 0
	kindBinary  = 1
	kindRemoved = 2
)

// selectPage is ended by the direction.
const selectPage = `SELECT m.seq, m.kind, m.event, m.client_id, m.user_id, m.username, COALESCE(m.idem_key, ''), m.created_at, m.data
	FROM messages m WHERE m.channel_id = $1 AND m.seq > $2 AND m.seq < $3 ORDER BY m.seq `

// Read implements ws.Log.
func (l *Log) Read(ctx context.Context, channel string, span ws.Span) (ws.Page, error) {
	var page ws.Page
	place, err := l.db.place(ctx, channel)
	if errors.Is(err, errNoChannel) {
		return ws.Page{}, l.noteRead(ctx, nil)
	}
	if err == nil {
		page, err = l.db.page(ctx, channel, place, span)
	}
	return page, l.noteRead(ctx, err)
}

// noteRead remembers whether reading works. Whose own time is over tells
// nothing of that.
func (l *Log) noteRead(ctx context.Context, err error) error {
	switch {
	case err == nil:
		l.reading.mend()
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	l.reading.fail(err)
	return fmt.Errorf("%w: %w", ws.ErrUnavailable, err)
}

// page reads a page whole and ends the read before anything is sent: an open
// one would keep SQLite's write-ahead log from being reused.
func (d *DB) page(ctx context.Context, channel string, place place, span ws.Span) (ws.Page, error) {
	ctx, cancel := d.bound(ctx, readTimeout)
	defer cancel()
	query := d.pageUp
	if span.Newest {
		query = d.pageDown
	}
	before := span.Before
	if before == 0 {
		before = math.MaxInt64
	}
	rows, err := query.QueryContext(ctx, place.id, span.After, before, span.Limit+1)
	if err != nil {
		return ws.Page{}, wrap("reading messages", err)
	}
	defer func() { _ = rows.Close() }()
	page := ws.Page{Epoch: place.epoch, Head: place.head, Tail: place.tail}
	for size := 0; rows.Next(); {
		m, err := scanMessage(rows, channel)
		if err != nil {
			return ws.Page{}, err
		}
		size += len(m.Data)
		n := len(page.Messages)
		if n == span.Limit || n > 0 && span.Bytes > 0 && size > span.Bytes {
			page.More = true
			break
		}
		page.Messages = append(page.Messages, m)
	}
	if err := rows.Err(); err != nil {
		return ws.Page{}, wrap("reading messages", err)
	}
	if span.Newest {
		slices.Reverse(page.Messages)
	}
	if n := len(page.Messages); n > 0 {
		page.Head = max(page.Head, page.Messages[n-1].Seq) // it may have come since
	}
	return page, nil
}

func scanMessage(rows *sql.Rows, channel string) (ws.Message, error) {
	m := ws.Message{Channel: channel}
	var kind int
	var created int64
	err := rows.Scan(&m.Seq, &kind, &m.Event, &m.Sender.ClientID, &m.Sender.UserID, &m.Sender.Username, &m.Key, &created, &m.Data)
	m.Binary, m.Removed, m.Time = kind == kindBinary, kind == kindRemoved, time.UnixMilli(created)
	return m, wrap("reading a message", err)
}

// List implements ws.Log.
func (l *Log) List(ctx context.Context, q ws.ListQuery) (list []ws.ChannelInfo, more bool, err error) {
	for _, r := range q.Ranges {
		if r.To <= q.After {
			continue
		}
		part, cut, err := l.db.list(ctx, r, ws.ListQuery{After: q.After, Limit: q.Limit - len(list), Bytes: q.Bytes})
		if err := l.noteRead(ctx, err); err != nil {
			return nil, false, err
		}
		list = append(list, part...)
		if cut {
			return list, true, nil
		}
	}
	return list, false, nil
}

// list gives the channels of one range.
func (d *DB) list(ctx context.Context, r ws.NameRange, q ws.ListQuery) (list []ws.ChannelInfo, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	rows, err := d.read.QueryContext(ctx, `
		SELECT c.name, c.epoch, c.tail_seq, m.seq, m.kind, m.event, m.client_id, m.user_id, m.username, m.idem_key, m.created_at, m.data
		FROM channels c LEFT JOIN messages m
			ON m.channel_id = c.id AND m.seq = (SELECT MAX(seq) FROM messages WHERE channel_id = c.id)
		WHERE c.name >= $1 AND c.name < $2 AND c.name > $3 ORDER BY c.name LIMIT $4`, r.From, r.To, q.After, q.Limit+1)
	if err != nil {
		return nil, false, wrap("listing channels", err)
	}
	defer func() { _ = rows.Close() }()
	for size := 0; rows.Next(); {
		info, err := scanChannel(rows)
		if err != nil {
			return nil, false, err
		}
		if info.Last != nil {
			size += len(info.Last.Data)
		}
		if len(list) == q.Limit || len(list) > 0 && q.Bytes > 0 && size > q.Bytes {
			more = true
			break
		}
		list = append(list, info)
	}
	return list, more, wrap("listing channels", rows.Err())
}

// scanChannel reads a channel and its newest message, which may be missing.
func scanChannel(rows *sql.Rows) (ws.ChannelInfo, error) {
	var info ws.ChannelInfo
	var tail int64
	var seq, kind, created sql.NullInt64
	var event, clientID, userID, username, key sql.NullString
	var data []byte
	err := rows.Scan(&info.Name, &info.Epoch, &tail, &seq, &kind, &event, &clientID, &userID, &username, &key, &created, &data)
	if err != nil {
		return info, wrap("reading a channel", err)
	}
	info.Seq = tail
	if seq.Valid {
		info.Seq = seq.Int64
		info.Last = &ws.Message{
			Channel: info.Name, Event: event.String, Data: data, Key: key.String,
			Binary: kind.Int64 == kindBinary, Removed: kind.Int64 == kindRemoved,
			Sender: ws.Sender{ClientID: clientID.String, UserID: userID.String, Username: username.String},
			Seq:    seq.Int64, Time: time.UnixMilli(created.Int64),
		}
	}
	return info, nil
}
