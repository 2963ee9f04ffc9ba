package netpoll

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// In a bubble of synctest the clock goes on only while all wait.
func TestFlushHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Goroutines()
		taken, peer := net.Pipe()
		e := newEar(t)
		c, err := take(p, taken, nil, e)
		if err != nil {
			t.Fatal(err)
		}
		tell(t, c, "nobody reads this")
		start := time.Now()
		c.Close(false)
		e.end(net.ErrClosed)
		if waited := time.Since(start); waited != flushTimeout {
			t.Errorf("the end came after %v", waited)
		}
		silence(t, peer)
		p.Close()
	})
}

func TestAbortDoesNotFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Goroutines()
		taken, peer := net.Pipe()
		e := newEar(t)
		c, err := take(p, taken, nil, e)
		if err != nil {
			t.Fatal(err)
		}
		tell(t, c, "nobody reads this")
		start := time.Now()
		c.Close(false)
		c.Close(true) // not even what is being flushed already
		e.end(net.ErrClosed)
		if waited := time.Since(start); waited != 0 {
			t.Errorf("the end came after %v", waited)
		}
		silence(t, peer)
		p.Close()
	})
}

// A deadline that was set before does not end the connection.
func TestDeadlinesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Goroutines()
		taken, peer := net.Pipe()
		_ = taken.SetDeadline(time.Now().Add(time.Second))
		e := newEar(t)
		c, err := take(p, taken, nil, e)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // of the bubble's clock
		go func() { _, _ = peer.Write([]byte("late")) }()
		e.hear("late")
		c.Close(true)
		e.end(net.ErrClosed)
		p.Close()
	})
}

var errBroken = errors.New("the cable is cut")

// broken is a connection that cannot be written.
type broken struct{ net.Conn }

func (broken) Write([]byte) (int, error) { return 0, errBroken }

// A write that fails ends a connection that nothing comes from.
func TestWriteFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Goroutines()
		taken, _ := net.Pipe()
		e := newEar(t)
		c, err := take(p, broken{taken}, nil, e)
		if err != nil {
			t.Fatal(err)
		}
		tell(t, c, "x")
		e.end(errBroken)
		mute(t, c)
		p.Close()
	})
}
