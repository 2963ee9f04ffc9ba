package attack_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// W1, W2: cross-site WebSocket hijacking. A page of another site opens a socket,
// and the victim's browser adds the cookie. (SameSite=Strict would keep it back;
// not every browser knows it.)
func TestCrossSiteSocketW1W2(t *testing.T) {
	s := start(t, "--http.trusted-proxies="+proxyAddress, "--http.origins=https://app.example", "--limits.handshakes.burst=100")
	v := newVictim(s, "alice")
	for _, row := range []struct {
		origin, code string
		status       int
	}{
		{"https://evil.example", "foreign_origin", 403},
		{"null", "foreign_origin", 403},
		{"https://evil.chat.example", "foreign_origin", 403},
		{"https://app.example.evil.example", "foreign_origin", 403},
		{"http://app.example", "foreign_origin", 403},
		{"https://app.example:8443", "foreign_origin", 403},
		{"file://", "foreign_origin", 403},
		{"", "cookie_alone", 403},
		{home, "no_token", 401}, // our own page: the cookie alone opens no socket even then
	} {
		for _, protocol := range []string{"", "gatecast.v1"} {
			header := atHome("Cookie", v.cookie)
			if row.origin != "" {
				header = append(header, "Origin", row.origin)
			}
			if protocol != "" {
				header = append(header, "Sec-WebSocket-Protocol", protocol)
			}
			if conn, a := v.upgrade("/ws", header...); conn != nil || !a.is(row.status, row.code) {
				t.Errorf("origin %q: %v", row.origin, a)
			}
		}
	}
	// Nor can that page ask for a ticket, with the cookie alone.
	if a := v.do("POST", "/ws/ticket", "", atHome("Origin", "https://evil.example", "Cookie", v.cookie)...); !a.is(401, "no_token") {
		t.Errorf("a ticket for a cookie: %v", a)
	}
	v.isIn()
}

// T2: a ticket that was seen in a URL is worth nothing: it was spent by then.
func TestReplayedTicketT2(t *testing.T) {
	s := start(t, "--limits.handshakes.burst=100")
	alice := s.signUp("alice")
	ticket := alice.call("POST", "/ws/ticket", "").field("ticket")
	conn, a := alice.upgrade("/ws?ticket=" + ticket)
	if conn == nil {
		t.Fatalf("%v", a)
	}
	tab := alice.welcomed(conn)
	mallory := s.caller()
	var replays sync.WaitGroup
	var ends tally
	for range 20 {
		replays.Go(func() {
			conn, a, err := mallory.tryUpgrade(t.Context(), "/ws?ticket="+ticket)
			if conn != nil {
				_ = conn.Close()
			}
			ends.add(fmt.Sprint(a.status, " ", a.field("code"), err))
		})
	}
	replays.Wait()
	ends.only(t, "401 invalid_ticket<nil>")
	for _, altered := range []string{ticket + ticket, strings.ToLower(ticket), ticket[:25], ticket + "%00", "%20" + ticket, strings.Repeat("A", 26)} {
		if conn, a := mallory.upgrade("/ws?ticket=" + altered); conn != nil || !a.is(401, "invalid_ticket") {
			t.Errorf("%s: %v", altered, a)
		}
	}
	tab.isAlive()
}

// T2: a ticket lets in from the page that asked for it alone, and whoever tries it
// from elsewhere has spent it.
func TestTicketFromAnotherOriginT2(t *testing.T) {
	s := start(t, "--http.origins=https://app.example,https://other.example", "--limits.handshakes.burst=100")
	alice := s.signUp("alice")
	from := func(origin string) []string {
		if origin == "" {
			return nil
		}
		return []string{"Origin", origin}
	}
	const app, other, evil = "https://app.example", "https://other.example", "https://evil.example"
	for _, row := range []struct{ asked, shown, code string }{
		{app, other, "invalid_ticket"}, {app, "", "invalid_ticket"}, {"", app, "invalid_ticket"}, {other, app, "invalid_ticket"},
		{evil, app, "invalid_ticket"}, {evil, "", "invalid_ticket"}, {evil, evil, "foreign_origin"}, {app, evil, "foreign_origin"},
		{app + ", " + other, app, "invalid_ticket"}, {app + "/", app, "invalid_ticket"}, {strings.ToUpper(app), app, "invalid_ticket"},
	} {
		a := alice.call("POST", "/ws/ticket", "", from(row.asked)...)
		ticket := a.field("ticket")
		if conn, a := alice.upgrade("/ws?ticket="+ticket, from(row.shown)...); conn != nil || a.field("code") != row.code {
			t.Errorf("asked for by %q, shown by %q: %v", row.asked, row.shown, a)
		}
		if row.code != "invalid_ticket" {
			continue
		}
		if conn, a := alice.upgrade("/ws?ticket="+ticket, from(row.asked)...); conn != nil || a.status/100 != 4 {
			t.Errorf("asked for by %q, and shown by it after %q has: %v", row.asked, row.shown, a)
		}
	}
	ticket := alice.call("POST", "/ws/ticket", "", from(app)...).field("ticket")
	conn, a := alice.upgrade("/ws?ticket="+ticket, from(app)...)
	if conn == nil {
		t.Fatalf("from the page that asked: %v", a)
	}
	alice.welcomed(conn)
}

// W5: the sender is who the token says, whatever a frame or a body claims.
func TestSpoofedSenderW5(t *testing.T) {
	s := start(t, "--limits.messages.burst=100")
	alice, mallory := s.signUp("alice"), s.signUp("mallory")
	reader, evil := alice.connect(), mallory.connect()
	reader.ask("subscribe", "channel", "room:1")
	claimed := []any{
		"username", "alice", "userId", alice.id, "user_id", alice.id, "clientId", "server", "seq", 1_000_000, "timestamp", "2000-01-01T00:00:00Z",
		"sender", map[string]any{"userId": alice.id, "username": "alice"}, "role", "admin", "from", "alice", "sub", alice.id,
		"Username", "alice", "UserId", alice.id, "USERID", alice.id, // encoding/json minds no case
	}
	for _, sent := range [][]any{
		{"chat", "message", "hello"}, {"chat", "message", "hello", "channel", "room:1"}, {"publish", "channel", "room:1", "data", 1},
		{"publish", "channel", "room:1", "event", "chat", "data", "hello"}, {"publish", "channel", "room:1", "event", "user_joined", "data", map[string]any{"userId": alice.id, "username": "alice"}},
		{"typing", "isTyping", true}, {"typing", "isTyping", true, "channel", "room:1"},
	} {
		if f := evil.ask(sent[0].(string), append(sent[1:], claimed...)...); f.str("type") != "ack" || f.str("seq") == "1000000" {
			t.Errorf("%v: %v", sent, f)
		}
	}
	evil.send(fmt.Sprintf(`{"type":"chat","type":"publish","channel":"lobby","channel":"room:1","data":2,"userId":%q,"userId":%q}`, mallory.id, alice.id))
	for _, body := range []string{`{"data":3}`, `{"event":"chat","data":"hello"}`} {
		if a := mallory.call("POST", "/channels/room:1/messages", body, "X-User-Id", alice.id); a.status != http.StatusCreated {
			t.Errorf("%v", a)
		}
	}
	evil.isAlive() // so all has been sent
	seen := 0
	for _, f := range reader.before() {
		if !slices.Contains([]string{"chat", "message", "typing"}, f.str("type")) {
			continue
		}
		seen++
		if f.str("userId") != mallory.id || f.str("username") != "mallory" || f.str("clientId") == "server" || f["role"] != nil || strings.HasPrefix(f.str("timestamp"), "2000") {
			t.Errorf("alice reads %v", f)
		}
	}
	if seen != 10 {
		t.Errorf("alice saw %d of 10", seen)
	}
}

// W5: another user's channel: nothing gets in, nothing gets out, and nothing tells
// that it is there.
func TestAnotherUsersChannelW5(t *testing.T) {
	s := start(t, "--limits.messages.burst=500")
	alice, mallory := s.signUp("alice"), s.signUp("mallory")
	service := alice.bearing(s.run("", "token", "--name=feed"))
	private := "user:" + alice.id
	owner, evil := alice.connect(), mallory.connect()
	if f := owner.ask("subscribe", "channel", private); f.str("type") != "subscribed" {
		t.Fatalf("%v", f)
	}
	post := func() {
		if a := service.call("POST", "/channels/"+private+"/messages", `{"data":"secret of alice"}`); a.status != http.StatusCreated {
			t.Fatalf("%v", a)
		}
		owner.until("message")
	}
	post()
	for _, sent := range [][]any{
		{"subscribe"}, {"subscribe", "last", 10}, {"subscribe", "since", map[string]any{"epoch": "x", "seq": 0}}, {"history"}, {"history", "after", 0, "limit", 100},
		{"presence"}, {"publish", "data", 1}, {"publish", "data", 1, "key", "k"}, {"chat", "message", "hello"}, {"typing", "isTyping", true}, {"unsubscribe"},
	} {
		f := evil.ask(sent[0].(string), append(sent[1:], "channel", private)...)
		if code := f.str("code"); code != "forbidden" && !(sent[0] == "unsubscribe" && code == "not_subscribed") {
			t.Errorf("%v: %v", sent, f)
		}
	}
	for _, name := range []string{
		strings.ToUpper(private), "user:*", "user:", "user", "*", "user:" + alice.id + " ", " " + private, "user:" + alice.id + "\x00", "USER:" + alice.id,
		"user::" + alice.id, "user:" + strings.ToLower(alice.id), "user:../" + alice.id, "user:" + mallory.id + ":" + alice.id, "user:alice", "user:" + alice.id + ":x",
	} {
		if f := evil.ask("subscribe", "channel", name, "last", 10); f.str("code") != "forbidden" && f.str("code") != "bad_channel" {
			t.Errorf("%q: %v", name, f)
		}
	}
	for _, path := range []string{private, "user%3A" + alice.id, "user:" + mallory.id + "%2F..%2F" + private, "%75ser:" + alice.id} {
		for _, call := range [][3]string{{"GET", "/messages", ""}, {"GET", "/messages?after=0", ""}, {"GET", "/presence", ""}, {"POST", "/messages", `{"data":1}`}} {
			a := mallory.call(call[0], "/channels/"+path+call[1], call[2])
			if !a.is(403, "forbidden") && !a.is(400, "bad_channel") {
				t.Errorf("%s %s%s: %v", call[0], path, call[1], a)
			}
		}
	}
	if a := mallory.call("GET", "/channels?limit=100", ""); a.status != 200 || strings.Contains(a.body, alice.id) {
		t.Errorf("the list of channels: %v", a)
	}
	if a := mallory.call("GET", "/channels?limit=100&after=user:", ""); strings.Contains(a.body, alice.id) {
		t.Errorf("the list of channels from there on: %v", a)
	}
	post()
	for _, f := range evil.before() {
		if strings.Contains(fmt.Sprint(f), "secret") || strings.Contains(f.str("channel"), alice.id) {
			t.Errorf("mallory is told %v", f)
		}
	}
	for _, f := range owner.before() {
		if f.str("channel") == private {
			t.Errorf("alice is told %v", f)
		}
	}
	// A channel that is not there answers the same.
	there, not := evil.ask("subscribe", "channel", private), evil.ask("subscribe", "channel", "user:"+strings.Repeat("A", 26))
	if there.str("message") != not.str("message") || there.str("code") != not.str("code") {
		t.Errorf("it is told what is there: %v, %v", there, not)
	}
}

// T6: a socket is refreshed with what it has, and with nothing more: wider
// capabilities, another role, another session and another user all open another
// socket, under another check.
func TestWiderRightsByRefreshT6(t *testing.T) {
	s := start(t, "--limits.handshakes.burst=100")
	alice, mallory := s.signUp("alice"), s.signUp("mallory")
	issue := func(flags ...string) string {
		return s.run("", append([]string{"token", "--name=feed", "--ttl=1h"}, flags...)...)
	}
	longer := func(flags ...string) string { return issue(append(flags, "--ttl=2h")...) }
	const narrow, nothingElse = "--channel=room:1=subscribe", "--channel=*="
	for name, token := range map[string]string{
		"more actions":                  longer("--channel=room:1=subscribe,publish", nothingElse),
		"more channels":                 longer(narrow, "--channel=room:2=subscribe", nothingElse),
		"every channel":                 longer(narrow, "--channel=*=subscribe,publish,read,presence"),
		"the rules elsewhere":           longer(narrow),
		"no capabilities, so the rules": longer(),
		"fewer":                         longer(nothingElse),
	} {
		evil := mallory.bearing(issue(narrow, nothingElse)).connectAlone()
		if f := evil.ask("refresh", "token", token); f.str("code") != "invalid_token" {
			t.Errorf("%s: %v", name, f)
		}
		if f := evil.ask("subscribe", "channel", "room:2"); f.str("type") != "error" {
			t.Errorf("%s: and then %v", name, f)
		}
		if f := evil.ask("publish", "channel", "room:1", "data", 1); f.str("code") != "forbidden" {
			t.Errorf("%s: and then %v", name, f)
		}
	}
	for name, token := range map[string]string{
		"another user": alice.access, "another session of hers": mallory.logIn().access, "a service's": longer(), "an admin's": longer("--role=admin"),
	} {
		evil := mallory.connect()
		evil.send(toJSON("type", "refresh", "id", "ask", "token", token))
		if code := evil.closeCode(); code != 4401 {
			t.Errorf("%s: closed with %d", name, code)
		}
	}
	evil := mallory.connect()
	s.run("", "user", "role", "mallory", "admin") // the operator gives it, and every session of before ends
	if code := evil.closeCode(); code != 4401 {
		t.Errorf("another role: closed with %d", code)
	}
	if a := mallory.spend(mallory.refresh); !a.is(401, "invalid_token") {
		t.Errorf("the refresh token of before: %v", a)
	}
}

// connectAlone opens a socket that may be let into no channel.
func (u *user) connectAlone() *peer {
	u.t.Helper()
	conn, a := u.upgrade("/ws", "Authorization", "Bearer "+u.access)
	if conn == nil {
		u.t.Fatalf("the handshake of %s: %v", u.name, a)
	}
	p := u.reading(conn)
	p.until("welcome")
	return p
}
