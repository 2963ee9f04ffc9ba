package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

// gatecast runs a command and gives what it prints.
func gatecast(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := run(t.Context(), append([]string{"gatecast"}, args...), func(string) string { return "" }, &out)
	return out.String(), err
}

// Everything that was acked when a backup began is in it, in channels with
// another epoch: a client that has seen more than the backup is told so.
func TestBackupUnderLoadAndRestore(t *testing.T) {
	s := start(t, crewFlags()...)
	s.signUp("alice")
	c := newCrew(t, 5, "room:1", "room:2")
	epochs := c.epochs(s)
	c.begin(s)
	c.more(300)
	acked := c.ledger.snapshot()
	file := filepath.Join(t.TempDir(), "100% new?.db")
	says, err := gatecast(t, "db", "backup", file, "--data-dir="+s.dir)
	if err != nil || !strings.Contains(says, "accounts: 1, channels: 2, messages: ") {
		t.Fatalf("%v\n%s", err, says)
	}
	if says, err := gatecast(t, "db", "check", "--data-dir="+s.dir); err != nil || !strings.Contains(says, "Nothing is wrong.") {
		t.Errorf("the server's own database: %v\n%s", err, says)
	}
	c.more(300)
	c.finish()
	c.verify(s)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, file)

	restored := startIn(t, restore(t, file, s.dir), crewFlags()...)
	for channel, messages := range c.read(restored) {
		acked.compare(channel, messages)
	}
	acked.report(t)
	if a := restored.do("POST", "/login", `{"username":"alice","password":"correct horse battery"}`); a.status != 200 {
		t.Errorf("logging in: %d %s", a.status, a.body)
	}
	now := c.epochs(restored)
	for channel, old := range epochs {
		if now[channel] == old || now[channel] == "" {
			t.Errorf("%s: the epoch was %q and is %q", channel, old, now[channel])
		}
		var f struct {
			Epoch     string
			Recovered *bool
		}
		conn := c.dial(restored, "p0")
		c.ask(conn, map[string]any{"type": "subscribe", "id": 1, "channel": channel, "since": map[string]any{"epoch": old, "seq": 10}}, &f)
		if f.Recovered == nil || *f.Recovered || f.Epoch != now[channel] {
			t.Errorf("%s: a client with the old epoch is told %+v", channel, f)
		}
		_ = conn.Close()
	}
	if now["room:1"] == now["room:2"] {
		t.Error("two channels share an epoch")
	}
	again := newCrew(t, 2, c.channels...) // it goes on from there
	for _, p := range again.members {
		p.name = "new" + p.name
	}
	again.begin(restored)
	again.more(50)
	again.finish()
	again.verify(restored)
}

// onlyFile sees that a backup is the owner's alone, and all that it left.
func onlyFile(t *testing.T, file string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v lies there: %v", entries, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: %v", info.Mode(), err)
	}
}

// restore makes a data folder as docs/operations.md says.
func restore(t *testing.T, file, old string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, args := range [][]string{{file, filepath.Join(dir, "gatecast.db")}, {filepath.Join(old, "keys"), dir}} {
		if out, err := exec.CommandContext(t.Context(), "cp", append([]string{"-a"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return dir
}

// damages are statements that break what the log promises, and what a check
// says then. Channel 1 is room:1; it holds messages 1 to 30, and so does 2.
var damages = map[string]struct {
	statements []string
	says       string
}{
	"nothing":              {nil, "accounts: 0, channels: 2, messages: 60\nNothing is wrong.\n"},
	"one is missing":       {[]string{`DELETE FROM messages WHERE channel_id = 1 AND seq = 4`}, "WRONG: channel room:1: message 4 is missing\n"},
	"three are missing":    {[]string{`DELETE FROM messages WHERE channel_id = 1 AND seq BETWEEN 4 AND 6`}, "WRONG: channel room:1: messages 4 to 6 are missing\n"},
	"the first are gone":   {[]string{`DELETE FROM messages WHERE channel_id = 1 AND seq <= 2`}, "WRONG: channel room:1: messages 1 to 2 are missing\n"},
	"more than is kept":    {[]string{`UPDATE channels SET tail_seq = 3 WHERE id = 1`}, "WRONG: channel room:1: message 1 is there, but all up to 3 should be gone\n"},
	"the channel is gone":  {[]string{`DELETE FROM channels WHERE id = 1`}, "WRONG: channel id 1: there is no such channel, but messages of it, from number 1 on\n"},
	"a number given twice": {[]string{`DROP INDEX messages_by_seq`, `UPDATE messages SET seq = 5 WHERE channel_id = 1 AND seq = 4`}, "WRONG: channel room:1: number 5 was given twice\n"},
	"more than fits":       {[]string{`DELETE FROM messages WHERE seq % 2 = 0`}, "WRONG: there is more of this\n"},
	"trimmed":              {[]string{`DELETE FROM messages WHERE channel_id = 1 AND seq <= 2`, `UPDATE channels SET tail_seq = 2 WHERE id = 1`}, "Nothing is wrong.\n"},
}

func TestCheckFindsDamage(t *testing.T) {
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			next := databases(t, driver)
			for name, damage := range damages {
				t.Run(name, func(t *testing.T) {
					d := next(t)
					d.fill(t)
					d.change(t, damage.statements...)
					says, err := gatecast(t, append([]string{"db", "check"}, d.flags...)...)
					if !strings.Contains(says, damage.says) {
						t.Errorf("check says\n%s", says)
					}
					if fine := strings.HasSuffix(says, "Nothing is wrong.\n"); fine != (err == nil) {
						t.Errorf("%v with\n%s", err, says)
					}
					if n := strings.Count(says, "WRONG"); n > 21 {
						t.Errorf("%d findings are printed", n)
					}
				})
			}
		})
	}
}

// database is one of its own, with no server on it.
type database struct {
	flags       []string // that name it
	driver, dsn string   // for package sql
	open        func() (*store.DB, error)
}

// databases gives what makes new ones of a kind.
func databases(t *testing.T, driver string) func(*testing.T) database {
	if driver == "sqlite" {
		return func(t *testing.T) database {
			dir := t.TempDir()
			return database{
				flags: []string{"--data-dir=" + dir}, driver: "sqlite", dsn: "file:" + filepath.Join(dir, "gatecast.db"),
				open: func() (*store.DB, error) { return store.OpenSQLite(t.Context(), dir) },
			}
		}
	}
	pg, _ := startPostgres(t)
	return func(t *testing.T) database {
		dsn, err := pg.NewDatabase(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return database{
			flags: []string{"--store.driver=postgres", "--store.dsn=" + dsn}, driver: "pgx", dsn: dsn,
			open: func() (*store.DB, error) { return store.OpenPostgres(t.Context(), dsn) },
		}
	}
}

// fill makes two channels with 30 messages each.
func (d database) fill(t *testing.T) {
	t.Helper()
	db, err := d.open()
	if err != nil {
		t.Fatal(err)
	}
	log := store.NewLog(db, store.LogOptions{History: func(string) ws.History { return ws.History{Count: 1000} }, DedupeWindow: time.Hour, ForgetAfter: time.Hour})
	for i := range 60 {
		m := ws.Message{Channel: fmt.Sprint("room:", 1+i/30), Event: "message", Data: []byte(`1`)}
		if err := log.Append(m, func(_ ws.Receipt, err error) {
			if err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	log.Shutdown()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// change runs statements that Gatecast never would.
func (d database) change(t *testing.T, statements ...string) {
	t.Helper()
	db, err := sql.Open(d.driver, d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// What SQLite itself finds is told too, and is no backup.
func TestDamagedSQLiteFile(t *testing.T) {
	for name, row := range map[string]struct {
		damage func(t *testing.T, d database)
		says   string
	}{
		"a page":     {func(t *testing.T, d database) { overwrite(t, d, 3*4096, 2*4096) }, "WRONG: "},
		"the header": {func(t *testing.T, d database) { overwrite(t, d, 0, 100) }, "not a database"},
		"a session of nobody": {func(t *testing.T, d database) {
			d.change(t, `INSERT INTO sessions VALUES ('1', 'nobody', x'00', x'00', '', '', 0, 0, 0, 0, 0)`)
		}, "WRONG: table sessions: row 1 belongs to a row of accounts that is not there\n"},
	} {
		t.Run(name, func(t *testing.T) {
			d := databases(t, "sqlite")(t)
			d.fill(t)
			row.damage(t, d)
			if says, err := gatecast(t, append([]string{"db", "check"}, d.flags...)...); err == nil || !strings.Contains(says, row.says) {
				t.Errorf("check says %v\n%s", err, says)
			}
			folder := t.TempDir()
			if says, err := gatecast(t, append([]string{"db", "backup", filepath.Join(folder, "copy")}, d.flags...)...); err == nil {
				t.Errorf("backup says\n%s", says)
			}
			if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
				t.Errorf("backup leaves %v, %v", entries, err)
			}
		})
	}
}

// overwrite puts nonsense into a database file.
func overwrite(t *testing.T, d database, at int64, size int) {
	t.Helper()
	f, err := os.OpenFile(strings.TrimPrefix(d.dsn, "file:"), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(bytes.Repeat([]byte{0xA5}, size), at)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A wrong use says what is right, and changes nothing.
func TestDBCommandsRefuse(t *testing.T) {
	d := databases(t, "sqlite")(t)
	d.fill(t)
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(taken, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		args []string
		says string
	}{
		{[]string{"db"}, "`gatecast db check [flags]` or `gatecast db backup FILE [flags]`"},
		{[]string{"db", "repair"}, "`gatecast db check [flags]` or `gatecast db backup FILE [flags]`"},
		{[]string{"db", "backup"}, "`gatecast db backup FILE [flags]`"},
		{[]string{"db", "backup", d.flags[0], taken}, "`gatecast db backup FILE [flags]`"},
		{[]string{"db", "backup", taken, "another"}, "`gatecast db backup FILE [flags]`"},
		{[]string{"db", "check", taken}, "`gatecast db check [flags]`"},
		{[]string{"serve", taken}, "`gatecast serve [flags]`"},
		{[]string{"db", "check", "--data-dir=" + t.TempDir()}, "there is no database"},
		{[]string{"db", "backup", "copy", "--data-dir=" + t.TempDir()}, "there is no database"},
		{[]string{"db", "backup", taken, d.flags[0]}, "is there already"},
		{[]string{"db", "backup", filepath.Join(taken, "copy"), d.flags[0]}, "not a directory"},
		{[]string{"db", "backup", "copy", "--store.driver=postgres", "--store.dsn=host=/nowhere"}, "pg_dump"},
		{[]string{"db", "check", "--store.driver=postgres", "--store.dsn=host=/nowhere"}, "/nowhere"},
	} {
		if says, err := gatecast(t, row.args...); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%v: %v, want %q\n%s", row.args, err, row.says, says)
		}
	}
	if data, err := os.ReadFile(taken); string(data) != "precious" {
		t.Errorf("the file that was there holds %q, %v", data, err)
	}
	if _, err := os.Lstat("copy"); err == nil {
		t.Error("a backup that was refused is there")
	}
}
