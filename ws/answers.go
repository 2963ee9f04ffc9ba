package ws

import (
	"sync"
	"time"
)

// answers counts the publishes of a session that the log has not answered yet.
type answers struct {
	mu      sync.Mutex // guards the rest
	open    int
	settled chan struct{} // closed when none is open; nil while nobody waits
}

func (a *answers) add() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open++
}

func (a *answers) done() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open--; a.open == 0 && a.settled != nil {
		close(a.settled)
		a.settled = nil
	}
}

// settle waits, CloseTimeout at most, until everything that the client
// published is answered, so that no answer is lost to the close that follows.
func (s *Session) settle() {
	a := &s.answers
	a.mu.Lock()
	if a.open == 0 {
		a.mu.Unlock()
		return
	}
	settled := make(chan struct{})
	a.settled = settled
	a.mu.Unlock()
	select {
	case <-settled:
	case <-time.After(s.hub.opts.CloseTimeout):
	}
}
