package netpoll

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// parrot says what it hears. It fails where it hears of somebody else's.
type parrot struct {
	*ear
	conn chan Conn
	c    Conn
	id   []byte
}

func (*parrot) Ended() bool { return false }

func (p *parrot) Received(b []byte) {
	defer p.turn(alive, alive)()
	if p.c == nil {
		p.c = <-p.conn
	}
	if bytes.Count(b, p.id)*len(p.id) != len(b) {
		p.t.Errorf("parrot %x heard %x", p.id, b)
	}
	_, _ = p.c.Write(b) // an error means that the peer or the test has closed it
}

// Descriptors are used again at once by the next connection. Whoever is at the
// last one's still must not touch it.
func TestChurn(t *testing.T) {
	const peers = 16
	everywhere(t, func(t *testing.T, s *scene) {
		rounds := 200
		if s.slow {
			rounds = 20
		}
		var running sync.WaitGroup
		for i := range peers {
			running.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 7))
				for round := range rounds {
					visit(t, s, r, uint32(i*rounds+round+1))
				}
			})
		}
		running.Wait()
	})
}

// visit is one short connection. Either end closes it, in any of the ways.
func visit(t *testing.T, s *scene, r *rand.Rand, number uint32) {
	id := binary.BigEndian.AppendUint32(nil, number)
	p := &parrot{ear: newEar(t), conn: make(chan Conn, 1), id: id}
	taken, peer := s.pair(t, s.listener)
	c, err := take(s.poller, taken, id, p)
	if err != nil {
		t.Errorf("Take: %v", err)
		return
	}
	p.conn <- c
	_ = peer.SetDeadline(time.Now().Add(patience))
	for range r.IntN(4) {
		back := make([]byte, len(id))
		if _, err := io.ReadFull(peer, back); err != nil || !bytes.Equal(back, id) {
			t.Errorf("peer %x got %x, %v", id, back, err)
		}
		if _, err := peer.Write(id); err != nil {
			t.Errorf("the peer's write: %v", err)
		}
	}
	var stale sync.WaitGroup
	for range r.IntN(3) {
		stale.Go(func() { _, _ = c.Write(id) }) // may come just when it is closed
	}
	if r.IntN(2) == 0 {
		_ = peer.Close()
	} else {
		c.Close(r.IntN(2) == 0)
		_, _ = io.Copy(io.Discard, peer) // until the end, whichever it is
	}
	await(t, p.ends, "Closed")
	stale.Wait()
	if n, err := c.Write(id); n != 0 || err == nil {
		t.Errorf("Write after the end: %d, %v", n, err)
	}
	_ = peer.Close()
}
