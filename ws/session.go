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

	"github.com/fasthttp/websocket"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
)

// Session is one client's connection. Its reader owns its life: run returns
// after the reader has, and never before the writer.
type Session struct {
	// static after construction
	hub      *Hub
	clientID string
	claims   auth.Claims
	limiter  *ratelimit.Limiter
	conn     *websocket.Conn // used by readLoop alone, and by nobody after run
	net      net.Conn        // the raw connection; written by writeLoop, deadlines by all
	out      *outbox
	release  func()          // gives back what the gate took
	ctx      context.Context // ends with the session
	cancel   context.CancelFunc

	// owned by readLoop
	channels   map[string]*channel
	violations violations

	// when something last came in, in Unix nanoseconds
	heard atomic.Int64
}

func newSession(h *Hub, conn *websocket.Conn, e Entry) *Session {
	if e.Release == nil {
		e.Release = func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Session{
		hub: h, clientID: rand.Text(), claims: e.Claims, limiter: e.Limiter,
		conn: conn, net: rawConn(conn), out: newOutbox(h.opts.QueueBytes), release: e.Release,
		ctx: ctx, cancel: cancel,
		channels:   make(map[string]*channel),
		violations: violations{limit: h.opts.Violations},
	}
}

// rawConn is the connection that fasthttp's own, which goes back to a pool
// after the handler, wraps. A Close that comes from elsewhere just as the
// session ends may still hold it: at worst it finds it closed, and never
// another client's.
func rawConn(conn *websocket.Conn) net.Conn {
	if hijacked, ok := conn.NetConn().(interface{ UnsafeConn() net.Conn }); ok {
		return hijacked.UnsafeConn()
	}
	return conn.NetConn()
}

// ClientID names the connection.
func (s *Session) ClientID() string { return s.clientID }

// Claims are what the user's token says.
func (s *Session) Claims() auth.Claims { return s.claims }

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
	s.push(wireFrame(opText, payload))
	return nil
}

// Close sends what is waiting and a close frame, and ends the session when the
// peer has said goodbye or CloseTimeout is over. It does not wait for that,
// and does nothing where the session is closing already.
func (s *Session) Close(code int, reason string) { s.finish(code, reason, true) }

func (s *Session) finish(code int, reason string, flush bool) {
	if s.out.finish(closeFrame(code, reason), flush) {
		s.hub.opts.Logger.Debug("closing a socket", "client", s.clientID, "user", s.claims.Subject, "code", code, "reason", reason)
		deadline := time.Now().Add(s.hub.opts.CloseTimeout)
		_ = s.net.SetDeadline(deadline) // an error means that it is closed
	}
}

// cut ends the session at once.
func (s *Session) cut() {
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
func (s *Session) send(v any) { s.push(wireFrame(opText, encode(v))) }

// run is the session's whole life. The writer ends before run does, because
// conn goes back to a pool then.
func (s *Session) run() {
	defer s.cancel()
	var writer sync.WaitGroup
	writer.Go(s.writeLoop)
	s.farewell(s.live())
	writer.Wait()
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
	if hook := s.hub.opts.Hooks.Disconnect; hook != nil {
		defer hook(s)
	}
	s.greet()
	return s.readLoop()
}

// greet welcomes the client and joins the channels that all join.
func (s *Session) greet() {
	if hook := s.hub.opts.Hooks.Connect; hook != nil {
		if err := hook(s.ctx, s); err != nil {
			told, _ := asError(err)
			s.Close(CloseForbidden, told.Message)
			return
		}
	}
	s.send(s.welcome())
	for _, name := range s.hub.opts.AutoSubscribe {
		// A rule may keep this user out of a channel that others join.
		if err := s.hub.opts.Rules.Allow(ActionSubscribe, name, s.claims); err == nil {
			s.join(name, nil)
		}
	}
}

func (s *Session) welcome() welcomeFrame {
	o := &s.hub.opts
	return welcomeFrame{
		Type: TypeWelcome, sender: s.sender(),
		Message:     fmt.Sprintf("Welcome, %s!", s.claims.Username),
		ExpiresAt:   timestamp(s.claims.ExpiresAt),
		HeartbeatMs: o.PingInterval.Milliseconds(),
		Limits: limits{
			MessageBytes: o.MessageBytes, Subscriptions: o.Subscriptions,
			Messages: messageRate{Rate: o.Messages.PerSecond, Burst: o.Messages.Burst},
		},
	}
}

func (s *Session) sender() sender {
	return sender{ClientID: s.clientID, UserID: s.claims.Subject, Username: s.claims.Username}
}

// readLoop reads until the connection ends, and answers why it did.
func (s *Session) readLoop() error {
	s.conn.SetReadLimit(int64(s.hub.opts.MessageBytes))
	s.conn.SetPingHandler(s.onPing)
	s.conn.SetPongHandler(func(string) error { s.hear(); return nil })
	s.conn.SetCloseHandler(func(code int, _ string) error { return nil }) // farewell answers
	for {
		kind, payload, err := s.conn.ReadMessage()
		if err != nil {
			return err
		}
		s.hear()
		if !s.out.isFinished() { // what comes behind our close frame is read and dropped
			s.receive(kind, payload)
		}
	}
}

func (s *Session) hear() { s.heard.Store(s.hub.opts.Now().UnixNano()) }

// onPing answers a control ping through the queue, and charges for it.
func (s *Session) onPing(payload string) error {
	s.hear()
	if wait := s.limiter.Take(costPing, float64(len(payload))); wait > 0 {
		s.violate()
		return nil
	}
	s.push(wireFrame(opPong, []byte(payload)))
	return nil
}

// receive handles one message.
func (s *Session) receive(kind int, payload []byte) {
	if kind == websocket.TextMessage && !utf8.Valid(payload) {
		s.finish(CloseInvalidText, "a text frame must be UTF-8", true)
		return
	}
	frame, err := s.parse(kind, payload)
	frameType, known := s.hub.frames[frame.Type]
	if !known {
		frameType.Cost = costMessage
		if err == nil {
			err = &Error{Code: CodeUnknownType, Message: fmt.Sprintf("there is no frame type %q", frame.Type)}
		}
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

func (s *Session) parse(kind int, payload []byte) (Frame, error) {
	if kind != websocket.TextMessage {
		return Frame{}, badFrame("binary frames are not taken here; send JSON in a text frame")
	}
	return parseFrame(payload)
}

// refuse tells the client why its frame was not handled.
func (s *Session) refuse(f Frame, err error) {
	told, internal := asError(err)
	if internal {
		s.hub.opts.Logger.Error("frame handler failed", "type", f.Type, "client", s.clientID, "user", s.claims.Subject, "error", err)
	}
	s.send(errorFrame{
		Type: TypeError, Code: told.Code, Message: told.Message, ID: f.ID, Channel: told.Channel,
		RetryAfterMs: told.RetryAfter.Milliseconds(),
	})
}

// farewell ends the writer after the reader ended with err.
func (s *Session) farewell(err error) {
	var goodbye *websocket.CloseError
	var broken net.Error
	switch {
	case errors.As(err, &goodbye) && goodbye.Code == websocket.CloseNoStatusReceived:
		s.Close(CloseNormal, "")
	case errors.As(err, &goodbye) && goodbye.Code != websocket.CloseAbnormalClosure:
		s.Close(goodbye.Code, "") // the peer's own code is the answer (RFC 6455, 5.5.1)
	case goodbye != nil || errors.As(err, &broken): // the connection ended without a word
		s.cut()
	case errors.Is(err, errPanicked):
		s.Close(CloseInternal, "something went wrong on the server")
		_, _ = io.Copy(io.Discard, s.net) // until the peer has read it, or CloseTimeout
	default:
		// The library has found a mistake (1002, 1009) and sent the close
		// frame. Closing with bytes unread would reset the connection, and
		// the peer might never see why: read on a little.
		s.out.finish(nil, false)
		_ = s.net.SetReadDeadline(time.Now().Add(s.hub.opts.CloseTimeout))
		_, _ = io.Copy(io.Discard, s.net)
	}
}
