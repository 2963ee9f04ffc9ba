package netpoll

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
)

// noise is n bytes that are the same for the same seed.
func noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// writeAll writes p in pieces, and waits for Writable where one was short.
func writeAll(t testing.TB, c Conn, e *ear, p []byte) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(len(p)), 1))
	for len(p) > 0 {
		piece := p[:min(len(p), 1+r.IntN(40_000))]
		n, err := c.Write(piece)
		if err != nil {
			t.Errorf("Write: %v", err)
			return
		}
		p = p[n:]
		if n < len(piece) {
			await(t, e.rooms, "Writable")
		}
	}
}

func TestEveryByteArrivesInOrder(t *testing.T) {
	const size = 8 << 20
	everywhere(t, func(t *testing.T, s *scene) {
		there, back := noise(1, size), noise(2, size)
		heard := make(chan []byte, 1)
		var got []byte
		e := newEar(t)
		e.received = func(p []byte) {
			if got = append(got, p...); len(got) >= size {
				heard <- got
			}
		}
		c, peer := s.connect(t, e, "")
		go func() {
			r := rand.New(rand.NewPCG(3, 3))
			for rest := there; len(rest) > 0; {
				n := min(len(rest), 1+r.IntN(40_000))
				if _, err := peer.Write(rest[:n]); err != nil {
					t.Errorf("the peer's write: %v", err)
					return
				}
				rest = rest[n:]
			}
		}()
		go writeAll(t, c, e, back)
		read := make([]byte, size)
		if _, err := io.ReadFull(peer, read); err != nil {
			t.Fatalf("the peer's read: %v", err)
		}
		if !bytes.Equal(read, back) {
			t.Fatal("the peer got something else")
		}
		if !bytes.Equal(await(t, heard, "all bytes"), there) {
			t.Fatal("something else was received")
		}
	})
}
