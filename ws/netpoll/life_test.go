package netpoll

import (
	"errors"
	"io"
	"net"
	"testing"
)

func TestBytesGoBothWays(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		e := newEar(t)
		c, peer := s.connect(t, e, "")
		await(t, e.opens, "Opened")
		say(t, peer, "hello")
		e.hear("hello")
		if n, err := c.Write([]byte("good day")); n != 8 || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
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
		_, peer := s.connect(t, e, "")
		say(t, peer, "last words")
		_ = peer.Close()
		e.hear("last words")
		if err := await(t, e.ends, "Closed"); err != io.EOF {
			t.Fatalf("Closed(%v)", err)
		}
	})
}

func TestCloseHere(t *testing.T) {
	for _, abort := range []bool{false, true} {
		everywhere(t, func(t *testing.T, s *scene) {
			e := newEar(t)
			c, peer := s.connect(t, e, "")
			await(t, e.opens, "Opened")
			c.Close(abort)
			if err := await(t, e.ends, "Closed"); !errors.Is(err, net.ErrClosed) {
				t.Fatalf("Closed(%v)", err)
			}
			if _, err := peer.Read(make([]byte, 1)); err == nil {
				t.Fatal("the peer reads on")
			}
			if n, err := c.Write([]byte("more")); n != 0 || !errors.Is(err, net.ErrClosed) {
				t.Fatalf("Write after Close: %d, %v", n, err)
			}
			c.CloseWrite()
			c.Close(true)
		})
	}
}
