package ws_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws/wsutil"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/broker"
	"github.com/gatecast/gatecast/ratelimit"
	"github.com/gatecast/gatecast/ws"
	"github.com/gatecast/gatecast/ws/netpoll"
)

// expiring is a client whose token ends, in a bubble, where time passes by itself.
type expiring struct {
	back atomic.Int64 // how far the server's clock was put back

	mu    sync.Mutex
	heard []string // types of frames, and close codes
}

func (e *expiring) now() time.Time { return time.Now().Add(-time.Duration(e.back.Load())) }

// end is when a token of that life ends; none has 0.
func (e *expiring) end(life time.Duration) time.Time {
	if life == 0 {
		return time.Time{}
	}
	return e.now().Add(life)
}

// connect opens a session with a token of that life.
func (e *expiring) connect(t *testing.T, life time.Duration) {
	t.Helper()
	rules, err := ws.NewRules(map[string]ws.Rule{"lobby": {}})
	if err != nil {
		t.Fatal(err)
	}
	hub, err := ws.NewHub(ws.Options{
		Rules: rules, Broker: &broker.Memory{}, Poller: netpoll.Goroutines(), DetailMax: 10, Now: e.now, Logger: slog.New(slog.DiscardHandler), ExpiryNotice: 30 * time.Second,
		PingInterval: 1000 * time.Hour, PingTimeout: time.Hour, WriteTimeout: time.Second, CloseTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	server, client := net.Pipe()
	var running sync.WaitGroup
	entry := ws.Entry{
		Bearer:  auth.NewBearer(auth.Claims{Subject: "1", Username: "alice", Role: auth.RoleUser, ExpiresAt: e.end(life)}),
		Limiter: ratelimit.NewLimiter(nil, ratelimit.Rate{}, ratelimit.Rate{}),
	}
	running.Go(func() { hub.Serve(server, entry) })
	running.Go(func() { e.read(client) })
	t.Cleanup(func() {
		_ = client.Close()
		running.Wait()
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func (e *expiring) read(conn net.Conn) {
	for open := true; open; {
		data, _, err := wsutil.ReadServerData(conn) // answers a close itself
		said, _, _ := strings.Cut(strings.TrimPrefix(string(data), `{"type":"`), `"`)
		if closed := (wsutil.ClosedError{}); errors.As(err, &closed) {
			said = fmt.Sprint(int(closed.Code))
		}
		open = err == nil
		e.mu.Lock()
		if said != "" {
			e.heard = append(e.heard, said)
		}
		e.mu.Unlock()
	}
}

func (e *expiring) after(t *testing.T, d time.Duration, want string) {
	t.Helper()
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if got := strings.Join(e.heard, " "); got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// T6: warned 30 s ahead, closed at the end and not before.
func TestExpiryT6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e expiring
		e.connect(t, time.Minute)
		e.after(t, 29*time.Second, "welcome")
		e.after(t, 2*time.Second, "welcome expiring")
		e.after(t, 28*time.Second, "welcome expiring")
		e.after(t, 2*time.Second, "welcome expiring 4401")
	})
}

// T6: a clock that is put back delays the end, and does not cancel it.
func TestClockThatIsPutBackT6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e expiring
		e.connect(t, time.Minute)
		e.after(t, 45*time.Second, "welcome expiring")
		e.back.Store(int64(time.Hour))
		e.after(t, time.Minute, "welcome expiring")
		e.after(t, time.Hour, "welcome expiring 4401")
	})
}

// A token without an end, as a program on these packages may have it, is never
// warned of.
func TestTokenWithoutAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e expiring
		e.connect(t, 0)
		e.after(t, 100*time.Hour, "welcome")
	})
}
