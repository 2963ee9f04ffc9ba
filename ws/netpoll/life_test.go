package netpoll

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

func TestBytesGoBothWays(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		e := newEar(t)
		c, peer := s.connect(t, e, "")
		await(t, e.opens, "Opened")
		say(t, peer, "hello")
		e.hear("hello")
		tell(t, c, "good day")
		expect(t, peer, "good day")
	})
}

func TestEarlyBytesComeFirst(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		e := newEar(t)
		_, peer := s.connect(t, e, "early ")
		say(t, peer, "late")
		e.hear("early late")
	})
}

func TestPeerEnds(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		e := newEar(t)
		c, peer := s.connect(t, e, "")
		say(t, peer, "last words")
		_ = peer.Close()
		e.hear("last words")
		e.end(io.EOF)
		mute(t, c)
	})
}

// What was written before the peer's end was seen still gets there.
func TestPeerEndsItsSide(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		if !s.halves {
			t.Skip("such a peer cannot end its side alone")
		}
		e := newEar(t)
		conn := make(chan Conn, 1)
		e.received = func(p []byte) { tell(t, <-conn, "answer to "+string(p)) }
		c, peer := s.connect(t, e, "")
		conn <- c
		half := peer.(interface{ CloseWrite() error })
		say(t, peer, "question")
		if err := half.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		expect(t, peer, "answer to question")
		e.end(io.EOF)
		silence(t, peer)
	})
}

func TestCloseWrite(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		e := newEar(t)
		c, peer := s.connect(t, e, "")
		written := noise(1, 60_000)
		tell(t, c, string(written))
		c.CloseWrite()
		c.CloseWrite()
		mute(t, c)
		expect(t, peer, string(written))
		if s.halves {
			silence(t, peer)
		}
		say(t, peer, "still here")
		e.hear("still here")
		c.Close(false)
		e.end(net.ErrClosed)
	})
}

func TestCloseSendsWhatWasWritten(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		e := newEar(t)
		c, peer := s.connect(t, e, "")
		written := noise(1, 60_000)
		tell(t, c, string(written))
		c.Close(false)
		mute(t, c)
		expect(t, peer, string(written))
		silence(t, peer)
		e.end(net.ErrClosed)
		c.CloseWrite()
		c.Close(true)
	})
}

func TestAbort(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		e := newEar(t)
		c, peer := s.connect(t, e, "")
		fill(t, c)
		c.Close(true)
		mute(t, c)
		e.end(net.ErrClosed)
		_, err := io.Copy(io.Discard, peer)
		if s.resets && (err == nil || isTimeout(err)) {
			t.Fatalf("the peer was not told of a reset: %v", err)
		}
	})
}

func TestPeerResets(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		if !s.resets {
			t.Skip("such a peer cannot reset the connection")
		}
		e := newEar(t)
		c, peer := s.connect(t, e, "")
		await(t, e.opens, "Opened")
		cut(peer)
		if err := await(t, e.ends, "Closed"); err == nil || err == io.EOF || errors.Is(err, net.ErrClosed) {
			t.Fatalf("Closed(%v)", err)
		}
		mute(t, c)
	})
}

// Write may hear of it first.
func TestPeerResetsWhileReceivedIsHeldUp(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		if !s.resets {
			t.Skip("such a peer cannot reset the connection")
		}
		e := newEar(t)
		busy, free := make(chan struct{}), make(chan struct{})
		e.received = func([]byte) {
			close(busy)
			<-free
		}
		c, peer := s.connect(t, e, "")
		say(t, peer, "x")
		await(t, busy, "Received")
		cut(peer)
		for start := time.Now(); ; {
			if _, err := c.Write([]byte("x")); err != nil {
				break
			}
			if time.Since(start) > patience {
				t.Fatal("Write goes on")
			}
		}
		mute(t, c)
		close(free)
		if err := await(t, e.ends, "Closed"); err == nil || err == io.EOF || errors.Is(err, net.ErrClosed) {
			t.Fatalf("Closed(%v)", err)
		}
	})
}

func TestCloseInsideOpened(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		e := newEar(t)
		conn := make(chan Conn, 1)
		e.opened = func() { (<-conn).Close(false) }
		c, peer := s.connect(t, e, "early")
		conn <- c
		e.end(net.ErrClosed)
		if len(e.bytes) > 0 {
			t.Fatalf("heard %q after Close", <-e.bytes)
		}
		silence(t, peer)
	})
}

func TestCloseInsideReceived(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		e := newEar(t)
		conn := make(chan Conn, 1)
		e.received = func(p []byte) {
			c := <-conn
			c.Close(false)
			mute(t, c)
		}
		c, peer := s.connect(t, e, "")
		conn <- c
		say(t, peer, "x")
		silence(t, peer)
		e.end(net.ErrClosed)
	})
}

// The peer hears of it at once, and the Handler once it has done.
func TestCloseWhileReceivedIsHeldUp(t *testing.T) {
	for name, abort := range map[string]bool{"close": false, "abort": true} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, s *scene) {
				e := newEar(t)
				busy, free := make(chan struct{}), make(chan struct{})
				e.received = func([]byte) {
					close(busy)
					<-free
				}
				c, peer := s.connect(t, e, "")
				say(t, peer, "x")
				await(t, busy, "Received")
				c.Close(abort)
				if _, err := peer.Read(make([]byte, 1)); err == nil || isTimeout(err) {
					t.Fatalf("the peer's read: %v", err)
				}
				if len(e.ends) > 0 {
					t.Fatal("Closed came before Received had returned")
				}
				close(free)
				e.end(net.ErrClosed)
			})
		})
	}
}

func TestPollerClose(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		e := newEar(t)
		c, _ := s.connect(t, e, "")
		closed := make(chan struct{})
		go func() {
			s.poller.Close()
			close(closed)
		}()
		for refused := false; !refused; { // the other goroutine may not have got there
			taken, peer := s.pair(t, s.listener)
			late := newEar(t)
			other, err := take(s.poller, taken, nil, late)
			if refused = err != nil; !refused {
				other.Close(true)
				late.end(net.ErrClosed)
				continue
			}
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Take: %v", err)
			}
			silence(t, peer)
			if late.state.Load() != unborn {
				t.Error("a connection that was refused was heard of")
			}
		}
		select {
		case <-closed:
			t.Error("Close did not wait for a connection")
		default:
		}
		c.Close(true)
		await(t, closed, "Close")
		if len(e.ends) == 0 {
			t.Error("Close returned before Closed")
		}
	})
}

// Who stays when the peer has ended its side can still write, and closes itself.
func TestStaysOpenForLastWords(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		if !s.halves {
			t.Skip("such a peer cannot end its side alone")
		}
		e := newEar(t)
		e.stays = true
		c, peer := s.connect(t, e, "")
		say(t, peer, "bye")
		if err := peer.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		e.hear("bye")
		for deadline := time.Now().Add(patience); e.endings.Load() == 0; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatal("Ended is not called")
			}
		}
		if n, err := c.Write([]byte("last words")); n != 10 || err != nil {
			t.Fatal(n, err)
		}
		c.Close(false)
		expect(t, peer, "last words")
		if err := await(t, e.ends, "Closed"); err != net.ErrClosed {
			t.Errorf("closed with %v", err)
		}
	})
}
