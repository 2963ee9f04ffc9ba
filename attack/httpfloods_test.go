package attack_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// reach opens a connection for an attacker, who comes again where there is none.
func (c *caller) reach(ctx context.Context, met *tally) net.Conn {
	conn, err := c.dialContext(ctx, "tcp", c.s.addr)
	switch {
	case ctx.Err() != nil:
		if conn != nil {
			_ = conn.Close()
		}
		return nil
	case err != nil:
		met.add(err.Error())
		return nil
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// once sends what write writes over a connection of its own, and counts the status
// that comes back; a reset is what a client may see of a refusal that came while it
// was sending.
func (c *caller) once(ctx context.Context, met *tally, write func(to io.Writer)) {
	conn := c.reach(ctx, met)
	if conn == nil {
		return
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	write(conn)
	if status := statusOf(conn); ctx.Err() == nil {
		met.add(map[bool]string{true: "reset", false: fmt.Sprint(status)}[status == 0])
	}
}

// hammer sends a request over one connection again and again, many at a time, and
// counts the statuses.
func (c *caller) hammer(ctx context.Context, met *tally, request string) {
	conn := c.reach(ctx, met)
	if conn == nil {
		return
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	const atOnce = 20
	batch, from := strings.Repeat(request, atOnce), bufio.NewReader(conn)
	for {
		if _, err := io.WriteString(conn, batch); err != nil {
			return
		}
		for range atOnce {
			a, err := readAnswer(from)
			if err != nil {
				return
			}
			met.add(fmt.Sprint(a.status))
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
	}
}

// C7: headers that are too many or too large end the connection at 16 KiB.
func TestOversizedHeadersC7(t *testing.T) {
	const begin = "GET /ws HTTP/1.1\r\nHost: x\r\n"
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, "X-%d: x\r\n", i)
	}
	for name, request := range map[string]string{
		"a header of 1 MB": begin + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"10,000 headers":   begin + many.String() + "\r\n",
		"a path of 1 MB":   "GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			h, mallory := s.honest(), s.caller()
			met := h.siege(name, 32, func(ctx context.Context) *tally {
				var met tally
				swarm(ctx, 4, func(int) {
					mallory.once(ctx, &met, func(to io.Writer) { _, _ = io.WriteString(to, request) })
				})
				return &met
			})
			met.only(t, "431", "reset")
			if met.of("431") == 0 {
				t.Error("nobody was told why")
			}
		})
	}
}

// H6, L7: bodies that are too large, or have no end, are refused without being
// kept, and those that nobody asked for are not read.
func TestOversizedBodiesH6L7(t *testing.T) {
	s := start(t)
	h, mallory := s.honest(), s.signUp("mallory")
	block := strings.Repeat("x", 64<<10)
	endless := func(to io.Writer, piece string) {
		for {
			if _, err := io.WriteString(to, piece); err != nil {
				return
			}
		}
	}
	bearer := "Authorization: Bearer " + mallory.access + "\r\n"
	heads := []string{
		"POST /login HTTP/1.1\r\n", "POST /refresh HTTP/1.1\r\n", "POST /register HTTP/1.1\r\n", "POST /channels/room:1/messages HTTP/1.1\r\n" + bearer,
		"PUT /me/password HTTP/1.1\r\n" + bearer, "GET /me HTTP/1.1\r\n" + bearer, "POST /ws/ticket HTTP/1.1\r\n" + bearer, "GET /ws HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\n",
	}
	met := h.siege("bodies", 64, func(ctx context.Context) *tally {
		var met tally
		swarm(ctx, 2*len(heads), func(i int) {
			head := heads[i/2] + "Host: x\r\nContent-Type: application/json\r\n"
			mallory.once(ctx, &met, func(to io.Writer) {
				if i%2 == 0 {
					_, _ = io.WriteString(to, head+"Content-Length: 1099511627776\r\n\r\n")
					endless(to, block)
				} else {
					_, _ = io.WriteString(to, head+"Transfer-Encoding: chunked\r\n\r\n")
					endless(to, fmt.Sprintf("%x\r\n%s\r\n", len(block), block))
				}
			})
		})
		return &met
	})
	met.only(t, "200", "400", "401", "413", "426", "429", "reset")
	// What is small and many is refused too, each with its reason.
	large := toJSON("data", strings.Repeat("x", 70<<10))
	if a := mallory.call("POST", "/channels/room:1/messages", large); !a.is(413, "too_large") && !a.is(429, "rate_limited") {
		t.Errorf("%v", a)
	}
	if a := s.caller().do("POST", "/login", credentials("mallory", block)); !a.is(413, "too_large") {
		t.Errorf("%v", a)
	}
}

// C7: slow handshakes. Hundreds of connections send a byte now and then, and never
// come to an end; others say nothing at all.
func TestSlowHandshakesC7(t *testing.T) {
	const connections = 400
	s := start(t, "--http.read-timeout=500ms")
	h, mallory := s.honest(), s.caller()
	request := "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: " + strings.Repeat("x", 1000)
	met := h.siege("slow handshakes", 32, func(ctx context.Context) *tally {
		var met tally
		swarm(ctx, connections, func(i int) {
			began := time.Now()
			conn := mallory.reach(ctx, &met)
			if conn == nil {
				return
			}
			defer func() { _ = conn.Close() }()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			var dripping sync.WaitGroup
			defer dripping.Wait()
			if i%4 > 0 {
				dripping.Go(func() { drip(ctx, conn, request) })
			}
			_, _ = io.Copy(io.Discard, conn) // until the server closes it
			if held := time.Since(began); ctx.Err() == nil {
				met.add(map[bool]string{true: "closed in time", false: "held for long"}[held < 5*time.Second])
			}
		})
		return &met
	})
	met.only(t, "closed in time")
	if *attackFor >= time.Second && met.of("closed in time") < connections/2 {
		t.Errorf("only %d of %d connections were closed", met.of("closed in time"), connections)
	}
}

// L6: one address opens connections without end, and says nothing. It may have a
// thousand; others find room, and so does it when it has closed some.
func TestConnectionsOfOneAddressL6(t *testing.T) {
	const allowed, tried = 1000, 1300 // five times limits.connections_per_address
	s := start(t)
	h, mallory := s.honest(), s.caller()
	open := func() (conns []net.Conn) { // what is closed at once may not even be seen to open
		for range tried {
			if conn, err := mallory.dialContext(t.Context(), "tcp", s.addr); err == nil {
				_ = conn.SetDeadline(time.Now().Add(patience))
				conns = append(conns, conn)
			}
		}
		return conns
	}
	closeAll := func(conns []net.Conn) {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
	var held []net.Conn
	met := h.siege("connections", 48, func(ctx context.Context) *tally {
		var met tally
		held = open()
		for _, conn := range held {
			_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
			met.add(map[bool]string{true: "200", false: "closed"}[statusOf(conn) == http.StatusOK])
		}
		<-ctx.Done()
		return &met
	})
	met.only(t, "200", "closed")
	if n := met.of("200"); n != allowed {
		t.Errorf("%d connections of one address were served, want %d", n, allowed)
	}
	if a := s.caller().do("GET", "/healthz", ""); a.status != http.StatusOK {
		t.Errorf("another address: %v", a)
	}
	closeAll(held)
	eventually(t, "the address is let in again", func() bool {
		a, err := mallory.try(t.Context(), "GET", "/healthz", "")
		return err == nil && a.status == http.StatusOK
	})
	for range 3 { // nothing is left of those before
		closeAll(open())
	}
	eventually(t, "the address is let in after all that", func() bool {
		a, err := mallory.try(t.Context(), "GET", "/healthz", "")
		return err == nil && a.status == http.StatusOK
	})
}

// drip sends text a byte at a time, until conn is closed.
func drip(ctx context.Context, conn net.Conn, text string) {
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	for i := range len(text) {
		if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
			return
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
	}
}

// W4, J12: requests of strangers, which no limit counts: they must be cheap.
func TestFloodOfStrangersW4(t *testing.T) {
	s := start(t)
	h, mallory := s.honest(), s.signUp("mallory")
	forged := mallory.access[:len(mallory.access)-4] + "AAAA"
	requests := []string{
		"GET /me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + forged + "\r\n\r\n", "GET /me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + strings.Repeat("x", 8000) + "\r\n\r\n",
		"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", "GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n", "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /refresh HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "OPTIONS /login HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n",
		"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n",
	}
	met := h.siege("strangers", 48, func(ctx context.Context) *tally {
		var met tally
		swarm(ctx, len(requests), func(i int) { mallory.hammer(ctx, &met, requests[i]) })
		return &met
	})
	met.only(t, "200", "204", "401", "404", "426", "429")
}

// hashMemory is what auth.hash_slots hashes take, and twice as much garbage of
// hashes before, in MiB.
const hashMemory = 3 * 4 * 19

// P5, P8: logins and registrations from two hundred addresses. Hashes take as much
// memory as there are slots, and who finds none is told to come again.
func TestLoginFloodP5P8(t *testing.T) {
	s := start(t)
	h := s.honest()
	s.signUp("alice")
	attackers := make([]*caller, 200)
	for i := range attackers {
		attackers[i] = s.caller()
	}
	met := h.siege("logins", hashMemory, func(ctx context.Context) *tally {
		var met tally
		next := make(chan int, 1)
		next <- 0
		swarm(ctx, 50, func(int) {
			n := <-next
			next <- n + 1
			c := attackers[n%len(attackers)]
			path, body := "/login", credentials([]string{"alice", "nobody", fmt.Sprint("user", n)}[n%3], wrongPassword)
			if n%4 == 0 {
				path, body = "/register", credentials(fmt.Sprint("new", n), password)
			}
			if a, err := c.try(ctx, "POST", path, body); err == nil {
				met.add(fmt.Sprint(a.status, " ", a.field("code")))
			} else if ctx.Err() == nil {
				met.add(err.Error())
			}
		})
		return &met
	})
	met.only(t, "201 ", "401 bad_credentials", "429 rate_limited", "503 busy")
	if a := s.caller().do("GET", "/healthz", ""); a.status != http.StatusOK {
		t.Errorf("%v", a)
	}
	eventually(t, "alice gets in", func() bool {
		return s.caller().do("POST", "/login", credentials("alice", password)).status == http.StatusOK
	})
}
