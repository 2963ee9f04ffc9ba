package ws_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/broker"
	"github.com/gatecast/gatecast/ratelimit"
	"github.com/gatecast/gatecast/ws"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's clock lives as long as the process, its cleaner sleeps on a
		// little after a stop.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// serveHub serves a Hub with changed options to whoever comes, without a gate.
func serveHub(t *testing.T, change func(*ws.Options)) (url string, hub *ws.Hub) {
	t.Helper()
	addr, hub := serveHubBy(t, (*fasthttp.Server).Serve, change)
	return "ws://" + addr, hub
}

// serveHubBy serves with the server's method of that name.
func serveHubBy(t *testing.T, serve func(*fasthttp.Server, net.Listener) error, change func(*ws.Options)) (addr string, hub *ws.Hub) {
	t.Helper()
	everyone := []string{auth.RoleUser}
	rules, err := ws.NewRules(map[string]ws.Rule{
		"lobby":  {Allow: map[ws.Action][]string{ws.ActionSubscribe: everyone, ws.ActionPublish: everyone}},
		"room:*": {Allow: map[ws.Action][]string{ws.ActionSubscribe: everyone, ws.ActionPublish: everyone}},
	})
	if err != nil {
		t.Fatal(err)
	}
	opts := ws.Options{
		Rules: rules, Broker: &broker.Memory{}, MessageBytes: 1 << 16, DetailMax: 10,
		PingInterval: time.Minute, PingTimeout: time.Second, WriteTimeout: time.Second, CloseTimeout: 100 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	}
	change(&opts)
	if hub, err = ws.NewHub(opts); err != nil {
		t.Fatal(err)
	}
	upgrader := websocket.FastHTTPUpgrader{}
	server := &fasthttp.Server{Handler: func(c *fasthttp.RequestCtx) {
		_ = upgrader.Upgrade(c, func(conn *websocket.Conn) {
			hub.Serve(conn.NetConn(), ws.Entry{
				Bearer:  auth.NewBearer(auth.Claims{Subject: "1", Username: "alice", Role: auth.RoleUser}),
				Limiter: ratelimit.NewLimiter(nil, ratelimit.Rate{}, ratelimit.Rate{}),
			})
		})
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serve(server, listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := server.ShutdownWithContext(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), hub
}

func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), url, http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// until reads up to the frame of a type.
func until(t *testing.T, conn *websocket.Conn, frameType string) map[string]any {
	t.Helper()
	for {
		var f map[string]any
		if err := conn.ReadJSON(&f); err != nil {
			t.Fatalf("waiting for %s: %v", frameType, err)
		}
		if f["type"] == frameType {
			return f
		}
	}
}

func send(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// A program adds its own frame types beside the protocol's.
func TestOwnFrameType(t *testing.T) {
	url, _ := serveHub(t, func(o *ws.Options) {
		o.Frames = map[string]ws.FrameType{"dice": {Cost: 1, Handle: func(_ context.Context, s *ws.Session, f ws.Frame) error {
			var in struct{ Sides int }
			if err := f.Decode(&in); err != nil {
				return err
			}
			if in.Sides < 2 {
				return &ws.Error{Code: "bad_dice", Message: "a die has 2 sides at least"}
			}
			return s.Reply(f, "rolled", map[string]any{"by": s.Claims().Username, "sides": in.Sides})
		}}}
	})
	conn := dial(t, url)
	send(t, conn, `{"type":"dice","id":"d","sides":6}`)
	if f := until(t, conn, "rolled"); f["by"] != "alice" || f["sides"] != 6.0 || f["id"] != "d" {
		t.Errorf("%v", f)
	}
	send(t, conn, `{"type":"dice","sides":1}`)
	if f := until(t, conn, "error"); f["code"] != "bad_dice" {
		t.Errorf("%v", f)
	}
}

func TestNewHubRefusesNonsense(t *testing.T) {
	rules, err := ws.NewRules(map[string]ws.Rule{"lobby": {}})
	if err != nil {
		t.Fatal(err)
	}
	good := ws.Options{Rules: rules, Broker: &broker.Memory{}, PingInterval: 2, PingTimeout: 1, WriteTimeout: 1, CloseTimeout: 1}
	hub, err := ws.NewHub(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*ws.Options){
		"no rules":                     func(o *ws.Options) { o.Rules = nil },
		"no broker":                    func(o *ws.Options) { o.Broker = nil },
		"no time to answer":            func(o *ws.Options) { o.PingTimeout = 2 },
		"the protocol's own type":      func(o *ws.Options) { o.Frames = map[string]ws.FrameType{"chat": {}} },
		"a type without a handler":     func(o *ws.Options) { o.Frames = map[string]ws.FrameType{"dice": {}} },
		"a channel that is no channel": func(o *ws.Options) { o.AutoSubscribe = []string{"no way"} },
		"a channel that has no rule":   func(o *ws.Options) { o.AutoSubscribe = []string{"secret"} },
	} {
		opts := good
		change(&opts)
		if _, err := ws.NewHub(opts); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

// A program decides at the doors.
func TestHooks(t *testing.T) {
	left := make(chan string, 10)
	refuse := func(what string) error { return &ws.Error{Code: ws.CodeForbidden, Message: "not " + what} }
	url, _ := serveHub(t, func(o *ws.Options) {
		o.Hooks = ws.Hooks{
			Subscribe: func(_ context.Context, _ *ws.Session, channel string) error {
				if channel == "room:closed" {
					return refuse("this room")
				}
				return nil
			},
			Publish: func(_ context.Context, _ auth.Claims, m ws.Message) error {
				if strings.Contains(string(m.Data), "rude") {
					return refuse("such words")
				}
				return nil
			},
			Disconnect: func(s *ws.Session) { left <- s.Claims().Username },
		}
	})
	conn := dial(t, url)
	for text, message := range map[string]string{
		`{"type":"subscribe","channel":"room:closed"}`:            "not this room",
		`{"type":"chat","message":"a rude word"}`:                 "not such words",
		`{"type":"publish","channel":"room:1","data":["rude"]}`:   "not such words",
		`{"type":"publish","channel":"secret:1","data":"polite"}`: `no rule is about channel "secret:1", so nobody may use it`,
	} {
		send(t, conn, text)
		if f := until(t, conn, "error"); f["message"] != message {
			t.Errorf("%s: %v", text, f)
		}
	}
	_ = conn.Close()
	if who := <-left; who != "alice" {
		t.Errorf("%s left", who)
	}
}

func TestConnectHookRefuses(t *testing.T) {
	url, _ := serveHub(t, func(o *ws.Options) {
		o.Hooks.Connect = func(context.Context, *ws.Session) error {
			return &ws.Error{Code: ws.CodeForbidden, Message: "you are banned"}
		}
	})
	conn := dial(t, url)
	_, _, err := conn.ReadMessage()
	if e, ok := err.(*websocket.CloseError); !ok || e.Code != ws.CloseForbidden || e.Text != "you are banned" {
		t.Errorf("%v", err)
	}
}

// The Subscribe hook stands before the channels that all join too.
func TestHookBeforeAutoSubscribe(t *testing.T) {
	url, _ := serveHub(t, func(o *ws.Options) {
		o.AutoSubscribe = []string{"lobby", "room:1"}
		o.Hooks.Subscribe = func(_ context.Context, _ *ws.Session, channel string) error {
			if channel == "lobby" {
				return &ws.Error{Code: ws.CodeForbidden, Message: "closed"}
			}
			return nil
		}
	})
	if f := until(t, dial(t, url), "subscribed"); f["channel"] != "room:1" {
		t.Errorf("%v", f)
	}
}

// A Connect hook that fails, rather than refuses, asks the client to come back.
func TestConnectHookFails(t *testing.T) {
	url, _ := serveHub(t, func(o *ws.Options) {
		o.Hooks.Connect = func(context.Context, *ws.Session) error { return fmt.Errorf("canary: no database") }
	})
	_, _, err := dial(t, url).ReadMessage()
	if e, ok := err.(*websocket.CloseError); !ok || e.Code != ws.CloseTryLater || strings.Contains(e.Text, "canary") {
		t.Errorf("%v", err)
	}
}

// A hook that waits is let go when a shutdown cuts its session off.
func TestShutdownEndsWaitingHooks(t *testing.T) {
	waiting := make(chan struct{})
	url, hub := serveHub(t, func(o *ws.Options) {
		o.Hooks.Publish = func(ctx context.Context, _ auth.Claims, _ ws.Message) error {
			close(waiting)
			<-ctx.Done()
			return ctx.Err()
		}
	})
	send(t, dial(t, url), `{"type":"chat","message":"x"}`)
	<-waiting
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := hub.Shutdown(ctx); err == nil {
		t.Error("nobody was cut off")
	}
	if n := hub.Sessions(); n != 0 {
		t.Errorf("%d sessions left", n)
	}
}

// A hook that waits is let go when its session is closed, and so are the slots
// that hang on it.
func TestCloseEndsWaitingHooks(t *testing.T) {
	waiting, sessions := make(chan struct{}), make(chan *ws.Session, 1)
	url, hub := serveHub(t, func(o *ws.Options) {
		o.Hooks.Connect = func(_ context.Context, s *ws.Session) error {
			sessions <- s
			return nil
		}
		o.Hooks.Publish = func(ctx context.Context, _ auth.Claims, _ ws.Message) error {
			close(waiting)
			<-ctx.Done()
			return ctx.Err()
		}
	})
	conn := dial(t, url)
	send(t, conn, `{"type":"chat","message":"x"}`)
	<-waiting
	(<-sessions).Close(4000, "bye")
	for {
		_, _, err := conn.ReadMessage()
		if e, ok := err.(*websocket.CloseError); ok && e.Code == 4000 {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(5 * time.Second); hub.Sessions() > 0; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the session goes on")
		}
	}
}

// While a handler works, no pong can be read: the heartbeat waits.
func TestSlowHandlerIsNoSilence(t *testing.T) {
	url, _ := serveHub(t, func(o *ws.Options) {
		o.PingInterval, o.PingTimeout = 50*time.Millisecond, 20*time.Millisecond
		o.Hooks.Publish = func(ctx context.Context, _ auth.Claims, _ ws.Message) error {
			select {
			case <-time.After(300 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	conn := dial(t, url)
	send(t, conn, `{"type":"chat","id":1,"message":"x"}`)
	until(t, conn, "ack")
}

// Sessions that end while a shutdown closes them get in nobody's way.
func TestShutdownAgainstLeavers(t *testing.T) {
	for range 20 {
		url, hub := serveHub(t, func(*ws.Options) {})
		var wg sync.WaitGroup
		for range 10 {
			conn := dial(t, url)
			until(t, conn, "welcome")
			wg.Go(func() { _ = conn.Close() })
		}
		if err := hub.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

// C9: a panic ends its own session, says nothing of the inside, and leaves the
// others alone.
func TestPanicEndsOneSessionC9(t *testing.T) {
	url, _ := serveHub(t, func(o *ws.Options) {
		o.AutoSubscribe = []string{"lobby"}
		o.Frames = map[string]ws.FrameType{"bomb": {Handle: func(context.Context, *ws.Session, ws.Frame) error { panic("canary") }}}
	})
	other, conn := dial(t, url), dial(t, url)
	until(t, other, "subscribed")
	until(t, conn, "subscribed")
	send(t, conn, `{"type":"bomb"}`)
	_, text, err := conn.ReadMessage()
	if e, ok := err.(*websocket.CloseError); !ok || e.Code != ws.CloseInternal || strings.Contains(e.Text, "canary") {
		t.Errorf("%q %v", text, err)
	}
	send(t, other, `{"type":"chat","id":1,"message":"still here"}`)
	until(t, other, "ack")
}

// C9: a Publish hook that panics leaves no answer owed, and so the close frame
// does not wait for one.
func TestPanicInPublishHookC9(t *testing.T) {
	url, _ := serveHub(t, func(o *ws.Options) {
		o.CloseTimeout = time.Minute
		o.Hooks.Publish = func(context.Context, auth.Claims, ws.Message) error { panic("canary") }
	})
	conn := dial(t, url)
	send(t, conn, `{"type":"publish","id":1,"channel":"lobby","data":1}`)
	for {
		_, _, err := conn.ReadMessage()
		if err == nil {
			continue
		}
		if !websocket.IsCloseError(err, ws.CloseInternal) {
			t.Errorf("after a panic the client got %v", err)
		}
		return
	}
}

// An error that is not for clients is told as unavailable.
func TestInternalErrorsStayInside(t *testing.T) {
	url, _ := serveHub(t, func(o *ws.Options) { o.Broker = brokenBroker{} })
	conn := dial(t, url)
	for _, text := range []string{`{"type":"chat","id":1,"message":"x"}`, `{"type":"typing","id":1,"isTyping":true}`, `{"type":"publish","id":1,"channel":"room:1","data":1}`} {
		send(t, conn, text)
		f := until(t, conn, "error")
		encoded, _ := json.Marshal(f)
		if f["code"] != "unavailable" || f["id"] != 1.0 || strings.Contains(string(encoded), "canary") {
			t.Errorf("%s", encoded)
		}
	}
}

type brokenBroker struct{}

func (brokenBroker) Publish(context.Context, ws.Envelope) error { return fmt.Errorf("canary") }
func (brokenBroker) Subscribe(func(ws.Envelope)) func()         { return func() {} }

// A hub that has been shut down lets nobody in, and says why.
func TestServeAfterShutdown(t *testing.T) {
	url, hub := serveHub(t, func(*ws.Options) {})
	if err := hub.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _, err := dial(t, url).ReadMessage()
	if e, ok := err.(*websocket.CloseError); !ok || e.Code != ws.CloseRestart {
		t.Errorf("%v", err)
	}
}

// A shutdown whose time is over cuts off who does not go.
func TestShutdownHasAnEnd(t *testing.T) {
	url, hub := serveHub(t, func(o *ws.Options) { o.CloseTimeout = time.Hour })
	until(t, dial(t, url), "welcome")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := hub.Shutdown(ctx); err == nil {
		t.Error("nobody was cut off")
	}
	if n := hub.Sessions(); n != 0 {
		t.Errorf("%d sessions left", n)
	}
}
