package ws_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"testing"

	wire "github.com/gobwas/ws"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
	"github.com/gatecast/gatecast/ws"
	"github.com/gatecast/gatecast/ws/netpoll"
)

// straits is a Poller of connections that have as much room as a test gives them.
type straits struct{ open sync.WaitGroup }

// Take implements netpoll.Poller.
func (p *straits) Take(conn net.Conn, _ []byte, h netpoll.Handler) error {
	s := conn.(taken).strait
	p.open.Go(func() { s.serve(h) })
	return nil
}

// Close implements netpoll.Poller.
func (p *straits) Close() { p.open.Wait() }

// taken is what a hub is given to take over.
type taken struct {
	net.Conn // nil: what is not here is not called
	strait   *strait
}

// strait is one end of a connection, and the test is at the other one.
type strait struct {
	// static after construction
	pause func()        // called within each Write, before it returns; nil does nothing
	says  chan []byte   // what the client sends
	heard chan struct{} // a word for each, once it has been handled
	ended chan struct{} // closed when the connection ends
	gone  chan struct{} // closed when the hub has seen that

	end sync.Once

	mu      sync.Mutex // guards the rest
	handler netpoll.Handler
	room    int
	short   bool
	half    bool
	writing func() // called once within the next Write, before it returns
	sent    []byte // what has come through
}

func newStrait(room int) *strait {
	return &strait{says: make(chan []byte), heard: make(chan struct{}), ended: make(chan struct{}), gone: make(chan struct{}), room: room}
}

// serve calls the handler as a Poller does.
func (s *strait) serve(h netpoll.Handler) {
	defer close(s.gone)
	s.mu.Lock()
	s.handler = h
	s.mu.Unlock()
	h.Opened(s)
	for {
		select {
		case p := <-s.says:
			h.Received(p)
			s.heard <- struct{}{}
		case <-s.ended:
			h.Closed(net.ErrClosed)
			return
		}
	}
}

// Write implements netpoll.Conn.
func (s *strait) Write(p []byte) (int, error) {
	n, then, err := s.take(p)
	if then != nil {
		then()
	}
	if s.pause != nil {
		s.pause()
	}
	return n, err
}

func (s *strait) take(p []byte) (n int, then func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.half || s.hasEnded() {
		return 0, nil, net.ErrClosed
	}
	then, s.writing = s.writing, nil
	n = min(len(p), s.room)
	s.room -= n
	s.sent = append(s.sent, p[:n]...)
	s.short = s.short || n < len(p)
	return n, then, nil
}

// CloseWrite implements netpoll.Conn.
func (s *strait) CloseWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.half = true
}

// Close implements netpoll.Conn, and is how the client goes too.
func (s *strait) Close(bool) { s.end.Do(func() { close(s.ended) }) }

func (s *strait) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// give makes room.
func (s *strait) give(n int) {
	s.mu.Lock()
	s.room += n
	owed, h := s.short && n > 0, s.handler
	s.short = s.short && !owed
	s.mu.Unlock()
	if owed {
		h.Writable()
	}
}

// duringNextWrite has then called before the next Write returns.
func (s *strait) duringNextWrite(then func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = then
}

// say sends text as a client, and returns when it has been handled, or cannot be
// any more.
func (s *strait) say(text string) (handled bool) { return s.sayFrame(wire.NewTextFrame([]byte(text))) }

func (s *strait) sayFrame(frame wire.Frame) (handled bool) {
	select {
	case s.says <- wire.MustCompileFrame(wire.MaskFrame(frame)):
		<-s.heard
		return true
	case <-s.ended:
		return false
	}
}

// frames takes apart what has come through. What follows the last whole frame is
// rest.
func (s *strait) frames() (all []wire.Frame, rest []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := bytes.NewReader(s.sent)
	for {
		at := len(s.sent) - from.Len()
		header, err := wire.ReadHeader(from)
		if err != nil || header.Length > int64(from.Len()) {
			return all, s.sent[at:]
		}
		payload := make([]byte, header.Length)
		_, _ = from.Read(payload) // all of it is there
		all = append(all, wire.Frame{Header: header, Payload: payload})
	}
}

// heardOf gives, in short, what has come through: types of frames and what names
// them, and close codes. It fails where a frame is none of ours.
func (s *strait) heardOf(t *testing.T) (short []string) {
	t.Helper()
	all, rest := s.frames()
	for _, frame := range all {
		if frame.Header.OpCode == wire.OpClose {
			code, _ := wire.ParseCloseFrameData(frame.Payload)
			short = append(short, fmt.Sprint(int(code)))
			continue
		}
		var f struct{ Type, ID, Channel, Key string }
		if err := json.Unmarshal(frame.Payload, &f); err != nil || frame.Header.OpCode != wire.OpText {
			t.Errorf("a frame %x with %.100q: %v", frame.Header.OpCode, frame.Payload, err)
		}
		short = append(short, f.Type+f.ID+f.Key)
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes of a frame whose end does not come: %.100q", len(rest), rest)
	}
	return short
}

// enterHub has a hub with straits take the connection over for a user.
func (s *strait) enterHub(hub *ws.Hub, name string) {
	hub.Serve(taken{strait: s}, ws.Entry{
		Bearer:  auth.NewBearer(auth.Claims{Subject: name, Username: name, Role: auth.RoleUser}),
		Limiter: ratelimit.NewLimiter(nil, ratelimit.Rate{}, ratelimit.Rate{}),
	})
}
