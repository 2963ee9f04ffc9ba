package netpoll

import (
	"bytes"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// A Handler that is held up holds up its own peer, whose bytes stay with the
// kernel and then with the peer. Nobody else notices.
func TestHeldUp(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		const flood, holders = 64 << 20, 40
		free := make(chan struct{})
		busy := make(chan struct{}, holders)
		var stuck []net.Conn
		for range holders {
			e := newEar(t)
			e.received = func([]byte) {
				select {
				case <-free: // the test is over
				case busy <- struct{}{}:
					<-free
				}
			}
			_, peer := s.connect(t, e, "")
			say(t, peer, "x")
			stuck = append(stuck, peer)
		}
		defer close(free)
		for range holders {
			await(t, busy, "Received")
		}
		_ = stuck[0].SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		if n, err := stuck[0].Write(make([]byte, flood)); err == nil {
			t.Errorf("a peer that nobody listens to wrote %d bytes", n)
		}
		e := newEar(t)
		c, peer := s.connect(t, e, "")
		for range 100 {
			say(t, peer, "ping")
			e.hear("ping")
			tell(t, c, "pong")
			expect(t, peer, "pong")
		}
		if len(busy) > 0 {
			t.Error("a connection was received from twice at a time")
		}
	})
}

// What came meanwhile is there afterwards, in order, and the end behind it.
func TestHeldUpLosesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		sent := noise(5, 200_000)
		first, free := make(chan struct{}), make(chan struct{})
		all := make(chan []byte, 1)
		var got []byte
		e := newEar(t)
		e.received = func(p []byte) {
			if got == nil {
				close(first)
				<-free
			}
			if got = append(got, p...); len(got) == len(sent) {
				all <- got
			}
		}
		_, peer := s.connect(t, e, "")
		go func() {
			_, _ = peer.Write(sent) // what is missing shows below
			_ = peer.Close()
		}()
		await(t, first, "Received")
		close(free)
		if !bytes.Equal(await(t, all, "all bytes"), sent) {
			t.Error("something else was received")
		}
		await(t, e.ends, "Closed")
	})
}

// However many are held up at once, each has its turn. On one processor many
// come before the first of them is looked at.
func TestAllAreHeldUpAtOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	everywhere(t, func(t *testing.T, s *scene) {
		const connections = 50
		var pairs [connections][2]net.Conn
		for i := range pairs {
			pairs[i][0], pairs[i][1] = s.pair(t, s.listener)
		}
		var opening sync.WaitGroup
		opening.Add(connections)
		for _, pair := range pairs {
			e := newEar(t)
			e.opened = func() {
				opening.Done()
				opening.Wait()
			}
			c, err := take(s.poller, pair[0], nil, e)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				await(t, e.opens, "Opened")
				c.Close(true)
				_ = pair[1].Close()
			})
		}
	})
}
