package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// watchDemo joins what the page's second tab joins.
func (s *server) watchDemo(username string) *peer {
	s.t.Helper()
	p := s.connect(s.token(username))
	p.name = username
	for _, channel := range []string{"live:prices", "live:sensors", "user:ID-" + username, "live:notifications"} {
		p.subscribe(channel)
	}
	return p
}

// heard is the next message with that event.
func (p *peer) heard(event string) frame {
	p.t.Helper()
	for {
		if f := p.until("message"); f.str("event") == event {
			return f
		}
	}
}

// With --demo there are prices, readings, and a notification for whoever comes,
// and nobody hears another's.
func TestDemo(t *testing.T) {
	s := start(t, "--demo")
	alice, bob := s.watchDemo("alice"), s.watchDemo("bob")
	for _, p := range []*peer{alice, bob} {
		if f := p.heard("notification"); f.str("channel") != "user:ID-"+p.name || f["data"].(map[string]any)["kind"] != "welcome" {
			t.Errorf("%s hears %v", p.name, f)
		}
		if kept := s.get(s.token(p.name), "/channels/user:ID-"+p.name+"/messages"); strings.Count(kept.body, `"welcome"`) != 1 {
			t.Errorf("%s finds %s", p.name, kept.body)
		}
	}
	for _, row := range []struct{ event, channel, field string }{
		{"prices", "live:prices", "symbol price change"},
		{"readings", "live:sensors", "sensor value unit min max"},
	} {
		for range 2 { // it goes on
			f := alice.heard(row.event)
			list, _ := f["data"].([]any)
			if f.str("channel") != row.channel || f.str("username") != "demo" || f.str("userId") != "service:demo" || len(list) < 4 {
				t.Fatalf("%v", f)
			}
			for _, field := range strings.Fields(row.field) {
				if list[0].(map[string]any)[field] == nil {
					t.Errorf("%s has no %s: %v", row.event, field, list[0])
				}
			}
		}
	}
	// T5
	if !s.logged("the demo is on") || s.logged("eyJ") {
		t.Error("the log does not say that it is on, or shows its token")
	}
	if s.logged("does not get through") {
		t.Errorf("it does not get through: %s", s.logs)
	}
}

// Whoever is not in live:notifications is told nothing, and without the flag
// nobody is. The demo finds its server on every address, and needs no rule.
func TestDemoWhereItIsNotAskedFor(t *testing.T) {
	s := start(t, "--demo", "--host=", `--namespaces={"live:*": {subscribe: [user]}, "user:*": {subscribe: [owner], read: [owner]}}`)
	alice, carol := s.watchDemo("alice"), s.connect(s.token("carol"))
	carol.subscribe("user:ID-carol")
	alice.heard("notification")
	for _, f := range carol.nothingBut() {
		if f.str("type") == "message" {
			t.Errorf("carol hears %v", f)
		}
	}
	off := start(t)
	dave := off.watchDemo("dave")
	dave.nothingBut()
	if off.logged("demo") {
		t.Errorf("a demo without the flag: %s", off.logs)
	}
}

// L4: the demo has a user's rate like everyone. Where that is low it is slower,
// and still nothing is refused for good.
func TestDemoKeepsToTheRateL4(t *testing.T) {
	s := start(t, "--demo", "--limits.messages.rate=2", "--limits.messages.burst=2")
	alice := s.connect(s.token("alice"))
	alice.subscribe("live:prices")
	alice.subscribe("live:sensors")
	alice.heard("prices")
	alice.heard("readings")
	alice.heard("prices")
	if !s.logged(`"status":429`) || s.logged("does not get through") {
		t.Errorf("%s", s.logs)
	}
}

// The demo renews its token before it ends and after it was refused, and sends
// again what came too fast.
func TestDemoRenewsItsToken(t *testing.T) {
	keys, err := auth.NewHMACKeySet([]byte(strings.Repeat("key of 32", 4)))
	if err != nil {
		t.Fatal(err)
	}
	opts := auth.TokenOptions{Issuer: "gatecast", Audience: "gatecast"}
	verifier := auth.NewVerifier(keys, nil, opts)
	type call struct {
		claims auth.Claims
		body   string
	}
	calls := make(chan call, 100)
	answers := make(chan int, 10)
	answers <- http.StatusUnauthorized
	answers <- http.StatusTooManyRequests
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer, err := verifier.Verify(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if err != nil {
			t.Errorf("a bad token: %v", err)
			return
		}
		body, _ := io.ReadAll(r.Body)
		calls <- call{bearer.Claims(), string(body)}
		select {
		case status := <-answers:
			w.WriteHeader(status)
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"users": []any{}})
		}
	}))
	defer backend.Close()

	d := newDemo(auth.NewIssuer(keys, opts), 4*time.Second, backend.URL, slog.New(slog.DiscardHandler))
	stop := runDemo(d)
	defer stop()
	next := func() call {
		t.Helper()
		select {
		case c := <-calls:
			return c
		case <-time.After(patience):
			t.Fatal("the demo is silent")
			return call{}
		}
	}
	refused, early, again := next(), next(), next()
	if refused.claims.ID == early.claims.ID {
		t.Error("it shows the token again that was refused")
	}
	if early.body != again.body || !strings.Contains(early.body, `"prices"`) {
		t.Errorf("too early was %s, and then came %s", early.body, again.body)
	}
	if c := again.claims; c.Subject != "service:demo" || c.Role != auth.RoleService || c.Username != "demo" || len(c.Channels["*"]) != 0 || c.Channels["*"] == nil {
		t.Errorf("its token says %+v", c)
	}
	for { // it is renewed unasked, while it is good
		if c := next(); c.claims.ID != again.claims.ID {
			break
		}
	}
}
