package netpoll

import (
	"net"
	"time"
)

// goroutines is the Poller with a goroutine a connection.
type goroutines struct {
	gate gate
}

// Goroutines makes a Poller that has a goroutine and a buffer of 4 KiB for each
// connection, and takes any net.Conn: TLS, net.Pipe.
func Goroutines() Poller { return new(goroutines) }

// Take implements Poller.
func (g *goroutines) Take(nc net.Conn, early []byte, h Handler) (Conn, error) {
	if err := g.gate.enter(); err != nil {
		_ = nc.Close()
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{}) // who had it before may have set some; an error shows when it is read
	s := &stream{conn: nc, handler: h}
	go func() {
		defer g.gate.leave()
		s.read(early)
	}()
	return s, nil
}

// Close implements Poller.
func (g *goroutines) Close() { g.gate.close() }
