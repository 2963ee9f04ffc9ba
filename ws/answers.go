package ws

import (
	"context"
	"sync"
)

// maxUnanswered is how many publishes of a session the log may still owe an
// answer. Who sends more waits, so that no client alone fills the log's queue.
const maxUnanswered = 256

// answers counts the publishes of a session that the log has not answered yet.
type answers struct {
	mu      sync.Mutex // guards the rest
	open    int
	room    chan struct{} // closed when one is answered; nil while nobody waits
	settled func()        // called when none is open; nil while nobody waits
}

// add counts one more, when there is room for it.
func (a *answers) add(ctx context.Context) error {
	for {
		room, err := a.tryAdd()
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryAdd answers nil where there was room or never will be, and otherwise what
// tells that it is worth another try.
func (a *answers) tryAdd() (room <-chan struct{}, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.settled != nil:
		return nil, errFinished
	case a.open < maxUnanswered:
		a.open++
		return nil, nil
	case a.room == nil:
		a.room = make(chan struct{})
	}
	return a.room, nil
}

func (a *answers) done() {
	if settled := a.take(); settled != nil {
		settled()
	}
}

// take counts one less, and gives what is to be called when it was the last.
func (a *answers) take() (settled func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open--
	if a.room != nil {
		close(a.room)
		a.room = nil
	}
	if a.open > 0 {
		return nil
	}
	return a.settled
}

// whenSettled has then called, once or more, when none is open: now, where that
// is so. No more are taken from here on.
func (a *answers) whenSettled(then func()) {
	a.mu.Lock()
	a.settled = then
	now := a.open == 0
	a.mu.Unlock()
	if now {
		then()
	}
}
