package ws

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	wire "github.com/gobwas/ws"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
	"github.com/gatecast/gatecast/ws/netpoll"
)

// Session is one client's connection. There may be very many, most of them idle:
// what an idle one does not need is not there.
//
// Its reader is whichever goroutine calls Opened, Received and Closed (line.go),
// one at a time. Its writer is its shard's.
type Session struct {
	// static after construction
	shard    *shard
	clientID string
	limiter  *ratelimit.Limiter
	release  func() // gives back what the gate took

	// safe for concurrent use
	bearer  atomic.Pointer[auth.Bearer] // replaced by the reader when the client shows a newer token
	heard   atomic.Int64                // when a byte last came in, on the hub's clock; written by the reader
	busy    atomic.Bool                 // the reader is at work, and no pong can be read
	closing atomic.Bool                 // what comes in is dropped
	answers answers                     // that publishes still wait for

	// owned by the reader
	in       *inbox // nil where no message has begun
	rare     *rare  // nil before something of it was needed
	dropped  int32  // bytes that came behind our own close
	deaf     bool   // nothing more is understood of what comes
	welcomed bool   // the Connect hook let it in

	// changed by the reader under the shard's mu: either is enough to read it
	members []*member

	// guarded by the shard's mu
	conn     netpoll.Conn  // nil before it is opened
	out      []byte        // whole frames that wait, but for what is left of one that has begun
	partial  int32         // bytes left of that one, in out or in what is being written
	writing  int32         // bytes that were taken from out and are being written
	seat     int32         // in shard.seats; -1 when it has left
	round    uint32        // the shard's last one that has a job for it
	job      int32         // in shard.jobs, in that round
	dirty    bool          // it is in shard.sessions
	blocked  bool          // the kernel has no room
	vacant   bool          // it has told that there is room since the round began
	finished bool          // a close frame is the last one in out; nothing comes behind it
	abrupt   bool          // nothing is flushed before the close frame: something is missing, or nobody would read it
	bye      bool          // the peer has said goodbye: the connection ends when all is written
	half     bool          // our side of the connection ends when all is written
	over     bool          // its end has begun: nothing is waited for any more
	ending   *ending       // nil until it is closing
	done     chan struct{} // closed with over; nil before somebody asks for it
	room     chan struct{} // closed when there is more room in out; nil while nobody waits
	stalled  time.Duration // when it has been blocked for too long
	pulse    pulse
}

// rare is what few sessions have.
type rare struct {
	replays    replays // of members that are behind
	violations violations
}

// seldom makes rare where it is not there yet. The reader calls it.
func (s *Session) seldom() *rare {
	if s.rare == nil {
		s.rare = &rare{violations: violations{limit: s.hub().opts.Violations}}
	}
	return s.rare
}

func newSession(sh *shard, e Entry) *Session {
	if e.Release == nil {
		e.Release = func() {}
	}
	s := &Session{
		shard: sh, clientID: rand.Text(), limiter: e.Limiter, release: e.Release,
		seat:    -1,
		blocked: true, // until there is a connection
	}
	s.bearer.Store(e.Bearer)
	return s
}

// ClientID names the connection.
func (s *Session) ClientID() string { return s.clientID }

// Claims are what the user's token says.
func (s *Session) Claims() auth.Claims { return s.bearer.Load().Claims() }

// hub is where the session is.
func (s *Session) hub() *Hub { return s.shard.hub }

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

// send queues v as a text frame.
func (s *Session) send(v any) { s.push(wireFrame(wire.OpText, encode(v))) }

func (s *Session) sender() Sender {
	claims := s.Claims()
	return Sender{ClientID: s.clientID, UserID: claims.Subject, Username: claims.Username}
}
