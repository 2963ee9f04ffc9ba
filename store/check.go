package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// maxFindings is how many a Report holds: enough to see what they have in
// common.
const maxFindings = 20

// Report is what a check of a database found.
type Report struct {
	Accounts, Channels, Messages int64

	Findings []string // what is wrong, in words
	More     bool     // there is more than Findings holds
}

// CheckSQLite looks through the database in dir, which another process may have
// open. It changes nothing.
func CheckSQLite(ctx context.Context, dir string) (Report, error) {
	db, err := openToRead(filepath.Join(dir, databaseFile))
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = db.Close() }()
	return checkSQLite(ctx, db)
}

// CheckPostgres looks through the database that dsn names, which other processes
// may use. It changes nothing.
func CheckPostgres(ctx context.Context, dsn string) (Report, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return Report{}, fmt.Errorf("store: dsn: %w", err)
	}
	db := connectPostgres(config, 1, map[string]string{"default_transaction_read_only": "on"})
	defer func() { _ = db.Close() }()
	var r Report
	err = r.checkRows(ctx, db)
	return r, err
}

// openToRead opens a database that is there, without the data folder's lock.
func openToRead(path string) (*sql.DB, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: there is no database %s", path)
	} else if err != nil {
		return nil, fmt.Errorf("store: database file: %w", err)
	}
	return connectSQLite(path, 1, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}})
}

// checkSQLite looks at the file first: what is said of the rows means little
// where it is damaged.
func checkSQLite(ctx context.Context, db *sql.DB) (Report, error) {
	var r Report
	for _, look := range []func(context.Context, *sql.DB) error{r.checkFile, r.checkReferences, r.checkRows} {
		if err := look(ctx, db); isDamage(err) {
			r.found(err.Error())
			break
		} else if err != nil {
			return r, err
		}
	}
	return r, nil
}

// isDamage tells whether SQLite could not read on because of what it read.
func isDamage(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}

// found adds a finding and tells whether there is room for another.
func (r *Report) found(finding string) bool {
	if len(r.Findings) == maxFindings {
		r.More = true
		return false
	}
	r.Findings = append(r.Findings, finding)
	return true
}

// checkFile has SQLite look at its pages, indexes and constraints.
func (r *Report) checkFile(ctx context.Context, db *sql.DB) error {
	return each(ctx, db, fmt.Sprintf("PRAGMA integrity_check(%d)", maxFindings+1), func(rows *sql.Rows) (bool, error) {
		var says string
		if err := rows.Scan(&says); err != nil || says == "ok" {
			return false, err
		}
		return r.found(says), nil
	})
}

// checkReferences has SQLite look for rows whose parent is gone.
func (r *Report) checkReferences(ctx context.Context, db *sql.DB) error {
	return each(ctx, db, "PRAGMA foreign_key_check", func(rows *sql.Rows) (bool, error) {
		var table, parent string
		var row, key sql.NullInt64
		if err := rows.Scan(&table, &row, &parent, &key); err != nil {
			return false, err
		}
		return r.found(fmt.Sprintf("table %s: row %d belongs to a row of %s that is not there", table, row.Int64, parent)), nil
	})
}

// checkRows counts, and holds the channels to what the log promises.
func (r *Report) checkRows(ctx context.Context, db *sql.DB) error {
	err := db.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM accounts), (SELECT COUNT(*) FROM channels), (SELECT COUNT(*) FROM messages)`).
		Scan(&r.Accounts, &r.Channels, &r.Messages)
	if err != nil {
		return wrap("counting", err)
	}
	// One statement sees the channels and the messages of one moment, whatever
	// is published and trimmed meanwhile. Each number is held against the one
	// before it, and a channel's first one against its tail.
	return each(ctx, db, `
		SELECT m.channel_id, c.name, c.tail_seq, m.before, m.seq
		FROM (SELECT channel_id, seq, LAG(seq) OVER (PARTITION BY channel_id ORDER BY seq) AS before FROM messages) m
		LEFT JOIN channels c ON c.id = m.channel_id
		WHERE m.seq <> COALESCE(m.before, c.tail_seq) + 1 OR (c.id IS NULL AND m.before IS NULL)`,
		func(rows *sql.Rows) (bool, error) {
			var s step
			if err := rows.Scan(&s.id, &s.channel, &s.tail, &s.before, &s.seq); err != nil {
				return false, err
			}
			return r.found(s.String()), nil
		})
}

// step is a number in a channel that should not follow what is before it.
type step struct {
	id           int64
	channel      sql.NullString // not there where the channel is not
	tail, before sql.NullInt64  // before is not there for the channel's first message
	seq          int64
}

func (s step) String() string {
	channel := "channel " + s.channel.String
	if !s.channel.Valid {
		channel = fmt.Sprintf("channel id %d", s.id)
	}
	last := s.before.Int64
	switch {
	case !s.before.Valid && !s.channel.Valid:
		return fmt.Sprintf("%s: there is no such channel, but messages of it, from number %d on", channel, s.seq)
	case !s.before.Valid && s.seq <= s.tail.Int64:
		return fmt.Sprintf("%s: message %d is there, but all up to %d should be gone", channel, s.seq, s.tail.Int64)
	case !s.before.Valid:
		last = s.tail.Int64
	case s.seq == last:
		return fmt.Sprintf("%s: number %d was given twice", channel, s.seq)
	}
	if s.seq == last+2 {
		return fmt.Sprintf("%s: message %d is missing", channel, last+1)
	}
	return fmt.Sprintf("%s: messages %d to %d are missing", channel, last+1, s.seq-1)
}

// each calls do with the rows that a query gives, until it answers false.
func each(ctx context.Context, db *sql.DB, query string, do func(*sql.Rows) (more bool, err error)) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return wrap("checking", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if more, err := do(rows); err != nil || !more {
			return wrap("checking", err)
		}
	}
	return wrap("checking", rows.Err())
}
