package netpoll

import (
	"fmt"
	"net"
	"sync"
)

// gate lets connections in until it is closed, and knows when the last has left.
type gate struct {
	inside sync.WaitGroup // added to with mu held

	mu     sync.Mutex
	closed bool // guarded by mu
}

// enter counts one more connection, or answers net.ErrClosed.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return takeError(net.ErrClosed)
	}
	g.inside.Add(1)
	return nil
}

func (g *gate) leave() { g.inside.Done() }

// close returns when nobody is inside any more.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
}

func takeError(err error) error {
	return fmt.Errorf("netpoll: taking a connection over: %w", err)
}
