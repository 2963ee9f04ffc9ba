// Package attack_test plays the attacker against the running program: it builds
// it, starts it as an operator would in production, and talks to it over the
// network alone. Each test is one attack, and ends in the refusal that the
// checklist names by the row in the test's name.
package attack_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// program is the server's executable: static after TestMain has begun. It is
// built without the race detector, which would be most of what is measured.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	if runtime.GOOS != "linux" {
		fmt.Println("SKIPPED: the attacks come from many loopback addresses and read /proc, for which they need Linux")
		return
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gatecast-attack-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "gatecast")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("building the server: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// noticeChanges opens the folders that the program is built from while a test runs:
// go test then knows when what it has cached is of another program.
var noticeChanges = sync.OnceFunc(func() {
	_ = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		return err
	})
})

// server is the program in a process of its own.
type server struct {
	t    *testing.T
	addr string // host:port
	dir  string // its data
	cmd  *exec.Cmd
	logs *logs

	addresses atomic.Int32 // of those who talk to it, given out so far
}

// start runs the server with the limits that it has by default, but for flags.
func start(t *testing.T, flags ...string) *server {
	t.Helper()
	noticeChanges()
	s := &server{t: t, dir: t.TempDir(), logs: newLogs()}
	s.cmd = exec.Command(program, append([]string{
		"serve", "--env=production", "--auth.registration=open", "--namespaces={}",
		"--host=127.0.0.1", "--port=0", "--data-dir=" + s.dir, "--log.format=json",
	}, flags...)...)
	s.cmd.Env = []string{} // nobody's GATECAST_ variables
	s.cmd.Stderr = os.Stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { s.logs.read(bufio.NewReader(stdout)) })
	t.Cleanup(func() {
		select {
		case <-s.logs.ended:
			t.Error("the server has ended by itself")
		default:
			_ = s.cmd.Process.Signal(syscall.SIGTERM)
		}
		kill := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
		defer kill.Stop()
		reading.Wait() // before Wait, which closes the pipe
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("the server stopped with: %v", err)
		}
		s.logs.check(t)
	})
	select {
	case line := <-s.logs.first:
		var hello struct{ Page string }
		if err := json.Unmarshal(line, &hello); err != nil || hello.Page == "" {
			t.Fatalf("first line %q: %v", line, err)
		}
		s.addr = strings.TrimSuffix(strings.TrimPrefix(hello.Page, "http://"), "/")
	case <-s.logs.ended:
		t.Fatal("the server does not start")
	case <-time.After(patience):
		t.Fatal("the server does not say where it listens")
	}
	return s
}

// run runs one of the program's commands on the server's data, as an operator
// does, and gives what it prints.
func (s *server) run(stdin string, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "--data-dir="+s.dir)...)
	cmd.Env, cmd.Stdin = []string{}, strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, stderr.String())
	}
	return strings.TrimSpace(stdout.String())
}

// memory is how much of the machine's memory the server has now, in MiB; 0 when it
// has ended.
func (s *server) memory() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Error(err)
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	var kib int
	_, _ = fmt.Sscan(after, &kib)
	return kib >> 10
}

// logs keeps what matters of what the server logs: floods make it long.
type logs struct {
	first chan []byte   // the first line
	ended chan struct{} // closed behind the last one

	mu     sync.Mutex // guards the rest
	errors []string   // lines of errors of the server's own
	last   string
}

func newLogs() *logs { return &logs{first: make(chan []byte, 1), ended: make(chan struct{})} }

func (l *logs) read(from *bufio.Reader) {
	defer close(l.ended)
	for first := true; ; first = false {
		line, err := from.ReadBytes('\n')
		if err != nil {
			return
		}
		if first {
			l.first <- line
		}
		l.keep(strings.TrimSpace(string(line)))
	}
}

func (l *logs) keep(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = line
	if strings.Contains(line, `"level":"ERROR"`) {
		l.errors = append(l.errors, line)
	}
}

// check says what no attacker may bring about: errors of the server's own, and
// something that is not given back.
func (l *logs) check(t *testing.T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.errors[:min(len(l.errors), 5)] {
		t.Errorf("the server logs: %s", line)
	}
	if !strings.Contains(l.last, `"msg":"stopped","sockets":0,"slots":0,"limiters":0`) {
		t.Errorf("the server did not give everything back: %s", l.last)
	}
}

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if err := poll(t.Context(), patience, ok); err != nil {
		t.Fatalf("never happens: %s", what)
	}
}

// poll asks ok until it holds, for a while.
func poll(ctx context.Context, d time.Duration, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("not in time")
		}
	}
	return nil
}
