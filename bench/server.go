package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gatecast/gatecast/auth"
)

const (
	// patience bounds every wait for the server.
	patience = 30 * time.Second
	// secret signs the tokens of the load.
	secret = "a secret that only the bench and its servers know"
)

// server is the real program, in a process of its own.
type server struct {
	cmd  *exec.Cmd
	addr string // host:port
	logs *tail
}

// build makes the server's program.
func (b *bench) build(ctx context.Context) error {
	if b.server != "" {
		return nil
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("looking for the module: %w", err)
	}
	program := filepath.Join(b.dir, "gatecast")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	cmd.Dir = strings.TrimSpace(string(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the server: %w\n%s", err, out)
	}
	b.server = program
	return nil
}

// startServer starts the server on a free port, with its limits out of the way.
func (b *bench) startServer(ctx context.Context, d *database) (*server, error) {
	if err := b.build(ctx); err != nil {
		return nil, err
	}
	s := &server{logs: newTail()}
	s.cmd = exec.Command(b.server, append(b.serverFlags(), d.flags()...)...)
	s.cmd.Env = []string{} // nobody's GATECAST_ variables
	s.cmd.Dir = d.dir
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for us, who stop it in order
	s.cmd.Stdout, s.cmd.Stderr = s.logs, s.logs
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	var err error
	if s.addr, err = firstAddress(ctx, s.logs.first); err != nil {
		return nil, errors.Join(fmt.Errorf("the server does not start: %w\n%s", err, s.logs), s.stop())
	}
	return s, nil
}

func (b *bench) serverFlags() []string {
	history := fmt.Sprintf(`{"room:*": {subscribe: [user], publish: [user], presence: [user], read: [user], history: {count: %d, age: %s}}}`, b.opts.keep, keptFor)
	return []string{
		"serve", "--host=127.0.0.1", "--port=0", "--log.format=json", "--log.level=info", "--auth.hmac-secret=" + secret,
		"--auto-subscribe=", "--namespaces=" + history, "--log.dedupe-window=" + dedupeWindow.String(),
		"--limits.handshakes.rate=0", "--limits.login.rate=0", "--limits.register.rate=0", "--limits.messages.rate=0", "--limits.bytes.rate=0",
		"--limits.connections-per-address=0", "--limits.connections-per-user=0", "--limits.subscriptions=0",
	}
}

// firstAddress reads where the server listens from its first line.
func firstAddress(ctx context.Context, first <-chan []byte) (string, error) {
	select {
	case line := <-first:
		var hello struct{ Page string }
		err := json.Unmarshal(line, &hello)
		if err == nil && hello.Page == "" {
			err = errors.New("it does not say where it listens")
		}
		return strings.TrimSuffix(strings.TrimPrefix(hello.Page, "http://"), "/"), err
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(patience):
		return "", errors.New("it says nothing")
	}
}

// stop ends it as an operator would, and kills it where that is not enough.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("the server stopped with: %w\n%s", err, s.logs)
	}
	return nil
}

// token lets user number in. Issuer and audience are the server's defaults.
func newTokens() (token func(number int) (string, error), err error) {
	keys, err := auth.NewHMACKeySet([]byte(secret))
	if err != nil {
		return nil, err
	}
	issuer := auth.NewIssuer(keys, auth.TokenOptions{Issuer: "gatecast", Audience: "gatecast", TTL: 2 * time.Hour})
	return func(number int) (string, error) {
		token, _, err := issuer.Issue(auth.Account{ID: userID(number), Username: username(number), Role: auth.RoleUser}, "session")
		return token, err
	}, nil
}

// userID has the length of a real one.
func userID(number int) string   { return fmt.Sprintf("USER%022d", number) }
func username(number int) string { return fmt.Sprintf("user%04d", number) }

// usage is the CPU time that everything has used so far.
func (s *server) usage(d *database) (u usage, err error) {
	p, err := readProcess(s.cmd.Process.Pid)
	if err == nil && !p.present {
		err = errors.New("the server is gone")
	}
	if err != nil {
		return u, err
	}
	u.server = p.own
	if u.database, err = d.cpu(); err != nil {
		return u, err
	}
	return u.withMachine()
}
