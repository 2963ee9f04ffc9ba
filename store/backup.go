package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// BackupSQLite copies the database in dir, which another process may have open,
// into a file that is not there yet. What was acknowledged before it began is in
// it. Its channels have epochs of their own: what the database goes on to tell
// clients under the old ones is not in the copy.
func BackupSQLite(ctx context.Context, dir, file string) (r Report, err error) {
	if err := isFree(file); err != nil {
		return r, fmt.Errorf("store: backup: %w", err)
	}
	temporary, err := temporaryBeside(file)
	if err != nil {
		return r, err
	}
	defer func() { _ = os.Remove(temporary) }() // where it did not get its name
	if err := copySQLite(ctx, filepath.Join(dir, databaseFile), temporary); err != nil {
		return r, err
	}
	if r, err = renew(ctx, temporary); err != nil {
		return r, err
	}
	return r, publish(temporary, file)
}

// isFree answers nil where a file is not there.
func isFree(file string) error {
	_, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil:
		return fmt.Errorf("%s is there already, and a backup replaces nothing: name another file", file)
	}
	return err
}

// temporaryBeside makes an empty file next to another, for the owner alone.
func temporaryBeside(file string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return "", fmt.Errorf("store: backup: %w", err)
	}
	return f.Name(), f.Close()
}

// copySQLite writes what is committed in one database into an empty file.
func copySQLite(ctx context.Context, from, to string) error {
	db, err := openToRead(from)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, `VACUUM INTO $1`, to)
	return wrap("copying the database", err)
}

// renew gives the channels of a copy new epochs and checks it. A copy that does
// not come so far is thrown away, so nothing has to be safe before the end.
func renew(ctx context.Context, copied string) (Report, error) {
	db, err := connectSQLite(copied, 1, url.Values{"_pragma": {"journal_mode(MEMORY)", "synchronous(OFF)"}})
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, `UPDATE channels SET epoch = hex(randomblob(16))`); err != nil {
		return Report{}, wrap("renewing the epochs of the copy", err)
	}
	r, err := checkSQLite(ctx, db)
	if err == nil && len(r.Findings) > 0 {
		err = fmt.Errorf("store: the database is damaged, so this would be no backup:\n%s", strings.Join(r.Findings, "\n"))
	}
	return r, errors.Join(err, db.Close())
}

// publish brings a file to the disk and gives it its name, unless that is taken.
func publish(temporary, file string) error {
	err := syncFile(temporary)
	if err == nil {
		err = isFree(file)
	}
	if err == nil {
		err = os.Rename(temporary, file)
	}
	if err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	if folder, err := os.Open(filepath.Dir(file)); err == nil {
		_ = folder.Sync() // where the system can: the name is on the disk too
		_ = folder.Close()
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
