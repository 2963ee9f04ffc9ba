package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the "sqlite" driver of database/sql
)

// ErrInUse: another process has the data folder open.
var ErrInUse = errors.New("store: the data folder is in use by another process")

const (
	databaseFile = "gatecast.db"
	lockFile     = "gatecast.lock"
	dirMode      = 0o700
	fileMode     = 0o600
	// sqliteReaders is how many reads run beside each other.
	sqliteReaders = 4
)

// Pragmas of the connections. Every commit is on the disk before it is
// answered (synchronous FULL). A checkpoint every 2048 pages (8 MiB) costs a
// fifth less in all than one every 512, and makes the slowest commit no longer
// where commits are as many as can be. Times are in milliseconds, sizes in bytes, a negative cache in
// KiB.
var (
	sqliteWriter = []string{
		"busy_timeout(5000)", "auto_vacuum(incremental)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
		"temp_store(MEMORY)", "journal_size_limit(16777216)", "wal_autocheckpoint(2048)", "cache_size(-16384)",
	}
	sqliteReader = []string{"busy_timeout(5000)", "query_only(ON)", "temp_store(MEMORY)", "mmap_size(268435456)"}
)

// OpenSQLite opens the database in dir, makes it at the first start and brings
// its tables up to date. ErrInUse tells that another process has it.
func OpenSQLite(ctx context.Context, dir string) (*DB, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("store: data folder: %w", err)
	}
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(fileMode))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("store: locking the data folder: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	d := &DB{lock: lock, driver: sqliteDriver()}
	if err := d.openSQLite(ctx, filepath.Join(dir, databaseFile)); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// JoinSQLite opens the database in dir beside the process that serves from it, or
// as OpenSQLite where there is none. It is for accounts and sessions: the log has
// one writer.
func JoinSQLite(ctx context.Context, dir string) (*DB, error) {
	d, err := OpenSQLite(ctx, dir)
	if !errors.Is(err, ErrInUse) {
		return d, err
	}
	d = &DB{driver: sqliteDriver()}
	if err := d.joinSQLite(ctx, filepath.Join(dir, databaseFile)); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *DB) joinSQLite(ctx context.Context, path string) (err error) {
	if d.write, err = connectSQLite(path, 1, url.Values{"_txlock": {"immediate"}, "_pragma": sqliteWriter}); err != nil {
		return err
	}
	d.log, d.read = d.write, d.write
	return d.checkCurrent(ctx)
}

func sqliteDriver() driver {
	return driver{dialect: goose.DialectSQLite3, migrations: "migrations/sqlite", newAppend: newSQLiteAppender}
}

func (d *DB) openSQLite(ctx context.Context, path string) (err error) {
	// The driver would make the file readable by all.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return fmt.Errorf("store: database file: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("store: database file: %w", err)
	}
	// SQLite has one writer: the pool's one connection goes round fairly.
	if d.write, err = connectSQLite(path, 1, url.Values{"_txlock": {"immediate"}, "_pragma": sqliteWriter}); err != nil {
		return err
	}
	d.log = d.write
	if err := d.migrate(ctx, d.write); err != nil {
		return err
	}
	if d.read, err = connectSQLite(path, sqliteReaders, url.Values{"_pragma": sqliteReader}); err != nil {
		return err
	}
	return d.prepare(ctx)
}

func connectSQLite(path string, conns int, options url.Values) (*sql.DB, error) {
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("store: database: %w", err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}
