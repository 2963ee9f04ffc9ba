package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// script is what clients do once they are in. The loop calls it from one
// goroutine.
type script interface {
	// begin gives the first frame that a client sends, or nil.
	begin(c *client) []byte
	// heard takes a text frame, and gives what the client sends next, or nil.
	// The frame is good until it returns.
	heard(c *client, f frame, now time.Time) ([]byte, error)
}

// actor is a script that sends of its own accord, too.
type actor interface {
	// act is called whenever the loop has read what there was, and after
	// l.tick where there was nothing.
	act(l *loop, now time.Time) error
}

const (
	// stormAtOnce is how many clients are on their way in at the same time, where a
	// scenario does not say. It is far below a server's backlog.
	stormAtOnce = 256
	// longTick is how long a loop waits where nobody waits for it.
	longTick = 100 * time.Millisecond
)

// loop moves the bytes of many clients on one thread: a goroutine for each would
// cost the server's processors more.
type loop struct {
	// static after construction
	addr    netip.AddrPort
	dialect dialect
	script  script

	// set before it runs
	tick     time.Duration // how long it waits before it has the script act
	entering *latencies    // how long it takes clients to get in; nil is not asked
	atOnce   int           // how many are on their way in at the same time

	poller *poller
	byFD   []*client
	inside int // clients that have come all the way in
	buffer []byte
	now    time.Time
	frames int64 // that have come
	bytes  int64
}

func newLoop(addr string, d dialect, s script) (*loop, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	p, err := newPoller()
	return &loop{addr: to, dialect: d, script: s, tick: longTick, atOnce: stormAtOnce, poller: p, buffer: make([]byte, 256<<10)}, err
}

// close hangs up on everyone.
func (l *loop) close() {
	l.leave()
	l.poller.close()
}

func (l *loop) leave() {
	for _, c := range l.byFD {
		if c != nil {
			_ = syscall.Close(c.fd)
		}
	}
	l.byFD, l.inside = nil, 0
}

// enter brings clients all the way in, as fast as the server lets them.
func (l *loop) enter(ctx context.Context, clients []*client) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	opened, before, progress := 0, l.inside, time.Now()
	for inside := 0; inside < len(clients); {
		for opened < len(clients) && opened-inside < l.atOnce {
			if err := l.open(clients[opened]); err != nil {
				return fmt.Errorf("client %d: %w", clients[opened].number, err)
			}
			opened++
		}
		if err := l.turn(longTick); err != nil {
			return err
		}
		if now := l.inside - before; now > inside {
			inside, progress = now, time.Now()
		}
		if time.Since(progress) > patience {
			return fmt.Errorf("only %d of %d clients have got in, and no other within %s", inside, len(clients), patience)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func (l *loop) open(c *client) error {
	if err := c.dial(l.addr); err != nil {
		return err
	}
	for len(l.byFD) <= c.fd {
		l.byFD = append(l.byFD, nil)
	}
	l.byFD[c.fd] = c
	return l.poller.add(c.fd)
}

// begin has clients send their first frame.
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
	actor, acts := l.script.(actor)
	end := time.Now().Add(limit)
	for ctx.Err() == nil && (done == nil || !done()) {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if acts {
			if err := actor.act(l, time.Now()); err != nil {
				return err
			}
		}
		if err := l.turn(min(left, l.tick)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// turn reads what there is, and waits no longer than atMost for something.
func (l *loop) turn(atMost time.Duration) error {
	return l.poller.wait(atMost, func(fd int, e event) error {
		c := l.byFD[fd]
		if c == nil {
			return nil // it was closed a moment ago
		}
		if err := l.serve(c, e); err != nil {
			return fmt.Errorf("client %d: %w", c.number, err)
		}
		return nil
	})
}

func (l *loop) serve(c *client, e event) error {
	if c.deaf {
		l.forget(c)
		return nil
	}
	if e.writable {
		if err := l.flush(c); err != nil {
			return err
		}
	}
	if e.readable {
		return l.read(c)
	}
	return nil
}

// deafen has a client read nothing any more.
func (l *loop) deafen(c *client) error {
	c.deaf = true
	return l.poller.onlyHangUp(c.fd)
}

// forget takes a deaf client away that the server has closed.
func (l *loop) forget(c *client) {
	_ = syscall.Close(c.fd)
	l.byFD[c.fd] = nil
}

// read takes what a client has been sent.
func (l *loop) read(c *client) error {
	old := copy(l.buffer, c.rest)
	n, err := syscall.Read(c.fd, l.buffer[old:])
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return nil
	case err == nil && n == 0:
		err = io.EOF
	}
	if err != nil {
		return fmt.Errorf("the server hung up: %w", err)
	}
	l.now = time.Now()
	l.bytes += int64(n)
	b, err := l.takeAll(c, l.buffer[:old+n])
	if err != nil {
		return err
	}
	if len(b) == len(l.buffer) {
		l.buffer = append(l.buffer, l.buffer...) // for a frame that is larger
	}
	c.rest = append(c.rest[:0], b...)
	return nil
}

// takeAll takes what is whole, and gives what is left.
func (l *loop) takeAll(c *client, b []byte) (rest []byte, err error) {
	if !c.upgraded {
		if b, err = c.upgrade(b); err != nil || !c.upgraded {
			return b, err
		}
		if first := l.dialect.wayIn[0]; first.hears == "" {
			if err := l.advance(c, first); err != nil {
				return nil, err
			}
		}
	}
	for {
		f, size := readFrame(b)
		if size == 0 {
			return b, nil
		}
		l.frames++
		if err := l.take(c, f); err != nil {
			return nil, err
		}
		b = b[size:]
	}
}

func (l *loop) take(c *client, f frame) error {
	switch f.opcode {
	case opText:
		return l.hear(c, f)
	case opPing:
		return l.send(c, appendFrame(nil, opPong, f.payload))
	case opClose:
		return fmt.Errorf("the server closes: %q", f.payload)
	}
	return nil
}

func (l *loop) hear(c *client, f frame) error {
	if !c.in {
		if step := l.dialect.wayIn[c.step]; hasPrefix(f.payload, step.hears) {
			return l.advance(c, step)
		}
		answer, err := l.dialect.aside(f)
		return errors.Join(err, l.send(c, answer))
	}
	next, err := l.script.heard(c, f, l.now)
	if err != nil || next == nil {
		return err
	}
	c.sent = l.now
	return l.send(c, next)
}

// advance takes the next step of the way in.
func (l *loop) advance(c *client, taken step) error {
	c.step++
	if c.step == len(l.dialect.wayIn) {
		c.in = true
		l.inside++
		if l.entering != nil {
			l.entering.add(l.now.Sub(c.sent))
		}
	}
	if taken.says == "" {
		return nil
	}
	return l.send(c, appendFrame(nil, opText, []byte(inChannelOf(taken.says, c.channel))))
}

// send never waits: what the socket does not take is sent when it does.
func (l *loop) send(c *client, b []byte) error {
	if len(c.out) > 0 {
		c.out = append(c.out, b...)
		return nil
	}
	for len(b) > 0 {
		n, err := syscall.Write(c.fd, b)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			c.out = append(c.out, b...)
			return l.poller.watchWrites(c.fd, true)
		}
		if err != nil {
			return fmt.Errorf("sending: %w", err)
		}
		b = b[n:]
	}
	return nil
}

func (l *loop) flush(c *client) error {
	out := slices.Clone(c.out)
	c.out = c.out[:0]
	if err := l.send(c, out); err != nil || len(c.out) > 0 {
		return err
	}
	return l.poller.watchWrites(c.fd, false)
}

// unexpected is a frame that a script has no use for.
func unexpected(f frame) error { return fmt.Errorf("the server sends %.300s", f.payload) }
