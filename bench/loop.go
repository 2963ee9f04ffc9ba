package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"syscall"
	"time"
)

// script is what clients do. The loop calls it from one goroutine.
type script interface {
	// begin gives the first frame that a client sends.
	begin(c *client) []byte
	// heard takes a text frame, and gives what the client sends next, or nil.
	// The frame is good until it returns.
	heard(c *client, f frame, now time.Time) ([]byte, error)
}

// loop moves the bytes of many clients on one thread: a goroutine for each would
// cost the server's processors more.
type loop struct {
	poller *poller
	byFD   map[int]*client
	script script
	buffer []byte
	now    time.Time
}

func newLoop(clients []*client, s script) (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{poller: p, byFD: make(map[int]*client, len(clients)), script: s, buffer: make([]byte, 256<<10)}
	for _, c := range clients {
		if err := p.add(c.fd); err != nil {
			p.close()
			return nil, err
		}
		l.byFD[c.fd] = c
	}
	return l, nil
}

func (l *loop) close() { l.poller.close() }

// begin has all clients send their first frame.
func (l *loop) begin(clients []*client) error {
	for _, c := range clients {
		c.sent = time.Now()
		if err := l.send(c, l.script.begin(c)); err != nil {
			return err
		}
	}
	return nil
}

// run lets the clients do their part until done, and no longer than limit. A nil
// done never is.
func (l *loop) run(ctx context.Context, limit time.Duration, done func() bool) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	end := time.Now().Add(limit)
	for ctx.Err() == nil && (done == nil || !done()) {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if err := l.poller.wait(min(left, 100*time.Millisecond)+time.Millisecond, l.read); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// read takes what a client has been sent.
func (l *loop) read(fd int) error {
	c := l.byFD[fd]
	old := copy(l.buffer, c.rest)
	n, err := syscall.Read(fd, l.buffer[old:])
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return nil
	case err == nil && n == 0:
		err = io.EOF
	}
	if err != nil {
		return fmt.Errorf("client %d: the server hung up: %w", c.number, err)
	}
	l.now = time.Now()
	b := l.buffer[:old+n]
	for {
		f, size := readFrame(b)
		if size == 0 {
			break
		}
		if err := l.take(c, f); err != nil {
			return fmt.Errorf("client %d: %w", c.number, err)
		}
		b = b[size:]
	}
	if len(b) == len(l.buffer) {
		l.buffer = append(l.buffer, l.buffer...) // for a frame that is larger
	}
	c.rest = append(c.rest[:0], b...)
	return nil
}

func (l *loop) take(c *client, f frame) error {
	switch f.opcode {
	case opText:
		next, err := l.script.heard(c, f, l.now)
		if err != nil || next == nil {
			return err
		}
		c.sent = l.now
		return l.send(c, next)
	case opPing:
		return l.send(c, appendFrame(nil, opPong, f.payload))
	case opClose:
		return fmt.Errorf("the server closes: %q", f.payload)
	}
	return nil
}

// send never waits: no client sends more than a socket takes at once, unless the
// server has stopped reading.
func (l *loop) send(c *client, b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(c.fd, b)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("sending: %w", err)
		}
		b = b[n:]
	}
	return nil
}

// unexpected is a frame that a script has no use for.
func unexpected(f frame) error { return fmt.Errorf("the server sends %.300s", f.payload) }
