package netpoll

import (
	"net"
	"time"
)

// goroutines is the Poller with a goroutine a connection.
type goroutines struct {
	gate gate
}

// Goroutines makes a Poller that has a goroutine, whoever calls Take, and a buffer
// of 4 KiB for each connection, and takes any net.Conn: TLS, net.Pipe.
func Goroutines() Poller { return new(goroutines) }

// Take implements Poller.
func (g *goroutines) Take(nc net.Conn, early []byte, h Handler) error {
	if err := g.gate.enter(); err != nil {
		_ = nc.Close()
		return err
	}
	defer g.gate.leave()
	_ = nc.SetDeadline(time.Time{}) // who had it before may have set some; an error shows when it is read
	s := &stream{conn: nc, handler: h, ended: make(chan struct{})}
	s.read(early)
	return nil
}

// Close implements Poller.
func (g *goroutines) Close() { g.gate.close() }
