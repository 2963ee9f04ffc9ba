package netpoll

import (
	"io"
	"net"
	"testing"
	"time"
)

// counter is a Handler that tells how many bytes came, and that there is room.
type counter struct {
	got  chan int
	room chan struct{}
}

func newCounter(room int) counter {
	return counter{got: make(chan int, room), room: make(chan struct{}, 1)}
}

func (counter) Opened(Conn)         {}
func (c counter) Received(p []byte) { c.got <- len(p) }
func (counter) Ended() bool         { return false }
func (c counter) Writable() {
	select {
	case c.room <- struct{}{}:
	default:
	}
}
func (counter) Closed(error) {}

// pollers runs a benchmark over TCP with n connections that h hears of.
func pollers(b *testing.B, n int, h Handler, run func(b *testing.B, conns []Conn, peers []net.Conn)) {
	for _, w := range worlds() {
		if w.name != "system" && w.name != "goroutines over TCP" {
			continue
		}
		b.Run(w.name, func(b *testing.B) {
			s := newScene(b, w)
			var conns []Conn
			var peers []net.Conn
			for range n {
				c, peer := s.connect(b, h, "")
				_ = peer.SetDeadline(time.Time{})
				conns, peers = append(conns, c), append(peers, peer)
			}
			b.ReportAllocs()
			run(b, conns, peers)
		})
	}
}

// BenchmarkReceive is a message of 128 bytes to a connection that is at rest,
// the peer's write included.
func BenchmarkReceive(b *testing.B) {
	h, message := newCounter(1), make([]byte, 128)
	pollers(b, 1, h, func(b *testing.B, _ []Conn, peers []net.Conn) {
		for b.Loop() {
			if _, err := peers[0].Write(message); err != nil {
				b.Fatal(err)
			}
			<-h.got
		}
	})
}

// BenchmarkReceiveMany is the same from 100 peers at once.
func BenchmarkReceiveMany(b *testing.B) {
	h, message := newCounter(100), make([]byte, 128)
	pollers(b, 100, h, func(b *testing.B, _ []Conn, peers []net.Conn) {
		sent := 0
		for b.Loop() {
			if sent++; sent%len(peers) != 0 {
				continue
			}
			for _, peer := range peers {
				if _, err := peer.Write(message); err != nil {
					b.Fatal(err)
				}
			}
			for range peers {
				<-h.got
			}
		}
	})
}

// BenchmarkWrite is a message of 128 bytes to a peer that reads.
func BenchmarkWrite(b *testing.B) {
	h, message := newCounter(1), make([]byte, 128)
	pollers(b, 1, h, func(b *testing.B, conns []Conn, peers []net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, peers[0]) }()
		for b.Loop() {
			n, err := conns[0].Write(message)
			if err != nil {
				b.Fatal(err)
			}
			if n < len(message) {
				<-h.room
			}
		}
	})
}
