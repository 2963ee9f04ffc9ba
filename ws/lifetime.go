package ws

import (
	"context"
	"time"
)

// lifetime is a session as the context of what it sets going: it ends with the
// session. A context of its own would take more memory than all else that an idle
// session needs to be read.
type lifetime Session

func (s *Session) lifetime() context.Context { return (*lifetime)(s) }

// Deadline is never known.
func (l *lifetime) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done is closed when the session ends.
func (l *lifetime) Done() <-chan struct{} {
	l.shard.mu.Lock()
	defer l.shard.mu.Unlock()
	if l.done == nil {
		l.done = make(chan struct{})
		if l.over {
			close(l.done)
		}
	}
	return l.done
}

// Err is context.Canceled when the session has ended.
func (l *lifetime) Err() error {
	l.shard.mu.Lock()
	defer l.shard.mu.Unlock()
	if l.over {
		return context.Canceled
	}
	return nil
}

// Value knows nothing.
func (l *lifetime) Value(any) any { return nil }

// cancel ends whatever a handler or hook waits for. The caller holds the shard's
// mu.
func (l *lifetime) cancel() {
	if l.over {
		return
	}
	l.over = true
	if l.done != nil {
		close(l.done)
	}
}
