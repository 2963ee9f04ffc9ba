// Package store keeps accounts, login sessions and the channels' log in SQL.
// SQLite needs nothing installed: one file, used by one process. PostgreSQL is
// for more than one machine. One text serves both, but for appending to the
// log, which each wants its own way.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"

	"github.com/gatecast/gatecast/auth"
)

// DB is a database. It is safe for concurrent use.
type DB struct {
	// static after construction
	driver driver
	write  *sql.DB
	read   *sql.DB
	log    *sql.DB      // what the log is written through; the same as write in SQLite
	lock   *flock.Flock // nil in PostgreSQL

	// what subscribers read with: parsing costs SQLite as much as reading
	placeOf, pageUp, pageDown *sql.Stmt
}

// driver is one of the databases.
type driver struct {
	dialect    goose.Dialect
	migrations string // folder
	newAppend  func(*sql.DB) appender
	// remote databases can leave a call without an answer. What runs inside the
	// process ends by itself, and a context with an end costs it a goroutine a
	// statement.
	remote bool
	// forUpdate ends a query that keeps other writers off its rows.
	forUpdate string
	// skipLocked ends a query that passes by rows that other writers are at.
	skipLocked string
}

//go:embed migrations
var migrations embed.FS

// migrate brings the tables up to date, through a pool that lets it take its time.
func (d *DB) migrate(ctx context.Context, pool *sql.DB, options ...goose.ProviderOption) error {
	provider, err := d.migrations(pool, options...)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("store: migrations: %w", err)
	}
	return nil
}

// checkCurrent fails where the tables are of another version than this program's.
func (d *DB) checkCurrent(ctx context.Context) error {
	provider, err := d.migrations(d.write)
	if err != nil {
		return err
	}
	pending, err := provider.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("store: migrations: %w", err)
	}
	if pending {
		return errors.New("store: the server that has this database open is an older version; use its own program")
	}
	return nil
}

func (d *DB) migrations(pool *sql.DB, options ...goose.ProviderOption) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, d.driver.migrations)
	if err != nil {
		return nil, fmt.Errorf("store: migrations: %w", err)
	}
	provider, err := goose.NewProvider(d.driver.dialect, pool, files, options...)
	if err != nil {
		return nil, fmt.Errorf("store: migrations: %w", err)
	}
	return provider, nil
}

// prepare prepares what is read often.
func (d *DB) prepare(ctx context.Context) error {
	for into, text := range map[**sql.Stmt]string{
		&d.placeOf: placeOfName, &d.pageUp: selectPage + `ASC LIMIT $4`, &d.pageDown: selectPage + `DESC LIMIT $4`,
	} {
		var err error
		if *into, err = d.read.PrepareContext(ctx, text); err != nil {
			return fmt.Errorf("store: preparing to read: %w", err)
		}
	}
	return nil
}

// Ping tells whether the database answers.
func (d *DB) Ping(ctx context.Context) error {
	var one int
	if err := d.read.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("store: database does not answer: %w", err)
	}
	return nil
}

// Close closes the database, and lets another process have it.
func (d *DB) Close() error {
	var errs []error
	closed := make(map[*sql.DB]bool)
	for _, pool := range []*sql.DB{d.read, d.log, d.write} {
		if pool != nil && !closed[pool] {
			closed[pool] = true
			errs = append(errs, pool.Close())
		}
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Unlock())
	}
	return errors.Join(errs...)
}

// bound gives a context an end where calls may have none.
func (d *DB) bound(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if d.driver.remote {
		return context.WithTimeout(ctx, timeout)
	}
	return context.Background(), func() {}
}

// inTx runs do in a transaction of pool.
func inTx(ctx context.Context, pool *sql.DB, do func(*sql.Tx) error) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s: %w", doing, err)
}

// execer is a pool or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// changeOne runs a statement about one row; auth.ErrNotFound where there is none.
func changeOne(ctx context.Context, db execer, statement string, args ...any) error {
	result, err := db.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return auth.ErrNotFound
	}
	return nil
}

// scan is Scan of a row.
type scan = func(into ...any) error

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// eachRow reads all rows of a query.
func eachRow(ctx context.Context, db querier, query string, args []any, do func(scan) error) (err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := do(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// fromMilli is the time that is kept as Unix milliseconds; 0 is none.
func fromMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
