package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// handshakeHeaders are what a browser's handshake has; rows change them.
func handshakeHeaders(changes ...string) string {
	headers := map[string]string{
		"Host": "example.test", "Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	}
	for i := 0; i < len(changes); i += 2 {
		headers[changes[i]] = changes[i+1]
	}
	var b strings.Builder
	for name, value := range headers {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	return b.String()
}

// rawUpgrade sends a handshake as it is and reads the answer.
func (s *server) rawUpgrade(method, path, headers string) answer {
	s.t.Helper()
	conn := s.rawConn()
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\n%s\r\n", method, path, headers); err != nil {
		s.t.Fatal(err)
	}
	return readAnswer(s.t, conn, method)
}

// W1 to W4, C1, C2, T1, T3: each refusal is told apart, and none gets a 101.
func TestGateRefusalsW1W2W3W4C1C2T1T3(t *testing.T) {
	s := start(t, "--http.origins=https://app.example")
	alice := s.token("alice")
	bearer := "Bearer " + alice
	for _, row := range []struct {
		name, path string
		changes    []string
		status     int
		code       string
	}{
		{"with a header", "/ws", []string{"Authorization", bearer}, 101, ""},
		{"W2 a client without Origin", "/ws", []string{"Authorization", bearer, "Origin", ""}, 101, ""},
		{"W1 a listed origin", "/ws", []string{"Authorization", bearer, "Origin", "https://app.example"}, 101, ""},
		{"W1 the same origin", "/ws", []string{"Authorization", bearer, "Origin", "http://example.test"}, 101, ""},
		{"W1 the same origin with a port", "/ws", []string{"Authorization", bearer, "Host", "example.test:3000", "Origin", "http://example.test:3000"}, 101, ""},
		{"with the subprotocol", "/ws", []string{"Sec-WebSocket-Protocol", "gatecast.v1, bearer." + alice}, 101, ""},
		{"with the subprotocol and a header", "/ws", []string{"Sec-WebSocket-Protocol", "gatecast.v1", "Authorization", bearer}, 101, ""},
		{"T1 a header beside a token in the URL", "/ws?access_token=x", []string{"Authorization", bearer}, 101, ""},

		{"W1 evil origin", "/ws", []string{"Authorization", bearer, "Origin", "https://evil.example"}, 403, "foreign_origin"},
		{"W1 null", "/ws", []string{"Authorization", bearer, "Origin", "null"}, 403, "foreign_origin"},
		{"W1 suffix", "/ws", []string{"Authorization", bearer, "Origin", "https://app.example.evil.example"}, 403, "foreign_origin"},
		{"W1 prefix", "/ws", []string{"Authorization", bearer, "Origin", "https://evil-app.example"}, 403, "foreign_origin"},
		{"W1 scheme", "/ws", []string{"Authorization", bearer, "Origin", "http://app.example"}, 403, "foreign_origin"},
		{"W1 port", "/ws", []string{"Authorization", bearer, "Origin", "https://app.example:8443"}, 403, "foreign_origin"},
		{"W1 the same host over https", "/ws", []string{"Authorization", bearer, "Origin", "https://example.test"}, 403, "foreign_origin"},
		{"W1 the same host on another port", "/ws", []string{"Authorization", bearer, "Origin", "http://example.test:8080"}, 403, "foreign_origin"},
		{"W1 X-Forwarded-Proto from nobody we trust", "/ws", []string{"Authorization", bearer, "Origin", "https://example.test", "X-Forwarded-Proto", "https"}, 403, "foreign_origin"},
		{"W1 before the credential", "/ws", []string{"Origin", "https://evil.example"}, 403, "foreign_origin"},
		{"W2 a cookie alone", "/ws", []string{"Cookie", "session=x"}, 403, "cookie_alone"},
		{"a cookie from our own page", "/ws", []string{"Cookie", "session=x", "Origin", "http://example.test"}, 401, "no_token"},
		{"W4 no credential", "/ws", nil, 401, "no_token"},
		{"W4 a bad token", "/ws", []string{"Authorization", "Bearer x.y.z"}, 401, "invalid_token"},
		{"W4 a bad token in the subprotocol", "/ws", []string{"Sec-WebSocket-Protocol", "gatecast.v1, bearer.x.y.z"}, 401, "invalid_token"},
		{"T1 a token in the URL alone", "/ws?access_token=" + alice, nil, 401, "query_token"},
		{"two tokens", "/ws", []string{"Authorization", bearer, "Sec-WebSocket-Protocol", "gatecast.v1, bearer." + alice}, 400, "many_tokens"},
		{"two tokens in subprotocols", "/ws", []string{"Sec-WebSocket-Protocol", "gatecast.v1, bearer." + alice + ", bearer.x"}, 400, "many_tokens"},
		{"T3 the token is all that is offered", "/ws", []string{"Sec-WebSocket-Protocol", "bearer." + alice}, 400, "bad_handshake"},
		{"another protocol", "/ws", []string{"Sec-WebSocket-Protocol", "chat", "Authorization", bearer}, 400, "bad_handshake"},
		{"the protocol twice", "/ws", []string{"Sec-WebSocket-Protocol", "gatecast.v1, gatecast.v1", "Authorization", bearer}, 400, "bad_handshake"},
		{"two Authorization lines", "/ws", []string{"Authorization", bearer + "\r\nAuthorization: " + bearer}, 400, "many_tokens"},
		{"a connection that is to be closed", "/ws", []string{"Authorization", bearer, "Connection", "close, Upgrade"}, 400, "bad_handshake"},
		{"Connection on two lines", "/ws", []string{"Authorization", bearer, "Connection", "keep-alive\r\nConnection: Upgrade"}, 101, ""},
		{"no body, in words", "/ws", []string{"Authorization", bearer, "Content-Length", "0"}, 101, ""},
		{"a body", "/ws", []string{"Authorization", bearer, "Transfer-Encoding", "chunked"}, 400, "bad_handshake"},
		{"C1 a short key", "/ws", []string{"Authorization", bearer, "Sec-WebSocket-Key", "abc"}, 400, "bad_handshake"},
		{"C1 no key", "/ws", []string{"Authorization", bearer, "Sec-WebSocket-Key", ""}, 400, "bad_handshake"},
		{"C1 a key of 15 bytes", "/ws", []string{"Authorization", bearer, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j"}, 400, "bad_handshake"},
		{"C2 version 8", "/ws", []string{"Authorization", bearer, "Sec-WebSocket-Version", "8"}, 426, "websocket_version"},
		{"C2 no version", "/ws", []string{"Authorization", bearer, "Sec-WebSocket-Version", ""}, 426, "websocket_version"},
		{"W3 no upgrade", "/ws", []string{"Authorization", bearer, "Upgrade", ""}, 426, "upgrade_required"},
		{"W3 another upgrade", "/ws", []string{"Authorization", bearer, "Upgrade", "h2c"}, 426, "upgrade_required"},
		{"W3 no Connection", "/ws", []string{"Authorization", bearer, "Connection", "keep-alive"}, 426, "upgrade_required"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := s.rawUpgrade("GET", row.path, handshakeHeaders(row.changes...))
			if a.status != row.status || a.field("code") != row.code {
				t.Fatalf("%d %s, want %d %s", a.status, a.body, row.status, row.code)
			}
			if row.status != 101 && a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("content type %q", a.header.Get("Content-Type"))
			}
			if row.status == 426 && a.header.Get("Sec-WebSocket-Version") != "13" { // C2
				t.Error("426 does not say which version is spoken")
			}
			if protocol := a.header.Get("Sec-WebSocket-Protocol"); protocol != "" && protocol != "gatecast.v1" { // T3
				t.Errorf("the response echoes %q", protocol)
			}
			if strings.Contains(fmt.Sprint(a.header)+a.body, alice) { // T3, T5
				t.Error("the response holds the token")
			}
		})
	}
	eventually(t, "each upgrade is logged", func() bool {
		return strings.Count(s.logs.String(), `"status":101`) == 10
	})
}

// T3: a browser that offers protocols gets ours back, also from two headers.
func TestSubprotocolIsEchoedT3(t *testing.T) {
	s := start(t)
	for _, offer := range [][]string{
		{"Sec-WebSocket-Protocol", "gatecast.v1, bearer." + s.token("alice")},
		{"Sec-WebSocket-Protocol", "bearer." + s.token("alice") + ",gatecast.v1"},
		{"Sec-WebSocket-Protocol", "bearer." + s.token("alice"), "Sec-WebSocket-Protocol", "gatecast.v1"},
	} {
		conn, a := s.upgrade("/ws", offer...)
		if conn == nil {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if conn.Subprotocol() != "gatecast.v1" {
			t.Errorf("subprotocol %q", conn.Subprotocol())
		}
		newPeer(t, conn).leave()
	}
}

func TestOtherMethodsOfTheSocket(t *testing.T) {
	s := start(t)
	headers := handshakeHeaders("Authorization", "Bearer "+s.token("alice"))
	for method, status := range map[string]int{"POST": 405, "PUT": 405, "HEAD": 426} {
		if a := s.rawUpgrade(method, "/ws", headers); a.status != status {
			t.Errorf("%s: %d %s, want %d", method, a.status, a.body, status)
		}
	}
}

// T1: the operator can let tokens in URLs in.
func TestQueryTokenWhereAllowedT1(t *testing.T) {
	s := start(t, "--auth.allow-query-token")
	conn, a := s.upgrade("/ws?access_token=" + s.token("alice"))
	if conn == nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	p := newPeer(t, conn)
	if f := p.until("welcome"); f.str("username") != "alice" {
		t.Errorf("welcome: %v", f)
	}
}

// L6: caps on sockets by user, by address and in all; counters go back to 0.
func TestConnectionCapsL6(t *testing.T) {
	for _, row := range []struct {
		flag, code string
		status     int
	}{
		{"--limits.connections-per-user=3", "user_sockets", http.StatusTooManyRequests},
		{"--limits.connections-per-address=3", "address_sockets", http.StatusTooManyRequests},
		{"--limits.connections=3", "full", http.StatusServiceUnavailable},
	} {
		t.Run(row.code, func(t *testing.T) {
			s := start(t, row.flag)
			join := func() (p *peer) { // a slot is free a moment after its socket has closed
				eventually(t, "a freed slot can be taken", func() bool {
					conn, _ := s.upgrade("/ws", "Authorization", "Bearer "+s.token("alice"))
					if conn == nil {
						return false
					}
					p = newPeer(t, conn)
					p.until("subscribed")
					return true
				})
				return p
			}
			for round := range 2 {
				var peers []*peer
				for range 3 {
					peers = append(peers, join())
				}
				conn, a := s.upgrade("/ws", "Authorization", "Bearer "+s.token("alice"))
				if conn != nil || a.status != row.status || a.field("code") != row.code || a.header.Get("Retry-After") == "" {
					t.Fatalf("round %d: %d %s", round, a.status, a.body)
				}
				if row.code == "user_sockets" {
					s.join("bob").leave() // another user is let in
				}
				for _, p := range peers {
					p.leave()
				}
			}
		})
	}
}

// L6: clients that are gone before their upgrade is answered hold no slot.
func TestSlotsOfVanishedClientsL6(t *testing.T) {
	s := start(t, "--limits.connections-per-user=5")
	headers := handshakeHeaders("Authorization", "Bearer "+s.token("alice"))
	for range 100 {
		conn := s.rawConn().(*net.TCPConn)
		_ = conn.SetLinger(0) // a reset right behind the handshake
		_, _ = fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\n%s\r\n", headers)
		_ = conn.Close()
	}
	since := time.Now()
	eventually(t, "the slots are free", func() bool {
		conn, _ := s.upgrade("/ws", "Authorization", "Bearer "+s.token("alice"))
		if conn == nil {
			return false
		}
		newPeer(t, conn).leave()
		return true
	})
	if took := time.Since(since); took > 5*time.Second {
		t.Errorf("after %v", took)
	}
}

// HTTP/1.0 cannot be upgraded.
func TestHandshakeOverHTTP10(t *testing.T) {
	s := start(t)
	conn := s.rawConn()
	if _, err := fmt.Fprintf(conn, "GET /ws HTTP/1.0\r\n%s\r\n", handshakeHeaders("Authorization", "Bearer "+s.token("alice"))); err != nil {
		t.Fatal(err)
	}
	if a := readAnswer(t, conn, "GET"); a.status != 400 || a.field("code") != "bad_handshake" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// L6: a hundred at once get no more than the cap lets in.
func TestConnectionCapHoldsAgainstARaceL6(t *testing.T) {
	s := start(t, "--limits.connections-per-user=5")
	header := http.Header{"Authorization": {"Bearer " + s.token("alice")}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []*websocket.Conn
	for range 100 {
		wg.Go(func() {
			if conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+s.addr+"/ws", header); err == nil {
				mu.Lock()
				conns = append(conns, conn)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(conns) != 5 {
		t.Errorf("%d sockets, want 5", len(conns))
	}
	for _, conn := range conns {
		newPeer(t, conn).leave()
	}
}

// L6, L2: handshakes of an address are limited before anything is verified,
// and Retry-After is true.
func TestHandshakeRateL2L6(t *testing.T) {
	s := start(t, "--limits.handshakes.rate=2", "--limits.handshakes.burst=5")
	refusals := 0
	for range 10 {
		a := s.rawUpgrade("GET", "/ws", handshakeHeaders("Authorization", "Bearer x"))
		switch {
		case a.status == 401: // within the burst, or a token that dripped in
		case a.status == 429 && a.field("code") == "rate_limited":
			refusals++
			if a.header.Get("Retry-After") != "1" { // half a second, rounded up
				t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
			}
			if got := a.header.Get("RateLimit-Policy"); got != `"handshakes";q=5;w=3` { // L3
				t.Errorf("policy %q", got)
			}
			if got := a.header.Get("RateLimit"); got != `"handshakes";r=0;t=1` { // L3
				t.Errorf("limit %q", got)
			}
		default:
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if refusals < 3 {
		t.Errorf("%d of 10 refused, burst 5", refusals)
	}
}

// Logins and registrations of an address are limited, each by its own bucket.
func TestLoginAndRegisterRate(t *testing.T) {
	s := start(t, "--limits.login.rate=0.5", "--limits.login.burst=2", "--limits.register.rate=0.1", "--limits.register.burst=3")
	for path, burst := range map[string]int{"/login": 2, "/register": 3} {
		for i := range burst + 2 {
			a := s.do("POST", path, `{"username":"no one","password":"x"}`)
			if limited := a.status == http.StatusTooManyRequests; limited != (i >= burst) {
				t.Errorf("%s, try %d: %d %s", path, i+1, a.status, a.body)
			} else if limited && (a.field("code") != "rate_limited" || a.header.Get("Retry-After") == "") {
				t.Errorf("%s: %v %s", path, a.header, a.body)
			}
		}
	}
}

// L2: who waits for Retry-After is let in.
func TestRetryAfterIsEnoughL2(t *testing.T) {
	s := start(t, "--limits.login.rate=1", "--limits.login.burst=2")
	login := func() answer { return s.do("POST", "/login", `{"username":"a","password":"b"}`) }
	var refused answer
	for range 20 {
		if refused = login(); refused.status == 429 {
			break
		}
	}
	if refused.status != 429 || refused.header.Get("Retry-After") != "1" {
		t.Fatalf("%d, Retry-After %q", refused.status, refused.header.Get("Retry-After"))
	}
	// Trying meanwhile costs nothing (L1), so the wait can be watched.
	told := time.Now().Add(time.Second)
	for login().status == 429 {
		if time.Now().After(told) && login().status == 429 {
			t.Fatal("refused after the wait that Retry-After told")
		}
	}
}

// L10, L11, L12: who is limited when proxies speak for others.
func TestAddressBehindProxiesL10L11L12(t *testing.T) {
	flags := []string{"--limits.login.rate=0.001", "--limits.login.burst=1"}
	login := func(s *server, forwarded ...string) int {
		var headers []string
		for _, f := range forwarded {
			headers = append(headers, "X-Forwarded-For", f)
		}
		return s.do("POST", "/login", `{"username":"a","password":"b"}`, headers...).status
	}
	t.Run("nobody is trusted", func(t *testing.T) {
		s := start(t, flags...)
		if first, second := login(s, "203.0.113.1"), login(s, "203.0.113.2"); first != 401 || second != 429 {
			t.Errorf("a client chose its own address: %d, %d", first, second)
		}
	})
	s := start(t, append(flags, "--http.trusted-proxies=127.0.0.1,10.0.0.0/8")...)
	for _, row := range []struct {
		name, forwarded string
		status          int
	}{
		{"a client", "203.0.113.1", 401},
		{"the same again", "203.0.113.1", 429},
		{"L12 another one", "203.0.113.2", 401},
		{"L12 a third", "203.0.113.3", 401},
		{"the first is still refused", "203.0.113.1", 429},
		{"L11 a forged first hop", "198.51.100.9, 203.0.113.1", 429},
		{"L11 behind two proxies", "203.0.113.1, 10.1.2.3", 429},
		{"L11 a port", "203.0.113.1:4711", 429},
		{"L11 nonsense before the proxy", "nonsense, 10.1.2.3", 401},
		{"L11 all are proxies", "10.9.9.9", 401},
		{"L10 mapped into IPv6", "::ffff:203.0.113.1", 429},
		{"L10 IPv6", "2001:db8:1:2::1", 401},
		{"L10 the same /64", "2001:db8:1:2:aaaa::1", 429},
		{"L10 another /64", "2001:db8:1:3::1", 401},
	} {
		if status := login(s, row.forwarded); status != row.status {
			t.Errorf("%s: %d, want %d", row.name, status, row.status)
		}
	}
	t.Run("https at the proxy is the same origin", func(t *testing.T) {
		headers := handshakeHeaders("Authorization", "Bearer "+s.token("alice"), "Origin", "https://example.test", "X-Forwarded-Proto", "https")
		if a := s.rawUpgrade("GET", "/ws", headers); a.status != 101 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}
