package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.Cleanup(stopPostgres)) }

func open(t *testing.T, dir string) *store.DB {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestAccountsOutliveTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder", "100% new?")
	ctx := context.Background()
	alice := auth.Account{ID: "1", Username: "alice", PasswordHash: "$h", Role: "user", CreatedAt: time.UnixMilli(1_700_000_000_123).UTC()}

	s, err := store.OpenSQLite(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AccountByUsername(ctx, "alice"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	if err := s.CreateAccount(ctx, alice); err != nil {
		t.Fatal(err)
	}
	again := alice
	again.ID = "2"
	if err := s.CreateAccount(ctx, again); !errors.Is(err, auth.ErrUsernameTaken) {
		t.Errorf("the same name again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, dir)
	if ok, err := s.RenewPasswordHash(ctx, "1", alice.PasswordHash, "$new"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := s.RenewPasswordHash(ctx, "1", alice.PasswordHash, "$late"); ok || err != nil {
		t.Errorf("a hash that is not there any more: %v, %v", ok, err)
	}
	alice.PasswordHash = "$new"
	for _, find := range []func() (auth.Account, error){
		func() (auth.Account, error) { return s.AccountByUsername(ctx, "alice") },
		func() (auth.Account, error) { return s.AccountByID(ctx, "1") },
	} {
		if got, err := find(); err != nil || got != alice {
			t.Errorf("got %+v, %v; want %+v", got, err, alice)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := store.OpenSQLite(t.Context(), dir); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a second opening: %v", err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("the first one suffers: %v", err)
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	open(t, dir)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
