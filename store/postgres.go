package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Connections of a node to PostgreSQL. The log's second one is for asking what
// became of a commit.
const (
	postgresWriters = 4
	postgresReaders = 8
	postgresLog     = 2
)

// postgresPlans are planner settings of the log. It runs the same few statements
// all day, each along one index: planning them anew, reading a table from end to
// end or hashing it is never right, whatever old statistics say.
var postgresPlans = map[string]string{
	"jit":               "off",
	"plan_cache_mode":   "force_generic_plan",
	"enable_seqscan":    "off",
	"enable_bitmapscan": "off",
	"enable_hashjoin":   "off",
	"enable_mergejoin":  "off",
}

// Settings of one kind of connection. A node that hangs must not keep channels or
// accounts locked, and what it has revoked must be seen, or never have been,
// before other nodes have read on (auth.Revocations).
var (
	postgresWriteSession = map[string]string{"statement_timeout": "5s", "lock_timeout": "4s", "idle_in_transaction_session_timeout": "10s"}
	postgresLogSession   = map[string]string{"lock_timeout": "4s", "idle_in_transaction_session_timeout": "10s"}
	postgresReadSession  = map[string]string{"default_transaction_read_only": "on"}
)

// OpenPostgres connects to the database that dsn names and brings its tables up
// to date.
func OpenPostgres(ctx context.Context, dsn string) (*DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("store: dsn: %w", err) // pgx leaves the password out
	}
	d := &DB{
		driver: driver{dialect: goose.DialectPostgres, migrations: "migrations/postgres", newAppend: newPostgresAppender, remote: true, forUpdate: " FOR UPDATE", skipLocked: " FOR UPDATE SKIP LOCKED"},
		write:  connectPostgres(config, postgresWriters, postgresWriteSession),
		read:   connectPostgres(config, postgresReaders, postgresPlans, postgresReadSession),
		log:    connectPostgres(config, postgresLog, postgresPlans, postgresLogSession),
	}
	if err := d.open(ctx, config); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *DB) open(ctx context.Context, config *pgx.ConnConfig) (err error) {
	if err := d.Ping(ctx); err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker() // nodes may start together
	if err != nil {
		return fmt.Errorf("store: migrations: %w", err)
	}
	slow := connectPostgres(config, 1)
	defer func() { err = errors.Join(err, slow.Close()) }()
	if err := d.migrate(ctx, slow, goose.WithSessionLocker(locker)); err != nil {
		return err
	}
	return d.prepare(ctx)
}

func connectPostgres(config *pgx.ConnConfig, conns int, settings ...map[string]string) *sql.DB {
	config = config.Copy()
	for _, set := range settings {
		maps.Copy(config.RuntimeParams, set)
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "gatecast"
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db
}
