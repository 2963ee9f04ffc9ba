package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// fault is what goes wrong with a database under load.
type fault struct {
	flags []string
	begin func(s *server) (lift func())
}

// survive has publishers at work while a fault comes and goes. They are told,
// and keep their sockets; the server says that it is not ready, and is again
// when the fault is over, with all that it acked.
func (f fault) survive(t *testing.T, dir string) {
	s := startIn(t, dir, append(f.flags, crewFlags()...)...)
	c := newCrew(t, 10, "room:1", "room:2", "short:1")
	epochs := c.epochs(s)
	c.begin(s)
	c.more(200)
	lift := f.begin(s)
	eventually(t, "publishers are told", func() bool { return c.tally.refusals() > 0 })
	notReady := func() bool {
		a := s.do("GET", "/readyz", "")
		return a.status == http.StatusServiceUnavailable && a.field("code") == "not_ready"
	}
	eventually(t, "it is not ready", notReady)
	told := c.tally.refusals()
	eventually(t, "publishers are told again", func() bool { return c.tally.refusals() >= told+30 })
	eventually(t, "it is still not ready", notReady)
	if a := s.do("GET", "/healthz", ""); a.status != http.StatusOK {
		t.Errorf("healthz: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/register", `{"username":"early","password":"correct horse battery"}`); a.status != http.StatusServiceUnavailable {
		t.Errorf("registering meanwhile: %d %s", a.status, a.body)
	}
	lift()
	eventually(t, "it is ready again", func() bool { return s.do("GET", "/readyz", "").status == http.StatusOK })
	c.more(200)
	s.signUp(fmt.Sprint("late", rand.N(1000))) // logging in works too
	if n := c.ended.Load(); n > 0 {
		t.Errorf("%d sockets ended", n)
	}
	c.finish()
	c.verify(s)
	if now := c.epochs(s); fmt.Sprint(now) != fmt.Sprint(epochs) {
		t.Errorf("the epochs were %v and are %v", epochs, now)
	}
	for code := range c.tally.refused {
		if code != "busy" && code != "unavailable" && code != "unknown" {
			t.Errorf("publishers were told %q", code)
		}
	}
	t.Logf("%d acked; refused: %v", c.ledger.count(), c.tally.refused)
}

func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	mountTmpfs(t, dir, "12m")
	fault{begin: func(s *server) func() {
		path := filepath.Join(s.dir, "filler")
		fill(t, path)
		return func() {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
	}}.survive(t, dir)
}

// mountTmpfs makes a folder a small disk of its own, where the system lets us.
func mountTmpfs(t *testing.T, dir, size string) {
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no disk can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// fill writes a file until its disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, zeros{}); err == nil {
		t.Fatal("the disk has no end")
	}
	_ = f.Close()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// The write-ahead log cannot be written any more, although it is open.
func TestReadOnlyFile(t *testing.T) {
	fault{begin: func(s *server) func() {
		probe := freeze(t, filepath.Join(t.TempDir(), "probe"))
		if _, err := probe.Write([]byte("x")); err == nil {
			t.Skip("what is open can be written here although it is immutable")
		}
		wal := freeze(t, filepath.Join(s.dir, "gatecast.db-wal"))
		return func() { thaw(wal.Name()) }
	}}.survive(t, t.TempDir())
}

// freeze opens a file and makes it immutable, where the system lets us.
func freeze(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { thaw(path); _ = f.Close() })
	if out, err := exec.CommandContext(t.Context(), "chattr", "+i", path).CombinedOutput(); err != nil {
		t.Skipf("files cannot be made immutable here: %v: %s", err, out)
	}
	return f
}

func thaw(path string) { _ = exec.Command("chattr", "-i", path).Run() }

// Somebody else holds SQLite's write lock for longer than it is waited for.
func TestDatabaseLocked(t *testing.T) {
	fault{
		flags: []string{"--log.queue=20"}, // for some to be told that it is busy
		begin: func(s *server) func() { return lockSQLite(t, s) },
	}.survive(t, t.TempDir())
}

// lockSQLite takes the write lock as another program would.
func lockSQLite(t *testing.T, s *server) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "gatecast.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(t.Context())
	if err == nil {
		_, err = conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
	}
}

// In a database that hangs, nobody waits for the tries of all before them, and a
// stop is not held up by as many.
func TestManyWaitForALockedDatabase(t *testing.T) {
	const sockets, each = 20, 200
	s := startIn(t, t.TempDir(), crewFlags()...)
	release := lockSQLite(t, s)
	defer release()
	c := newCrew(t, 0)
	for i := range sockets {
		conn := c.dial(s, fmt.Sprint("p", i))
		for i := range each {
			if err := conn.WriteJSON(map[string]any{"type": "publish", "id": i, "channel": "room:1", "data": i}); err != nil {
				t.Fatal(err)
			}
		}
	}
	deadline := time.Now().Add(patience)
	for _, conn := range c.conns {
		_ = conn.SetReadDeadline(deadline)
		for refused := 0; refused < each; {
			var f frame
			if err := conn.ReadJSON(&f); err != nil {
				t.Fatalf("after %d answers: %v", refused, err)
			}
			switch {
			case f.str("code") == "unavailable":
				refused++
			case f["id"] != nil:
				t.Fatalf("%v", f)
			}
		}
	}
	since := time.Now()
	if err := s.stop(); err != nil || time.Since(since) > patience {
		t.Errorf("the stop took %v: %v", time.Since(since), err)
	}
}

// PostgreSQL goes as if its machine had lost power, and comes back.
func TestPostgresGoneAndBack(t *testing.T) {
	pg, dsn := startPostgres(t)
	fault{
		flags: []string{"--store.driver=postgres", "--store.dsn=" + dsn},
		begin: func(*server) func() {
			if err := pg.Halt(t.Context()); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := pg.Start(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			}
		},
	}.survive(t, t.TempDir())
}
