package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"

	"github.com/gatecast/gatecast/ws"
)

// T7: each way to lose a socket has its close code, with a reason that a close
// frame holds. What a client makes of them is tested in client/test/states.test.js.
func TestCloseCodesT7(t *testing.T) {
	flags := []string{"--limits.messages.rate=1000", "--limits.messages.burst=1", "--limits.violations=3", "--limits.message-bytes=1000",
		"--socket.ping-interval=1s", "--socket.ping-timeout=500ms"}
	raw := func(frame string) func(*server, *peer) {
		return func(_ *server, p *peer) { _, _ = p.conn.NetConn().Write([]byte(frame)) }
	}
	for name, row := range map[string]struct {
		do   func(*server, *peer)
		code int
	}{
		"a goodbye":           {func(_ *server, p *peer) { p.leave() }, 1000},
		"an unmasked frame":   {raw("\x81\x01x"), 1002},
		"a text that is none": {raw("\x81\x81\x00\x00\x00\x00\xff"), 1007},
		"too large a frame":   {raw("\x81\xfe\x10\x00\x00\x00\x00\x00"), 1009},
		"a restart":           {func(s *server, _ *peer) { _ = s.stop() }, 1012},
		"another's token": {func(s *server, p *peer) {
			p.send(fmt.Sprintf(`{"type":"refresh","token":%q}`, s.token("mallory")))
		}, 4401},
		"no answer to a ping": {func(*server, *peer) {}, 4408},
		"a flood": {func(_ *server, p *peer) {
			for range 200 {
				_ = p.conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"presence","channel":"lobby"}`))
			}
		}, 4429},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, flags...)
			conn, _ := s.upgrade("/ws", "Authorization", "Bearer "+s.token("alice"))
			if row.code == ws.CloseTooSlow {
				conn.SetPingHandler(func(string) error { return nil })
			}
			p := newPeer(t, conn)
			p.until("welcome")
			row.do(s, p)
			code := p.closeCode()
			bye, _ := p.err.(*websocket.CloseError)
			if code != row.code || bye == nil || len(bye.Text) > 123 || strings.Contains(bye.Text, "mallory") {
				t.Errorf("closed with %v, want %d", p.err, row.code)
			}
		})
	}
}
