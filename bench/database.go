package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/store/storetest"
)

// database is an empty one, for one row.
type database struct {
	driver string
	dir    string // the server's data folder
	dsn    string // of PostgreSQL
	pid    int    // of PostgreSQL's first process; 0 where the database is the server's own
}

func (b *bench) newDatabase(ctx context.Context, driver string) (*database, error) {
	d := &database{driver: driver}
	var err error
	if driver == driverPostgres {
		if err := b.startPostgres(ctx); err != nil {
			return nil, err
		}
		if d.dsn, err = b.postgres.NewDatabase(ctx); err != nil {
			return nil, err
		}
		if d.pid, err = postmaster(ctx, d.dsn); err != nil {
			return nil, err
		}
	}
	d.dir, err = os.MkdirTemp(b.dir, "data-")
	return d, err
}

// startPostgres does not end with ctx: half a start could leave processes behind.
func (b *bench) startPostgres(ctx context.Context) (err error) {
	if b.postgres == nil {
		b.postgres, err = storetest.StartPostgres(context.WithoutCancel(ctx))
	}
	return err
}

// postmaster is the parent of PostgreSQL's processes.
func postmaster(ctx context.Context, dsn string) (int, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	var pid int
	if err := conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
		return 0, err
	}
	p, err := readProcess(pid)
	if err == nil && !p.present {
		err = fmt.Errorf("PostgreSQL's process %d is not to be seen", pid)
	}
	return p.parent, err
}

// flags tell the server where its database is.
func (d *database) flags() []string {
	if d.driver == driverPostgres {
		return []string{"--data-dir=" + d.dir, "--store.driver=postgres", "--store.dsn=" + d.dsn}
	}
	return []string{"--data-dir=" + d.dir}
}

// open opens it without the server.
func (d *database) open(ctx context.Context) (*store.DB, error) {
	if d.driver == driverPostgres {
		return store.OpenPostgres(ctx, d.dsn)
	}
	return store.OpenSQLite(ctx, d.dir)
}

// cpu is what its own processes have used.
func (d *database) cpu() (time.Duration, error) {
	if d.pid == 0 {
		return 0, nil
	}
	return family(d.pid)
}

// remove takes it off the disk, so that the next row does not pay for what this
// one left to be done.
func (d *database) remove() error {
	err := os.RemoveAll(d.dir)
	if d.dsn != "" {
		err = errors.Join(err, d.drop())
	}
	return err
}

func (d *database) drop() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	config, err := pgx.ParseConfig(d.dsn)
	if err != nil {
		return err
	}
	name := pgx.Identifier{config.Database}.Sanitize()
	config.Database = "postgres"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	return err
}
