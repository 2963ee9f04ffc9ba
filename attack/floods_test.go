package attack_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	wire "github.com/gobwas/ws"
)

// masked is a client's frame as it goes over the wire.
func masked(opcode wire.OpCode, fin bool, payload string) []byte {
	return wire.MustCompileFrame(wire.MaskFrame(wire.NewFrame(opcode, fin, []byte(payload))))
}

// mallories are attackers with an account and an address each.
func (s *server) mallories(n int) []*user {
	s.t.Helper()
	all := make([]*user, n)
	for i := range all {
		all[i] = s.signUp(fmt.Sprint("mallory", i))
	}
	return all
}

// retry is how long an attacker that is refused waits before the next try.
const retry = 20 * time.Millisecond

// pour opens a socket, sends first and then batch again and again until the socket
// is closed, and counts how that ended.
func (u *user) pour(ctx context.Context, met *tally, first, batch []byte) {
	conn, a, err := u.tryUpgrade(ctx, "/ws", "Authorization", "Bearer "+u.access)
	switch {
	case ctx.Err() != nil && conn == nil:
		return
	case err != nil:
		met.add(err.Error())
		return
	case conn == nil:
		met.add(fmt.Sprint(a.status, " ", a.field("code")))
		<-time.After(retry)
		return
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer func() { _ = conn.Close() }()
	closed := make(chan int, 1)
	reading.Go(func() {
		closed <- endOf(conn)
		_ = conn.Close() // for the write that waits, and the next try
	})
	_, err = conn.NetConn().Write(first)
	for ctx.Err() == nil && err == nil {
		_, err = conn.NetConn().Write(batch)
		select {
		case code := <-closed:
			met.add(fmt.Sprint("close ", code))
			return
		default:
		}
	}
	if ctx.Err() == nil {
		met.add(fmt.Sprint("close ", <-closed))
	}
}

// endOf reads until a socket ends, and tells its close code.
func endOf(conn *websocket.Conn) int {
	conn.SetCloseHandler(func(int, string) error { return nil }) // a goodbye would wait behind the flood
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return codeOf(err)
		}
	}
}

// L5: pings, pongs and pieces of messages carry nothing, and cost something all
// the same.
func TestControlFrameFloodsL5(t *testing.T) {
	for name, row := range map[string]struct{ first, flood []byte }{
		"pings":            {nil, masked(wire.OpPing, true, "")},
		"large pings":      {nil, masked(wire.OpPing, true, strings.Repeat("x", 125))},
		"pongs":            {nil, masked(wire.OpPong, true, "")},
		"empty fragments":  {masked(wire.OpText, false, ""), masked(wire.OpContinuation, false, "")},
		"pieces of a byte": {masked(wire.OpText, false, ""), masked(wire.OpContinuation, false, "x")},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			h, attackers := s.honest(), s.mallories(3)
			batch := bytes.Repeat(row.flood, 500)
			met := h.siege(name, 32, func(ctx context.Context) *tally {
				var met tally
				swarm(ctx, 4*len(attackers), func(i int) { attackers[i/4].pour(ctx, &met, row.first, batch) })
				return &met
			})
			met.only(t, "close 4429", "close 1009", "429 rate_limited", "429 user_sockets") // who was thrown out holds a place for a second
			if met.of("close 4429")+met.of("close 1009") == 0 {
				t.Error("nobody was thrown out")
			}
		})
	}
}

// L4, L7: more frames than anyone may send, of every kind there is and is not.
func TestFrameFloodL4(t *testing.T) {
	s := start(t)
	h, attackers := s.honest(), s.mallories(4)
	var batch []byte
	for _, text := range []string{
		`{"type":"publish","channel":"room:calm","data":"spam"}`, `{"type":"chat","message":"spam"}`, `{"type":"subscribe","channel":"room:calm","last":100}`,
		`{"type":"unsubscribe","channel":"room:calm"}`, `{"type":"history","channel":"room:calm"}`, `{"type":"presence","channel":"lobby"}`, `{"type":"typing","isTyping":true}`,
		`{"type":"nonsense"}`, `{`, `[]`, `{"type":"refresh","token":"x.y.z"}`, strings.Repeat(`[`, 1000),
	} {
		batch = append(batch, masked(wire.OpText, true, text)...)
	}
	met := h.siege("frames", 32, func(ctx context.Context) *tally {
		var met tally
		swarm(ctx, 4*len(attackers), func(i int) { attackers[i/4].pour(ctx, &met, nil, batch) })
		return &met
	})
	met.only(t, "close 4429", "429 rate_limited", "429 user_sockets")
	if met.of("close 4429") == 0 {
		t.Error("nobody was thrown out")
	}
}

// L6: sockets are opened without end: with tokens that are good, until the user's
// and the address's caps, and with tokens that are not.
func TestSocketFloodL6(t *testing.T) {
	s := start(t)
	h, attackers := s.honest(), s.mallories(4)
	var mu sync.Mutex
	var held []*websocket.Conn
	met := h.siege("sockets", 32, func(ctx context.Context) *tally {
		var met tally
		swarm(ctx, 2*len(attackers), func(i int) {
			u := attackers[i/2]
			token := []string{u.access, u.access + "x"}[i%2]
			conn, a, err := u.tryUpgrade(ctx, "/ws", "Authorization", "Bearer "+token)
			switch {
			case conn != nil:
				met.add("101")
				mu.Lock()
				held = append(held, conn)
				mu.Unlock()
			case err == nil:
				met.add(fmt.Sprint(a.status, " ", a.field("code")))
			case ctx.Err() == nil:
				met.add(err.Error())
			}
		})
		return &met
	})
	met.only(t, "101", "401 invalid_token", "429 rate_limited", "429 user_sockets")
	if n := met.of("101"); n > 20*len(attackers) {
		t.Errorf("%d users opened %d sockets", len(attackers), n)
	}
	for _, conn := range held {
		_ = conn.Close()
	}
}

// L8: clients that never read fill their queues and are let go, alone.
func TestNeverReadsL8(t *testing.T) {
	s := start(t, "--limits.bytes.rate=33554432", "--limits.bytes.burst=33554432", "--limits.messages.rate=1000", "--limits.messages.burst=1000")
	h, attackers := s.honest(), s.mallories(5)
	const socketsEach = 4
	for _, u := range attackers {
		for range socketsEach {
			conn, a := u.upgrade("/ws", "Authorization", "Bearer "+u.access)
			if conn == nil {
				t.Fatalf("%v", a)
			}
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10)
			if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","channel":"live:flood"}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	watcher := s.signUp("watcher")
	stuck := func() string { return watcher.call("GET", "/channels/live:flood/presence", "").field("count") }
	eventually(t, "the attackers are there", func() bool { return stuck() == fmt.Sprint(len(attackers)) })
	accomplice := s.signUp("accomplice")
	batch := masked(wire.OpText, true, toJSON("type", "publish", "channel", "live:flood", "data", strings.Repeat("x", 60_000)))
	met := h.siege("never read", 64, func(ctx context.Context) *tally {
		var met tally
		swarm(ctx, 1, func(int) { accomplice.pour(ctx, &met, nil, batch) })
		return &met
	})
	met.only(t, "close 4429", "429 rate_limited", "429 user_sockets")
	eventually(t, "the attackers are gone", func() bool {
		accomplice.call("POST", "/channels/live:flood/messages", toJSON("data", strings.Repeat("x", 60_000)))
		return stuck() == "0"
	})
}
