package netpoll

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// inPieces calls write with pieces of p of any size up to 40 kB.
func inPieces(seed uint64, p []byte, write func(piece []byte) error) error {
	r := rand.New(rand.NewPCG(seed, 1))
	for len(p) > 0 {
		n := min(len(p), 1+r.IntN(40_000))
		if err := write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// writeAll waits for Writable where a Write was short.
func writeAll(t testing.TB, c Conn, e *ear, p []byte) error {
	for {
		n, err := c.Write(p)
		if err != nil || n == len(p) {
			return err
		}
		p = p[n:]
		await(t, e.rooms, "Writable")
	}
}

func TestEveryByteArrivesInOrder(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) { exchange(t, s, 4<<20) })
}

// With little room in the kernel almost every Write is short.
func TestEveryByteArrivesThroughLittleRoom(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		wide := s.pair
		s.pair = func(t testing.TB, l *listener) (taken, peer net.Conn) {
			taken, peer = wide(t, l)
			if socket, ok := innermost(taken).(interface{ SetWriteBuffer(bytes int) error }); ok {
				_ = socket.SetWriteBuffer(8 << 10)
			}
			return taken, peer
		}
		exchange(t, s, 1<<20)
	})
}

// exchange sends size bytes each way at the same time.
func exchange(t *testing.T, s *scene, size int) {
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
	var writers sync.WaitGroup
	defer writers.Wait()
	writers.Go(func() {
		if err := inPieces(3, there, func(p []byte) error { _, err := peer.Write(p); return err }); err != nil {
			t.Errorf("the peer's write: %v", err)
		}
	})
	writers.Go(func() {
		if err := inPieces(4, back, func(p []byte) error { return writeAll(t, c, e, p) }); err != nil {
			t.Errorf("Write: %v", err)
		}
	})
	read := make([]byte, size)
	if _, err := io.ReadFull(peer, read); err != nil {
		t.Fatalf("the peer's read: %v", err)
	}
	if !bytes.Equal(read, back) {
		t.Error("the peer got something else")
	}
	if !bytes.Equal(await(t, heard, "all bytes"), there) {
		t.Error("something else was received")
	}
}

// A peer that never reads holds nobody up, and is told apart by a short Write.
// Once it reads there is room again.
func TestWriteNeverWaits(t *testing.T) {
	everywhere(t, func(t *testing.T, s *scene) {
		e := newEar(t)
		c, peer := s.connect(t, e, "")
		fill(t, c)
		say(t, peer, "I speak and do not listen")
		e.hear("I speak and do not listen")
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		for n := 0; n == 0; { // it may have come once too often
			await(t, e.rooms, "Writable")
			var err error
			if n, err = c.Write([]byte("x")); err != nil {
				t.Fatalf("Write: %v", err)
			}
		}
	})
}

// What one Write takes is in one piece.
func TestWritersDoNotMix(t *testing.T) {
	const writers, lines, width = 8, 200, 64
	everywhere(t, func(t *testing.T, s *scene) {
		c, peer := s.connect(t, newEar(t), "")
		var writing sync.WaitGroup
		for i := range writers {
			writing.Go(func() {
				for sent := 0; sent < lines; {
					n, err := c.Write(bytes.Repeat([]byte{byte('a' + i)}, width))
					if err != nil || n != 0 && n != width {
						t.Errorf("Write: %d, %v", n, err)
						return
					}
					sent += n / width
				}
			})
		}
		line := make([]byte, width)
		for range writers * lines {
			if _, err := io.ReadFull(peer, line); err != nil {
				t.Fatalf("the peer's read: %v", err)
			}
			if bytes.Count(line, line[:1]) != width {
				t.Fatalf("the peer got %q", line)
			}
		}
		writing.Wait()
	})
}
