package middleware_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ratelimit"
)

// door is a server with a gate. Whom it lets in is taken over as the Hub does it:
// the handler returns at once, and what stays is what a session needs.
type door struct {
	t      testing.TB
	issuer *auth.Issuer
	gate   *middleware.Gate
	users  *ratelimit.Keyed
	listen *fasthttputil.InmemoryListener

	mu  sync.Mutex // guards the rest
	let []*session
}

// session is what ws.Entry has.
type session struct {
	bearer  *auth.Bearer
	limiter *ratelimit.Limiter
	release func()
}

var tokens = auth.TokenOptions{Issuer: "gatecast", Audience: "gatecast", TTL: time.Hour}

// openDoor takes the defaults of the configuration where memory depends on them.
func openDoor(t testing.TB) *door {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := auth.NewEd25519KeySet(private)
	verifier := auth.NewVerifier(keys, nil, tokens)
	verifier.Remember(10_000)
	d := &door{
		t: t, issuer: auth.NewIssuer(keys, tokens), listen: fasthttputil.NewInmemoryListener(),
		users: ratelimit.NewKeyed(ratelimit.Options{Rates: []ratelimit.Rate{{PerSecond: 10, Burst: 20}, {PerSecond: 128 << 10, Burst: 1 << 20}}}),
	}
	d.gate = middleware.NewGate(middleware.GateOptions{
		Protocol: "gatecast.v1", Verifier: verifier, Draining: func() bool { return false }, Users: d.users, ConnectionsPerUser: 20,
	})
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(middleware.RequestID(), middleware.Client(nil), middleware.Log(slog.New(slog.DiscardHandler)),
		middleware.SecurityHeaders(), middleware.CORS(nil), middleware.Timeout(time.Minute))
	app.Get("/ws", append(d.gate.Handlers(), websocket.New(d.takeOver))...)
	app.Server().ConnState = d.gate.ConnState
	served := make(chan error, 1)
	go func() { served <- app.Listener(d.listen) }()
	t.Cleanup(func() {
		if err := app.Shutdown(); err != nil {
			t.Error(err)
		}
		<-served
	})
	return d
}

func (d *door) takeOver(conn *websocket.Conn) {
	a := conn.Locals(middleware.AdmissionLocal).(*middleware.Admission)
	d.mu.Lock()
	d.let = append(d.let, &session{a.Bearer, a.Limiter, a.Release})
	d.mu.Unlock()
	_ = conn.NetConn().Close() // a socket's own memory is not what is measured
}

func (d *door) sessions() []*session {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.let
}

// token is one of a user of its own.
func (d *door) token(user int) string {
	account := auth.Account{ID: rand.Text(), Username: fmt.Sprint("user-", user), Role: auth.RoleUser}
	token, _, err := d.issuer.Issue(account, rand.Text())
	if err != nil {
		d.t.Fatal(err)
	}
	return token
}

// come opens n sockets, one after the other, and waits until all are taken over.
func (d *door) come(n int) {
	d.t.Helper()
	before := len(d.sessions())
	for i := range n {
		d.connect(d.token(before + i))
	}
	for deadline := time.Now().Add(10 * time.Second); len(d.sessions()) < before+n; runtime.Gosched() {
		if time.Now().After(deadline) {
			d.t.Fatalf("%d of %d were taken over", len(d.sessions())-before, n)
		}
	}
}

func (d *door) connect(token string) {
	d.t.Helper()
	conn, err := d.listen.Dial()
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: gatecast.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n", token); err != nil {
		d.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		d.t.Fatalf("%v %v", response, err)
	}
}

// What an idle user holds outside of the Hub: who it is, the limiter, slots, the
// remembered token. Nothing of the request stays, and everything is given back
// once, however often Release is called.
func TestAdmittedUsersAreSmall(t *testing.T) {
	const users, most = 1500, 600
	d := openDoor(t)
	d.come(users) // what pools and maps take at first
	before := heap()
	d.come(users)
	each := (heap() - before) / users
	t.Logf("%d bytes a user", each)
	if each > most {
		t.Errorf("an idle user takes %d bytes, and %d are the most", each, most)
	}
	var releases sync.WaitGroup
	for range 2 {
		releases.Go(func() {
			for _, s := range d.sessions() {
				s.release()
			}
		})
	}
	if held := d.gate.Held(); held > 2*users {
		t.Errorf("%d slots are held by %d sockets", held, 2*users)
	}
	releases.Wait()
	if held, limiters := d.gate.Held(), d.users.Held(); held != 0 || limiters != 0 {
		t.Errorf("%d slots and %d limiters are held after all were given back", held, limiters)
	}
}

// heap is how many bytes are in use. What pools hold goes with the second
// collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
