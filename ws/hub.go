// Package ws is the realtime core: the frames of the protocol, a Session for
// each connection, and the Hub where they meet in channels.
//
// A frame's way in: netpoll, line.Received, the frameReader (RFC 6455), receive
// (UTF-8), the frameParser, the limiter, the type's Handler, Rules, and for a
// message the Log where there is one, and the Broker. Its way out: it is encoded
// once, Hub.deliver gives it to its channel, each part of that takes the bytes into
// what is pending, and the part's shard writes them to every member.
package ws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
	"github.com/gatecast/gatecast/ws/netpoll"
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
	DetailMax     int            // users up to which members are told of each at once, and that a list names; 0 means 200
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
	WriteTimeout time.Duration // how long a client may take nothing of what waits for it
	CloseTimeout time.Duration // for the peer's goodbye

	Hooks    Hooks
	Observer Observer             // nil is told nothing
	Frames   map[string]FrameType // beside the protocol's own
	Logger   *slog.Logger         // nil discards
	Now      func() time.Time     // nil means time.Now
	Poller   netpoll.Poller       // reads the connections; the Hub closes it. nil means netpoll.New
}

// Hooks let a program decide at the doors. A nil hook lets everyone through; an
// *Error that a hook returns is what the client is told. They run on the
// session's reader, as its Handlers do, and hold up nobody else; their context
// ends with the session, at the latest CloseTimeout after it was closed. Publish is
// asked for chat and publish, over REST too (on the request's goroutine and with
// its context), and not for typing. Disconnect is called for whom Connect let in.
type Hooks struct {
	Connect    func(ctx context.Context, s *Session) error // an *Error closes with 4403, another error with 1013
	Subscribe  func(ctx context.Context, s *Session, channel string) error
	Publish    func(ctx context.Context, who auth.Claims, m Message) error
	Disconnect func(s *Session)
}

// Entry is what the gate found out about a connection before it let it in.
type Entry struct {
	Bearer *auth.Bearer
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
	shards      []*shard
	started     time.Time       // what the hub's clock begins with
	unsubscribe func()          // from the broker
	endPoller   func()          // once
	ctx         context.Context // ends with Shutdown
	cancel      context.CancelFunc

	// safe for concurrent use
	next          atomic.Uint64 // the shard of the next session
	subscriptions atomic.Int64
	readers       sync.Pool // of *frameReader
	parsers       sync.Pool // of *frameParser
	sweep         sweep
	counts        *counts
	restless      restless

	sessions  sync.WaitGroup // those that have not ended
	working   sync.WaitGroup // the shards' workers and the sweep
	advancing sync.WaitGroup // channels that read what the broker lost

	mu       sync.RWMutex // guards the rest
	draining bool
	channels map[string]*channel
}

// ErrAutoSubscribe: Options.AutoSubscribe names what is no channel, or one that no
// rule is about.
var ErrAutoSubscribe = errors.New("ws: no session could join")

// NewHub makes a Hub that listens to its broker until Shutdown. It fails where
// opts cannot work (ErrAutoSubscribe is one reason), and where the system has
// nothing left to watch connections with.
func NewHub(opts Options) (*Hub, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	h := &Hub{
		opts:     opts,
		frames:   protocolFrames(),
		started:  time.Now(),
		readers:  sync.Pool{New: func() any { return &frameReader{limit: int64(opts.MessageBytes)} }},
		parsers:  sync.Pool{New: func() any { return new(frameParser) }},
		sweep:    sweep{poke: make(chan struct{}, 1)},
		counts:   newCounts(),
		channels: make(map[string]*channel),
	}
	if err := h.addFrames(); err != nil {
		return nil, err
	}
	if h.opts.Poller == nil {
		var err error
		if h.opts.Poller, err = netpoll.New(); err != nil {
			return nil, fmt.Errorf("ws: %w", err)
		}
	}
	h.endPoller = sync.OnceFunc(h.opts.Poller.Close)
	h.pages = pages{log: opts.Log, bytes: min(pageBytes, h.roomBytes())}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	for i := range runtime.GOMAXPROCS(0) {
		sh := newShard(h, i)
		h.shards = append(h.shards, sh)
		h.working.Go(sh.work)
	}
	h.working.Go(h.watch)
	h.unsubscribe = opts.Broker.Subscribe(h.deliver)
	return h, nil
}

// complete fills in what may be left out, and refuses what cannot work.
func (o *Options) complete() error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.DetailMax == 0 {
		o.DetailMax = detailDefault
	}
	if o.Observer == nil {
		o.Observer = noObserver{}
	}
	switch {
	case o.Rules == nil || o.Broker == nil:
		return errors.New("ws: Rules and Broker are required")
	case o.PingTimeout <= 0 || o.PingInterval <= o.PingTimeout || o.WriteTimeout <= 0 || o.CloseTimeout <= 0:
		return errors.New("ws: timeouts must be above 0, and PingTimeout below PingInterval")
	case o.Log == nil && o.Rules.keep():
		return errors.New("ws: a rule keeps history, and there is no Log")
	}
	for _, name := range o.AutoSubscribe {
		if _, _, err := o.Rules.find(name); err != nil {
			return fmt.Errorf("%w %q: %w", ErrAutoSubscribe, name, err)
		}
	}
	return nil
}

// addFrames puts the program's frame types beside the protocol's.
func (h *Hub) addFrames() error {
	for name, frame := range h.opts.Frames {
		if _, taken := h.frames[name]; taken {
			return fmt.Errorf("ws: frame type %q is the protocol's own", name)
		}
		if frame.Handle == nil {
			return fmt.Errorf("ws: frame type %q has no handler", name)
		}
		h.frames[name] = frame
	}
	return nil
}

// elapsed is the hub's clock: it only goes on, whatever is done to the system's.
func (h *Hub) elapsed() time.Duration { return time.Since(h.started) }

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

// roomBytes is how little must wait for a session before it is sent a page, and in
// a part of a channel before more is published there.
func (h *Hub) roomBytes() int {
	if h.opts.QueueBytes == 0 {
		return pageBytes
	}
	return h.opts.QueueBytes / 4
}

// CloseSessions closes all sessions whose token says something that about holds
// for.
func (h *Hub) CloseSessions(about func(auth.Claims) bool, code int, reason string) {
	for _, s := range h.everyone() {
		if about(s.Claims()) {
			s.Close(code, reason)
		}
	}
}

// everyone are all sessions there are.
func (h *Hub) everyone() []*Session {
	var all []*Session
	for _, sh := range h.shards {
		sh.mu.Lock()
		for i := range sh.seats {
			all = append(all, sh.seats[i].session)
		}
		sh.mu.Unlock()
	}
	return all
}

// Sessions is how many sessions there are.
func (h *Hub) Sessions() int {
	n := 0
	for _, sh := range h.shards {
		sh.mu.Lock()
		n += len(sh.seats)
		sh.mu.Unlock()
	}
	return n
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
