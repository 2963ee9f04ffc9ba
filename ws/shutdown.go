package ws

import (
	"context"
	"errors"
	"time"
)

const (
	reasonRestart = "the server restarts"
	// closePace is the time between two closes of a shutdown, so that not all
	// clients come back at once; it is shorter where there are many.
	closePace = time.Millisecond
)

// Shutdown lets no session in any more, closes those that are there with 1012,
// one after another within half the time that ctx leaves, and waits until the
// last has ended. When ctx ends first it cuts the rest off and answers ctx's
// error; it does not wait for a handler or hook that ignores its own context.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	sessions := h.everyone()

	ended := make(chan struct{})
	go func() {
		h.sessions.Wait()
		close(ended)
	}()
	closeAll(ctx, sessions)
	defer h.stop()
	select {
	case <-ended:
		h.endPoller()
		return nil
	case <-ctx.Done():
	}
	for _, s := range sessions {
		s.cut()
	}
	select {
	case <-ended:
		h.endPoller()
	case <-time.After(h.opts.CloseTimeout):
	}
	if len(sessions) == 0 {
		return nil
	}
	return errors.Join(errors.New("ws: some sessions had to be cut off"), ctx.Err())
}

// stop ends the hub's own goroutines.
func (h *Hub) stop() {
	h.unsubscribe()
	h.cancel()
	h.advancing.Wait()
	h.working.Wait()
}

func closeAll(ctx context.Context, sessions []*Session) {
	pace := closePace
	if deadline, ok := ctx.Deadline(); ok && len(sessions) > 0 {
		pace = min(pace, time.Until(deadline)/2/time.Duration(len(sessions)))
	}
	next := time.Now()
	for _, s := range sessions {
		s.Close(CloseRestart, reasonRestart)
		// A sleep is never short of a fraction of a millisecond, so it is made
		// only when the schedule is ahead of the clock by more.
		if next = next.Add(pace); time.Until(next) > closePace {
			select {
			case <-time.After(time.Until(next)):
			case <-ctx.Done(): // no time is left to be kind
			}
		}
	}
}
