// Package store keeps accounts and login sessions in SQL. SQLite is the
// database that needs nothing installed: one file, used by one process.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
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
	// readConns is how many reads run beside each other.
	readConns = 4
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// SQLite is a database file. It is safe for concurrent use.
type SQLite struct {
	// static after construction
	lock  *flock.Flock
	write *sql.DB // one connection: SQLite has one writer
	read  *sql.DB
}

// OpenSQLite opens the database in dir, makes it at the first start and brings
// its tables up to date. ErrInUse tells that another process has it.
func OpenSQLite(ctx context.Context, dir string) (*SQLite, error) {
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
	s := &SQLite{lock: lock}
	if err := s.open(ctx, filepath.Join(dir, databaseFile)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *SQLite) open(ctx context.Context, path string) (err error) {
	// The driver would make the file readable by all.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return fmt.Errorf("store: database file: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("store: database file: %w", err)
	}
	if s.write, err = connect(path, 1, url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(5000)", "auto_vacuum(incremental)", "journal_mode(WAL)", "synchronous(FULL)",
			"foreign_keys(ON)", "temp_store(MEMORY)", "journal_size_limit(16777216)"},
	}); err != nil {
		return err
	}
	if err := migrate(ctx, s.write); err != nil {
		return err
	}
	s.read, err = connect(path, readConns, url.Values{
		"_pragma": {"busy_timeout(5000)", "query_only(ON)", "temp_store(MEMORY)"},
	})
	return err
}

func connect(path string, conns int, options url.Values) (*sql.DB, error) {
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("store: database: %w", err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return fmt.Errorf("store: migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return fmt.Errorf("store: migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("store: migrations: %w", err)
	}
	return nil
}

// Ping tells whether the database answers.
func (s *SQLite) Ping(ctx context.Context) error {
	var one int
	if err := s.read.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("store: database does not answer: %w", err)
	}
	return nil
}

// Close closes the database and lets another process have it.
func (s *SQLite) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Unlock())...)
}
