// Package ws is the realtime core: the frames of the protocol, a Session for
// each connection, and the Hub where they meet in channels.
//
// A frame's way in: the inbox (RFC 6455), Session.readLoop, receive (UTF-8),
// parseFrame, the limiter, the type's Handler, Rules, and for a message the
// Broker. Its way out: Hub.deliver encodes it once and puts the same bytes into
// every member's outbox, which that Session's writeLoop empties.
package ws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
)

// Options of a Hub.
type Options struct {
	Rules         *Rules   // required
	Broker        Broker   // required
	Log           Log      // required where a rule keeps history
	AutoSubscribe []string // channels that every session joins first

	MessageBytes  int            // size of a client's frame; 0 is unlimited
	Subscriptions int            // channels of a session; 0 is unlimited
	Violations    int            // refused frames within 10 s that close; 0 never closes
	QueueBytes    int            // bytes that wait for a session; 0 is unlimited
	DetailMax     int            // users that a presence list names
	Messages      ratelimit.Rate // told to clients; Entry.Limiter enforces it

	// Verifier tells what the tokens say that clients renew theirs with; nil takes
	// none.
	Verifier Verifier
	// Revoked tells whether a token that was let in is not good any more; nil is
	// never. What is revoked later is for CloseSessions.
	Revoked      func(auth.Claims) bool
	ExpiryNotice time.Duration // between the warning and a token's end

	PingInterval time.Duration // between pings
	PingTimeout  time.Duration // for the answer; below PingInterval
	WriteTimeout time.Duration // of one write
	CloseTimeout time.Duration // for the peer's goodbye

	Hooks    Hooks
	Observer Observer             // nil is told nothing
	Frames   map[string]FrameType // beside the protocol's own
	Logger   *slog.Logger         // nil discards
	Now      func() time.Time     // nil means time.Now
}

// Hooks let a program decide at the doors. A nil hook lets everyone through; an
// *Error that a hook returns is what the client is told. They run on the
// session's own goroutine and hold up nobody else; their context ends with the
// session, at the latest CloseTimeout after it was closed. Publish is asked for
// chat and publish, over REST too, and not for typing. Disconnect is called for whom Connect let in.
type Hooks struct {
	Connect    func(ctx context.Context, s *Session) error // an *Error closes with 4403, another error with 1013
	Subscribe  func(ctx context.Context, s *Session, channel string) error
	Publish    func(ctx context.Context, who auth.Claims, m Message) error
	Disconnect func(s *Session)
}

// Entry is what the gate found out about a connection before it let it in.
type Entry struct {
	Claims auth.Claims
	// Limiter is the user's one Limiter. Its buckets are messages and bytes,
	// in this order.
	Limiter *ratelimit.Limiter
	// Release gives back what the gate took for this connection. The Hub calls
	// it once, when the session is over; nil does nothing.
	Release func()
}

// Hub is where the sessions of this node meet. It is safe for concurrent use.
type Hub struct {
	// static after construction
	opts        Options
	frames      map[string]FrameType
	pages       pages
	unsubscribe func()          // from the broker
	ctx         context.Context // ends with Shutdown
	cancel      context.CancelFunc

	running   sync.WaitGroup // sessions that Serve has not returned from
	advancing sync.WaitGroup // channels that read what the broker lost

	mu       sync.RWMutex // guards the rest
	draining bool
	sessions map[*Session]struct{}
	channels map[string]*channel
}

// NewHub makes a Hub that listens to its broker until Shutdown.
func NewHub(opts Options) (*Hub, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case opts.Rules == nil || opts.Broker == nil:
		return nil, errors.New("ws: Rules and Broker are required")
	case opts.PingTimeout <= 0 || opts.PingInterval <= opts.PingTimeout || opts.WriteTimeout <= 0 || opts.CloseTimeout <= 0:
		return nil, errors.New("ws: timeouts must be above 0, and PingTimeout below PingInterval")
	}
	h := &Hub{
		opts:     opts,
		frames:   protocolFrames(),
		sessions: make(map[*Session]struct{}),
		channels: make(map[string]*channel),
	}
	for name, frame := range opts.Frames {
		if _, taken := h.frames[name]; taken {
			return nil, fmt.Errorf("ws: frame type %q is the protocol's own", name)
		}
		if frame.Handle == nil {
			return nil, fmt.Errorf("ws: frame type %q has no handler", name)
		}
		h.frames[name] = frame
	}
	for _, name := range opts.AutoSubscribe {
		if _, _, err := opts.Rules.find(name); err != nil {
			return nil, fmt.Errorf("ws: channel %q that all are to join: %w", name, err)
		}
	}
	if opts.Log == nil && opts.Rules.keep() {
		return nil, errors.New("ws: a rule keeps history, and there is no Log")
	}
	h.pages = pages{log: opts.Log, bytes: min(pageBytes, h.roomBytes())}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.unsubscribe = opts.Broker.Subscribe(h.deliver)
	return h, nil
}

// Serve runs a session on a connection that has been upgraded, until it ends.
// The caller owns conn and may give it away once Serve has returned: nothing
// reads or writes it any more.
func (h *Hub) Serve(conn net.Conn, entry Entry) {
	s := newSession(h, conn, entry)
	if code, reason := h.add(s); code != 0 {
		s.release()
		s.Close(code, reason)
		s.writeLoop()
		s.cancel()
		return
	}
	defer h.remove(s)
	s.run()
}

// add answers a close code where the session cannot be let in. Whether its token
// has been revoked is looked at where CloseSessions sees it already or not yet:
// one of them finds it.
func (h *Hub) add(s *Session) (code int, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.draining:
		return CloseRestart, reasonRestart
	case h.opts.Revoked != nil && h.opts.Revoked(s.Claims()):
		return CloseUnauthorized, ReasonEnded
	}
	h.running.Add(1)
	h.sessions[s] = struct{}{}
	return 0, ""
}

func (h *Hub) remove(s *Session) {
	h.mu.Lock()
	delete(h.sessions, s)
	h.mu.Unlock()
	s.release() // before the session counts as ended, so that Shutdown waits for it
	h.running.Done()
}

func (h *Hub) channel(name string) *channel {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.channels[name]
}

// deliver is what the broker calls.
func (h *Hub) deliver(e Envelope) {
	c := h.channel(e.Channel)
	if c == nil {
		return
	}
	if c.deliver(e) {
		h.goAdvance(c)
	}
}

// roomBytes is how little must wait for a session before it is sent a page.
func (h *Hub) roomBytes() int {
	if h.opts.QueueBytes == 0 {
		return pageBytes
	}
	return h.opts.QueueBytes / 4
}

// CloseSessions closes all sessions whose token says something that about holds
// for.
func (h *Hub) CloseSessions(about func(auth.Claims) bool, code int, reason string) {
	for _, s := range h.sessionsWith(about) {
		s.Close(code, reason)
	}
}

func (h *Hub) sessionsWith(about func(auth.Claims) bool) []*Session {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var those []*Session
	for s := range h.sessions {
		if about(s.Claims()) {
			those = append(those, s)
		}
	}
	return those
}

// Sessions is how many sessions there are.
func (h *Hub) Sessions() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.sessions)
}

// Draining tells whether Shutdown has begun.
func (h *Hub) Draining() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.draining
}

// ReasonEnded is said to sockets whose session has ended or whose token was
// revoked.
const ReasonEnded = "the session has ended, or its token was revoked: get another token"

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
	sessions := maps.Clone(h.sessions)
	h.mu.Unlock()

	ended := make(chan struct{})
	go func() {
		h.running.Wait()
		close(ended)
	}()
	closeAll(ctx, sessions)
	defer h.advancing.Wait()
	defer h.cancel()
	defer h.unsubscribe()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	if len(sessions) == 0 {
		return nil
	}
	for s := range sessions {
		s.cut()
	}
	select {
	case <-ended:
	case <-time.After(h.opts.CloseTimeout):
	}
	return errors.Join(errors.New("ws: some sessions had to be cut off"), ctx.Err())
}

func closeAll(ctx context.Context, sessions map[*Session]struct{}) {
	pace := closePace
	if deadline, ok := ctx.Deadline(); ok && len(sessions) > 0 {
		pace = min(pace, time.Until(deadline)/2/time.Duration(len(sessions)))
	}
	next := time.Now()
	for s := range sessions {
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
