package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gatecast/gatecast/config"
	"github.com/gatecast/gatecast/store"
)

// checkDB says what is in the database and what is wrong with it, which is an
// error.
func checkDB(ctx context.Context, c config.Config, stdout io.Writer) error {
	report, err := check(ctx, c)
	if err != nil {
		return err
	}
	text := counted(report)
	for _, finding := range report.Findings {
		text += "WRONG: " + finding + "\n"
	}
	if report.More {
		text += "WRONG: there is more of this\n"
	}
	if len(report.Findings) == 0 {
		text += "Nothing is wrong.\n"
	}
	if _, err := io.WriteString(stdout, text); err != nil {
		return err
	}
	if len(report.Findings) > 0 {
		return errors.New("the database is damaged: docs/operations.md tells how to restore a backup")
	}
	return nil
}

func check(ctx context.Context, c config.Config) (store.Report, error) {
	if c.Store.Driver == config.DriverPostgres {
		return store.CheckPostgres(ctx, c.Store.DSN.Reveal())
	}
	return store.CheckSQLite(ctx, c.DataDir)
}

// backupDB copies the database into the file that args name.
func backupDB(ctx context.Context, c config.Config, args []string, stdout io.Writer) error {
	if c.Store.Driver == config.DriverPostgres {
		return errors.New("db backup copies SQLite; back up PostgreSQL with pg_dump, as docs/operations.md shows")
	}
	report, err := store.BackupSQLite(ctx, c.DataDir, args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%sThey are in %s. To restore it, name it gatecast.db in a data folder of its own, beside a copy of keys/.\n", counted(report), args[0])
	return err
}

func counted(r store.Report) string {
	return fmt.Sprintf("accounts: %d, channels: %d, messages: %d\n", r.Accounts, r.Channels, r.Messages)
}
