package ws

import (
	"errors"
	"fmt"
	"runtime/debug"

	wire "github.com/gobwas/ws"

	"github.com/gatecast/gatecast/ws/netpoll"
)

// line is a session as its connection sees it.
type line Session

// Opened welcomes the client and joins the channels that all join.
func (l *line) Opened(conn netpoll.Conn) {
	s := (*Session)(l)
	s.shard.mu.Lock()
	s.conn, s.blocked = conn, false
	if s.over { // it was cut off before it began
		conn.Close(true)
	}
	if len(s.out) > 0 {
		s.markDirty()
	}
	s.shard.mu.Unlock()
	s.work(func() { s.welcomed = s.greet() })
}

// Received takes what the client sends.
func (l *line) Received(p []byte) {
	s := (*Session)(l)
	s.work(func() { s.read(p) })
}

// Writable has the shard write on.
func (l *line) Writable() {
	s := (*Session)(l)
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.vacant = true
	if s.blocked && s.conn != nil {
		s.blocked = false
		if len(s.out) > 0 {
			s.markDirty()
		}
	}
}

// Ended keeps the connection of a client that has said goodbye open until our own
// close frame and what is before it have been written; sweep sees to it that this has
// an end. Who hangs up without a word is owed nothing.
func (l *line) Ended() (staysOpen bool) {
	l.shard.mu.Lock()
	defer l.shard.mu.Unlock()
	return l.bye && !l.over && !(l.finished && len(l.out) == 0 && l.writing == 0)
}

// Closed is the session's end.
func (l *line) Closed(error) {
	s := (*Session)(l)
	s.cut()
	s.guard(func() {
		if hook := s.hub().opts.Hooks.Disconnect; hook != nil && s.welcomed {
			hook(s)
		}
	})
	s.leaveAll()
	if s.rare != nil {
		s.rare.replays.worker.Wait()
	}
	s.hub().remove(s)
}

// work does what may take long: as long as it does, the heartbeat waits.
func (s *Session) work(do func()) {
	s.busy.Store(true)
	defer func() {
		s.hear() // before busy ends, so that the wait for a pong starts anew
		s.busy.Store(false)
	}()
	s.hear()
	s.guard(do)
}

func (s *Session) hear() { s.heard.Store(int64(s.hub().elapsed())) }

// guard has a panic in a frame's handler or a hook end this session alone.
func (s *Session) guard(do func()) {
	defer func() {
		if reason := recover(); reason != nil {
			s.hub().opts.Logger.Error("session panicked", "panic", fmt.Sprint(reason), "client", s.clientID, "stack", string(debug.Stack()))
			s.giveUp(CloseInternal, "something went wrong on the server")
		}
	}()
	do()
}

// maxDropped is how much of what comes behind our own close is read, in bytes. A
// client may not know yet that it is closed, and one that goes on and on would
// have us read at full speed until CloseTimeout is over.
const maxDropped = 256 << 10

// read takes bytes, and the frames that they complete.
func (s *Session) read(p []byte) {
	r := s.hub().readers.Get().(*frameReader)
	r.begin(s.in, p)
	defer func() {
		s.in = r.end()
		s.hub().readers.Put(r)
	}()
	for !s.deaf {
		opcode, payload, err := r.next()
		if err != nil {
			s.farewell(err)
			return
		}
		if opcode == noFrame {
			break
		}
		s.take(opcode, payload)
	}
	if s.closing.Load() {
		if s.dropped += int32(len(p)); s.dropped > maxDropped {
			<-s.lifetime().Done() // the close frame has until then to get there
		}
	}
}

// take is for one message, control frame or piece of a message.
func (s *Session) take(opcode wire.OpCode, payload []byte) {
	s.shard.received.Add(1)
	switch {
	case s.closing.Load(): // what comes now is read and dropped
	case opcode == wire.OpText || opcode == wire.OpBinary:
		s.receive(opcode, payload)
	case opcode == wire.OpPing:
		s.charge(len(payload))
		s.push(wireFrame(wire.OpPong, payload))
	default: // a pong, or a piece of a message
		s.charge(len(payload))
	}
}

// farewell is for the client's last frame, or for one that breaks the rules.
func (s *Session) farewell(err error) {
	s.deaf = true
	var bye *goodbye
	var wrong *protocolError
	switch {
	case errors.As(err, &bye):
		s.shard.mu.Lock()
		s.bye = true
		s.sayGoodbye() // where ours was said before
		s.shard.mu.Unlock()
		s.Close(bye.code, "") // the peer's own code is the answer (RFC 6455, 5.5.1)
	case errors.As(err, &wrong):
		s.giveUp(wrong.code, wrong.reason)
	}
}

// giveUp closes a session that nothing more is understood of. What comes is
// dropped until the peer has gone or CloseTimeout is over: closing with bytes
// unread would reset the connection, and the peer might never see the close frame.
func (s *Session) giveUp(code int, reason string) {
	s.deaf = true
	s.shard.mu.Lock()
	s.half = true // who minds the close frame goes now
	s.shard.mu.Unlock()
	s.Close(code, reason)
}
