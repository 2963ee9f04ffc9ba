package netpoll

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
)

// ear is a Handler that tells a test what it hears, and fails it where calls
// come at the same time, before Opened or after Closed.
type ear struct {
	t testing.TB

	// static once it is given to a Poller; nil does nothing
	opened   func()
	received func(p []byte)
	stays    bool // where the peer has ended its side

	opens    chan struct{}
	bytes    chan string
	rooms    chan struct{} // one at most
	ends     chan error
	state    atomic.Int32 // how far its life is
	speaking atomic.Bool
	endings  atomic.Int32 // calls of Ended
}

const (
	unborn int32 = iota
	alive
	dead
)

// newEar hears up to 1024 calls of Received that a test does not look at.
func newEar(t testing.TB) *ear {
	return &ear{
		t: t, opens: make(chan struct{}, 1), bytes: make(chan string, 1024),
		rooms: make(chan struct{}, 1), ends: make(chan error, 1),
	}
}

func (e *ear) turn(from, to int32) (end func()) {
	if e.speaking.Swap(true) {
		e.t.Error("two calls at a time")
	}
	if !e.state.CompareAndSwap(from, to) {
		e.t.Errorf("a call at the wrong time: state is %d, not %d", e.state.Load(), from)
	}
	return func() { e.speaking.Store(false) }
}

func (e *ear) Opened(Conn) {
	defer e.turn(unborn, alive)()
	if e.opened != nil {
		e.opened()
	}
	e.opens <- struct{}{}
}

func (e *ear) Ended() bool {
	defer e.turn(alive, alive)()
	e.endings.Add(1)
	return e.stays
}

func (e *ear) Received(p []byte) {
	defer e.turn(alive, alive)()
	if e.received != nil {
		e.received(p)
		return
	}
	e.bytes <- string(p)
}

func (e *ear) Writable() {
	select {
	case e.rooms <- struct{}{}:
	default:
	}
}

func (e *ear) Closed(err error) {
	defer e.turn(alive, dead)()
	e.ends <- err
}

// hear waits until exactly text has come, in however many pieces.
func (e *ear) hear(text string) {
	e.t.Helper()
	for got := ""; got != text; {
		got += await(e.t, e.bytes, "bytes after "+got)
		if len(got) > len(text) || got != text[:len(got)] {
			e.t.Fatalf("heard %q, not %q", got, text)
		}
	}
}

// end waits for Closed, and for the reason that it should give.
func (e *ear) end(reason error) {
	e.t.Helper()
	if err := await(e.t, e.ends, "Closed"); !errors.Is(err, reason) {
		e.t.Errorf("Closed(%v), not %v", err, reason)
	}
}

// opening is a Handler that tells of its Conn.
type opening struct {
	Handler
	conn chan Conn
}

func (o opening) Opened(c Conn) {
	o.conn <- c
	o.Handler.Opened(c)
}

// take has conn taken, on a goroutine that ends when Take does.
func take(p Poller, conn net.Conn, early []byte, h Handler) (Conn, error) {
	o, taken := opening{h, make(chan Conn, 1)}, make(chan error, 1)
	go func() { taken <- p.Take(conn, early, o) }()
	select {
	case c := <-o.conn:
		return c, nil
	case err := <-taken:
		if err != nil {
			return nil, err
		}
		return <-o.conn, nil
	}
}
