package ws

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	wire "github.com/gobwas/ws"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
)

// Session is one client's connection. Its reader owns its life: run returns
// after the reader has, and never before the writer.
type Session struct {
	// static after construction
	hub      *Hub
	clientID string
	limiter  *ratelimit.Limiter
	net      net.Conn // the raw connection; written by writeLoop, deadlines by all
	out      *outbox
	release  func()          // gives back what the gate took
	ctx      context.Context // ends with the session
	cancel   context.CancelFunc

	// owned by readLoop
	in         *inbox
	members    map[string]*member // by channel
	violations violations

	claims atomic.Pointer[auth.Claims] // replaced by readLoop when the client shows a newer token
	expiry expiry

	replays replays // of members that are behind
	answers answers // that publishes still wait for
	closing atomic.Bool

	// written by readLoop, read by writeLoop
	heard atomic.Int64 // when a byte last came in, in Unix nanoseconds
	busy  atomic.Bool  // a handler or hook runs, and no pong can be read
}

func newSession(h *Hub, conn net.Conn, e Entry) *Session {
	if e.Release == nil {
		e.Release = func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{
		hub: h, clientID: rand.Text(), limiter: e.Limiter,
		net: rawConn(conn), out: newOutbox(h.opts.QueueBytes), release: e.Release,
		ctx: ctx, cancel: cancel,
		members:    make(map[string]*member),
		violations: violations{limit: h.opts.Violations},
	}
	boundSendBuffer(s.net)
	s.claims.Store(&e.Claims)
	s.in = newInbox(hearing{conn, s}, h.opts.MessageBytes)
	return s
}

// hearing notes when bytes come in: a peer that is in the middle of a large
// frame cannot answer a ping, and is not silent.
type hearing struct {
	from io.Reader
	s    *Session
}

func (h hearing) Read(p []byte) (int, error) {
	n, err := h.from.Read(p)
	if n > 0 {
		h.s.hear()
	}
	return n, err
}

func (s *Session) hear() { s.heard.Store(s.hub.opts.Now().UnixNano()) }

// sendBuffer is what the kernel holds for a socket that is not read, in bytes, and
// about as much again for itself. Left alone it would let that grow to 4 MiB,
// which is outside of QueueBytes and of what the process is seen to take.
const sendBuffer = 64 << 10

// boundSendBuffer does what the system lets it.
func boundSendBuffer(conn net.Conn) {
	if tcp, ok := conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = tcp.SetWriteBuffer(sendBuffer)
	}
}

// rawConn is what fasthttp's connection wraps. That one goes back to a pool
// after the handler; a Close that comes from elsewhere just as the session ends
// may still hold the raw one, and at worst finds it closed.
func rawConn(conn net.Conn) net.Conn {
	if hijacked, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		return hijacked.UnsafeConn()
	}
	return conn
}

// ClientID names the connection.
func (s *Session) ClientID() string { return s.clientID }

// Claims are what the user's token says.
func (s *Session) Claims() auth.Claims { return *s.claims.Load() }

// Reply answers f with a frame of the given type: the members of fields, and
// f's id where it has one.
func (s *Session) Reply(f Frame, frameType string, fields map[string]any) error {
	reply := maps.Clone(fields)
	if reply == nil {
		reply = make(map[string]any)
	}
	reply["type"] = frameType
	if len(f.ID) > 0 {
		reply["id"] = f.ID
	}
	payload, err := json.Marshal(reply)
	if err != nil {
		return fmt.Errorf("ws: encoding a %s frame: %w", frameType, err)
	}
	s.push(wireFrame(wire.OpText, payload))
	return nil
}

// Close sends what is waiting, the answers to what the client has published
// too, and a close frame, and ends the session when the peer has said goodbye or
// CloseTimeout is over. It does not wait for that, and does nothing where the
// session is closing already. What the client sends from now on is dropped.
func (s *Session) Close(code int, reason string) {
	if s.closing.Swap(true) {
		return
	}
	finish := func() { s.finish(code, reason, true) }
	if !s.answers.whenSettled(finish) {
		time.AfterFunc(s.hub.opts.CloseTimeout, finish) // the log may be long about it
	}
}

func (s *Session) finish(code int, reason string, flush bool) {
	if s.out.finish(closeFrame(code, reason), flush) {
		s.hub.opts.Logger.Debug("closing a socket", "client", s.clientID, "user", s.Claims().Subject, "code", code, "reason", reason)
		deadline := time.Now().Add(s.hub.opts.CloseTimeout)
		_ = s.net.SetDeadline(deadline)                   // an error means that it is closed
		time.AfterFunc(s.hub.opts.CloseTimeout, s.cancel) // for a handler that waits
	}
}

// cut ends the session at once.
func (s *Session) cut() {
	s.cancel() // whatever a handler waits for
	s.out.finish(nil, false)
	_ = s.net.SetDeadline(time.Unix(1, 0)) // the past wakes reader and writer
}

// push queues a whole WebSocket frame. A session whose queue is full is closed:
// recovery brings the rest later, and nobody else waits for it.
func (s *Session) push(frame []byte) {
	if !s.out.push(frame) {
		s.finish(CloseTooSlow, "too slow to read", false)
	}
}

// send queues v as a text frame.
func (s *Session) send(v any) { s.push(wireFrame(wire.OpText, encode(v))) }

// run is the session's whole life. The writer ends before run does, because
// conn goes back to a pool then.
func (s *Session) run() {
	defer s.cancel()
	s.awaitExpiry()
	defer s.expiry.stop()
	var writer sync.WaitGroup
	writer.Go(s.writeLoop)
	broken := s.farewell(s.live())
	writer.Wait()
	s.cancel()
	s.replays.worker.Wait()
	if broken {
		s.linger()
	}
}

var errPanicked = errors.New("ws: a handler or hook panicked")

// live welcomes the client and serves it until the connection ends. A panic in
// a frame's handler or a hook ends this session alone.
func (s *Session) live() (err error) {
	defer s.leaveAll()
	defer func() {
		if reason := recover(); reason != nil {
			s.hub.opts.Logger.Error("session panicked", "panic", fmt.Sprint(reason), "client", s.clientID, "stack", string(debug.Stack()))
			err = errPanicked
		}
	}()
	if s.working(s.greet) {
		if hook := s.hub.opts.Hooks.Disconnect; hook != nil {
			defer hook(s)
		}
	}
	return s.readLoop()
}

// greet welcomes the client and joins the channels that all join. It tells
// whether the client was let in.
func (s *Session) greet() bool {
	if hook := s.hub.opts.Hooks.Connect; hook != nil {
		if err := hook(s.ctx, s); err != nil {
			s.turnAway(err)
			return false
		}
	}
	s.send(s.welcome())
	for _, name := range s.hub.opts.AutoSubscribe {
		// A rule or hook may keep this user out of a channel that others join.
		if err := s.subscribe(s.ctx, subscription{Channel: name}); err != nil {
			s.missOut(name, err)
		}
	}
	return true
}

// turnAway closes a session that the Connect hook refused: for good where the
// hook says so in an *Error, and otherwise to try again later.
func (s *Session) turnAway(err error) {
	told, internal := AsError(err)
	if internal {
		s.hub.opts.Logger.Error("connect hook failed", "client", s.clientID, "user", s.Claims().Subject, "error", err)
		s.Close(CloseTryLater, told.Message)
		return
	}
	s.Close(CloseForbidden, told.Message)
}

// missOut is for a channel that all join and this session could not.
func (s *Session) missOut(channel string, err error) {
	if told, internal := AsError(err); internal && s.ctx.Err() == nil {
		s.hub.opts.Logger.Error("a session could not join", "channel", channel, "client", s.clientID, "error", err)
		s.Close(CloseTryLater, told.Message)
	}
}

func (s *Session) welcome() welcomeFrame {
	o := &s.hub.opts
	return welcomeFrame{
		Type: TypeWelcome, Sender: s.sender(),
		Message:     fmt.Sprintf("Welcome, %s!", s.Claims().Username),
		ExpiresAt:   timestamp(s.Claims().ExpiresAt),
		HeartbeatMs: o.PingInterval.Milliseconds(),
		Limits: limits{
			MessageBytes: o.MessageBytes, Subscriptions: o.Subscriptions,
			Messages: messageRate{Rate: o.Messages.PerSecond, Burst: o.Messages.Burst},
		},
	}
}

func (s *Session) sender() Sender {
	return Sender{ClientID: s.clientID, UserID: s.Claims().Subject, Username: s.Claims().Username}
}

// maxDropped is how much of what comes behind our own close is read, in bytes. A
// client may not know yet that it is closed, and one that goes on and on would
// have us read at full speed until CloseTimeout is over.
const maxDropped = 256 << 10

// readLoop reads until the connection ends, and answers why it did.
func (s *Session) readLoop() error {
	dropped := 0
	for {
		opcode, payload, err := s.in.next()
		if err != nil {
			return err
		}
		switch {
		case s.closing.Load() || s.out.isFinished(): // what comes now is read and dropped
			if dropped += len(payload) + frameOverhead; dropped > maxDropped {
				<-s.ctx.Done() // the close frame has until then to get there
				return errFinished
			}
		case opcode == wire.OpText || opcode == wire.OpBinary:
			s.working(func() bool { s.receive(opcode, payload); return true })
		case opcode == wire.OpPing:
			s.charge(len(payload))
			s.push(wireFrame(wire.OpPong, payload))
		default: // a pong, or a piece of a message
			s.charge(len(payload))
		}
	}
}

// working does what may take long: as long as it does, the heartbeat waits.
func (s *Session) working(do func() bool) bool {
	s.busy.Store(true)
	defer func() {
		s.hear() // before busy ends, so that the wait for a pong starts anew
		s.busy.Store(false)
	}()
	return do()
}

// receive handles one message.
func (s *Session) receive(opcode wire.OpCode, payload []byte) {
	if opcode == wire.OpText && !utf8.Valid(payload) {
		s.Close(CloseInvalidText, "a text frame must be UTF-8")
		return
	}
	frame, err := parse(opcode, payload)
	frameType, known := s.hub.frames[frame.Type]
	if !known {
		frameType.Cost = costMessage
		if err == nil {
			err = &Error{Code: CodeUnknownType, Message: fmt.Sprintf("there is no frame type %.64q", frame.Type)}
		}
	}
	if err == nil && frame.Binary && !frameType.Binary {
		err = badFrame(fmt.Sprintf("%.64q is not taken in a binary frame; send it as JSON in a text frame", frame.Type))
	}
	if refusal := s.admit(frameType, len(payload)); refusal != nil {
		err = refusal
	}
	if err == nil {
		err = frameType.Handle(s.ctx, s, frame)
	}
	if err != nil {
		s.refuse(frame, err)
	}
}

func parse(opcode wire.OpCode, message []byte) (Frame, error) {
	if opcode == wire.OpText {
		return parseFrame(message)
	}
	header, payload, err := splitBinary(message)
	if err != nil {
		return Frame{}, err
	}
	frame, err := parseFrame(header)
	frame.Binary, frame.Payload = true, payload
	if told, _ := AsError(err); err != nil && told.Code == CodeUnknownType && frame.Type == "" {
		frame.Type, err = TypePublish, nil // what a binary frame is for
	}
	return frame, err
}

// refuse tells the client why its frame was not handled.
func (s *Session) refuse(f Frame, err error) {
	if s.closing.Load() && errors.Is(err, errFinished) || s.out.isFinished() {
		return // nobody reads it, and the end of the session is what err tells of
	}
	told, internal := AsError(err)
	if internal {
		s.hub.opts.Logger.Error("frame handler failed", "type", f.Type, "client", s.clientID, "user", s.Claims().Subject, "error", err)
	}
	s.send(errorFrame{
		Type: TypeError, Code: told.Code, Message: told.Message, ID: f.ID, Channel: told.Channel,
		RetryAfterMs: told.RetryAfter.Milliseconds(),
	})
}

// farewell ends the writer after the reader ended with err. It tells whether
// the connection is broken in a way that leaves bytes unread.
func (s *Session) farewell(err error) (broken bool) {
	var bye *goodbye
	var wrong *protocolError
	switch {
	case errors.As(err, &bye):
		s.Close(bye.code, "") // the peer's own code is the answer (RFC 6455, 5.5.1)
		return false
	case errors.As(err, &wrong):
		s.Close(wrong.code, wrong.reason)
		return true
	case errors.Is(err, errPanicked):
		s.Close(CloseInternal, "something went wrong on the server")
		return true
	default: // the connection ended without a word
		s.cut()
		return false
	}
}

// linger reads on and drops what comes, until the peer has gone or CloseTimeout
// is over: closing with bytes unread would reset the connection, and the peer
// might never see the close frame.
func (s *Session) linger() {
	if half, ok := s.net.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // who minds the close frame goes now
	}
	_, _ = io.Copy(io.Discard, s.net)
}
