package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// patience bounds every wait for the server.
const patience = 30 * time.Second

// server is a target that runs, in a process of its own.
type server struct {
	cmd  *exec.Cmd
	addr string // host:port
	logs *tail
}

// start starts the target, which picks a free port.
func (t *target) start(ctx context.Context) (*server, error) {
	cmd, err := t.command(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, logs: newTail()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for us, who stop it in order
	cmd.Stdout, cmd.Stderr = s.logs, s.logs
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if s.addr, err = firstAddress(ctx, s.logs.address); err != nil {
		return nil, errors.Join(fmt.Errorf("the server does not start: %w\n%s", err, s.logs), s.stop())
	}
	return s, nil
}

// firstAddress reads where the server listens from the line that says so.
func firstAddress(ctx context.Context, line <-chan []byte) (string, error) {
	select {
	case line := <-line:
		var hello struct{ Page string }
		err := json.Unmarshal(line, &hello)
		if err == nil && hello.Page == "" {
			err = errors.New("it does not say where it listens")
		}
		return strings.TrimSuffix(strings.TrimPrefix(hello.Page, "http://"), "/"), err
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(patience):
		return "", errors.New("it does not say where it listens")
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
