package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatecast/gatecast/store/storetest"
)

var killRounds = flag.Int("kill.rounds", 5, "how often TestKill9 kills the server, for each database")

// What is acked is stored: the server is killed at random moments with twenty
// publishers at work, and what it tells afterwards is held against every ack
// and every message that a subscriber was sent.
func TestKill9(t *testing.T) {
	binary := buildProgram(t)
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			p := &program{t: t, binary: binary, dir: t.TempDir(), flags: append(storeFlags(t, driver), crewFlags()...)}
			p.flags = append(p.flags, "--data-dir="+p.dir, "--host=127.0.0.1", "--port="+freePort(t))
			killAgainAndAgain(t, p)
		})
	}
}

func killAgainAndAgain(t *testing.T, p *program) {
	c := newCrew(t, 20, "room:1", "room:2", "short:1")
	s := p.start()
	epochs := c.epochs(s)
	for range *killRounds {
		c.begin(s)
		c.more(1)
		p.check()
		<-time.After(time.Duration(rand.N(400 * time.Millisecond))) // the random moment
		p.kill()
		c.gone()
		s = p.start()
		c.verify(s)
		if now := c.epochs(s); !maps.Equal(now, epochs) {
			t.Errorf("the epochs were %v and are %v", epochs, now)
		}
		if t.Failed() {
			break
		}
	}
	close(c.stop)
	c.begin(s) // for what is not acked
	c.finish()
	c.verify(s)
	p.stop()
	p.check()
	t.Logf("%d kills: %d acked, %d lost, %d doubled; %d sent again after a kill, of which %d had been stored; refused: %v",
		*killRounds, len(c.ledger.acked), c.ledger.lost, c.ledger.twice, c.tally.resent, c.tally.found, c.tally.refused)
}

// storeFlags name a database of that driver.
func storeFlags(t *testing.T, driver string) []string {
	if driver == "sqlite" {
		return nil
	}
	_, dsn := startPostgres(t)
	return []string{"--store.driver=postgres", "--store.dsn=" + dsn}
}

// startPostgres starts a PostgreSQL for this test, with an empty database.
func startPostgres(t *testing.T) (*storetest.Postgres, string) {
	pg, err := storetest.StartPostgres(t.Context())
	if errors.Is(err, storetest.ErrNoPostgres) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pg.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	dsn, err := pg.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return pg, dsn
}

// freePort is a port that nothing else is given by chance: it lies below those
// that the system hands out.
func freePort(t *testing.T) string {
	for range 100 {
		port := fmt.Sprint(20_000 + rand.N(10_000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// program is the built program, run again and again on the same data.
type program struct {
	t           *testing.T
	binary, dir string
	flags       []string
	cmd         *exec.Cmd
	logs        *logs
}

// start runs the program and waits until it is ready.
func (p *program) start() *server {
	p.t.Helper()
	p.logs = newLogs()
	p.cmd = exec.CommandContext(p.t.Context(), p.binary, p.flags...)
	p.cmd.Stdout, p.cmd.Stderr = p.logs, p.logs
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	s := &server{t: p.t, dir: p.dir, logs: p.logs}
	var hello struct{ Page string }
	if err := json.Unmarshal(p.logs.firstLine(p.t), &hello); err != nil {
		p.t.Fatalf("%v\n%s", err, p.logs)
	}
	s.addr = strings.Trim(strings.TrimPrefix(hello.Page, "http:"), "/")
	eventually(p.t, "it is ready", func() bool { return s.do("GET", "/readyz", "").status == 200 })
	return s
}

// kill ends the program as the kernel does: it can do nothing about it.
func (p *program) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // says that it was killed
}

func (p *program) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("%v\n%s", err, p.logs)
	}
}

// check has another process of the program look at the database, which this one
// may have open.
func (p *program) check() {
	p.t.Helper()
	args := append([]string{"db", "check"}, p.flags...)
	if says, err := exec.CommandContext(p.t.Context(), p.binary, args...).CombinedOutput(); err != nil {
		p.t.Errorf("%v\n%s", err, says)
	}
}
