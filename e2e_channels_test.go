package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
)

// page is a page of messages.
type page struct {
	Messages []frame
	More     bool
	Epoch    string
}

func (s *server) page(token, path string) page {
	s.t.Helper()
	a := s.get(token, path)
	var p page
	if err := json.Unmarshal([]byte(a.body), &p); a.status != http.StatusOK || err != nil {
		s.t.Fatalf("%s: %d %s", path, a.status, a.body)
	}
	return p
}

// seqs are a page's numbers, as "first-last" where they have no hole.
func (p page) seqs() string {
	if len(p.Messages) == 0 {
		return "none"
	}
	first := p.Messages[0]["seq"].(float64)
	for i, m := range p.Messages {
		if m["seq"] != first+float64(i) {
			return fmt.Sprintf("%v after %v", m["seq"], i)
		}
	}
	return fmt.Sprintf("%v-%v", first, first+float64(len(p.Messages)-1))
}

// Pages go through a channel both ways, without a message twice or missing.
func TestPaging(t *testing.T) {
	s := start(t)
	alice := s.join("alice")
	const messages = 120
	for i := 1; i <= messages; i++ {
		alice.send(fmt.Sprintf(`{"type":"publish","id":%d,"channel":"room:1","data":%d}`, i, i))
	}
	for range messages {
		alice.until("ack")
	}
	epoch := alice.ask(`{"type":"subscribe","id":"where","channel":"room:1"}`).str("epoch")
	for _, row := range []struct {
		query, seqs string
		more        bool
	}{
		{"", "71-120", true},
		{"?before=71", "21-70", true},
		{"?before=21", "1-20", false},
		{"?before=1", "none", false},
		{"?after=0", "1-50", true},
		{"?after=50", "51-100", true},
		{"?after=100", "101-120", false},
		{"?after=120", "none", false},
		{"?after=9000000000000000000", "none", false},
		{"?after=10&before=13", "11-12", false},
		{"?after=10&before=11", "none", false},
		{"?after=10&before=100&limit=5", "11-15", true},
		{"?limit=1", "120-120", true},
		{"?limit=120", "21-120", true},
		{"?limit=1000000000000", "21-120", true},
		{"?before=101&limit=100", "1-100", false},
		{"?after=100&color=blue&Limit=x", "101-120", false}, // what is not known is ignored
	} {
		for _, channel := range []string{"room:1", "room%3A1"} {
			p := s.page(s.token("bob"), "/channels/"+channel+"/messages"+row.query)
			if p.seqs() != row.seqs || p.More != row.more || p.Epoch != epoch {
				t.Errorf("%s%s: %s, more %t, want %s, %t; of epoch %q, which is %q", channel, row.query, p.seqs(), p.More, row.seqs, row.more, p.Epoch, epoch)
			}
		}
	}
	if p := s.page(s.token("bob"), "/channels/room:unused/messages"); p.seqs() != "none" || p.More || p.Messages == nil || p.Epoch != "" {
		t.Errorf("a channel that nobody has used: %v", p)
	}
}

// H1, H2: who asks for nonsense, or for what a rule keeps from them, is told so.
func TestReadRefusalsH1H2(t *testing.T) {
	s := start(t, `--namespaces={"closed:*": {subscribe: [user], history: {count: 10}}}`)
	for _, row := range []struct {
		path, code, says string
		status           int
	}{
		{"/channels/room:1/messages?limit=x", "bad_query", "limit must be a whole number", 400},
		{"/channels/room:1/messages?limit=", "bad_query", "limit must be a whole number", 400},
		{"/channels/room:1/messages?limit=1.5", "bad_query", "limit must be a whole number", 400},
		{"/channels/room:1/messages?limit=0", "bad_query", "limit must be 1 at least", 400},
		{"/channels/room:1/messages?limit=-1", "bad_query", "limit must be 1 at least", 400},
		{"/channels/room:1/messages?after=-1", "bad_query", "after must not be negative", 400},
		{"/channels/room:1/messages?after=9223372036854775808", "bad_query", "after must be a whole number", 400},
		{"/channels/room:1/messages?before=0", "bad_query", "before must be 1 at least", 400},
		{"/channels/room:1/messages?before=one", "bad_query", "before must be a whole number", 400},
		{"/channels?limit=0", "bad_query", "limit must be 1 at least", 400},
		{"/channels?limit=many", "bad_query", "limit must be a whole number", 400},
		{"/channels?after=%00", "bad_channel", "letters", 400},
		{"/channels/Room:1/messages", "bad_channel", "letters", 400},
		{"/channels/room:a%20b/presence", "bad_channel", "letters", 400},
		{"/channels/nowhere:1/messages", "forbidden", "no rule is about", 403},
		{"/channels/closed:1/messages", "forbidden", "nobody read history; you are user", 403},
		{"/channels/closed:1/presence", "forbidden", "nobody see presence; you are user", 403},
		{"/channels/user:ID-bob/messages", "forbidden", "owner read history; you are user", 403},
		{"/channels/user:ID-bob/presence", "forbidden", "owner see presence; you are user", 403},
	} {
		a := s.get(s.token("alice"), row.path)
		if a.status != row.status || a.field("code") != row.code || !strings.Contains(a.field("detail"), row.says) || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s, want %d %s %q", row.path, a.status, a.body, row.status, row.code, row.says)
		}
		challenge := map[int]string{403: `Bearer error="insufficient_scope"`}[row.status]
		if got := a.header.Get("WWW-Authenticate"); got != challenge {
			t.Errorf("%s: challenge %q, want %q", row.path, got, challenge)
		}
	}
	for route, methods := range map[string]string{
		"/channels": "GET", "/channels/lobby/messages": "GET POST", "/channels/lobby/presence": "GET", "/me": "DELETE",
	} {
		for method := range strings.FieldsSeq(methods) {
			for header, code := range map[string]string{"": "no_token", "Bearer x.y.z": "invalid_token"} {
				if a := s.do(method, route, "", "Authorization", header); a.status != 401 || a.field("code") != code {
					t.Errorf("%s %s with %q: %d %s", method, route, header, a.status, a.body)
				}
			}
		}
		if a := s.do("PUT", route, "", "Authorization", "Bearer "+s.token("alice")); a.status != 405 {
			t.Errorf("PUT %s: %d %s", route, a.status, a.body)
		}
	}
}

// A user's own channel is read by its owner and written by services.
func TestOwnChannelOverREST(t *testing.T) {
	s := start(t)
	alice := s.join("alice")
	alice.subscribe("user:ID-alice")
	service := s.tokenAs("billing", "service")
	if a := s.post(service, "user:ID-alice", `{"event":"paid","data":{"amount":5}}`); a.status != 201 || a.field("seq") != "1" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if f := alice.until("message"); f.str("event") != "paid" || f.str("username") != "billing" {
		t.Errorf("alice got %v", f)
	}
	if p := s.page(s.token("alice"), "/channels/user:ID-alice/messages"); p.seqs() != "1-1" || p.Messages[0].str("event") != "paid" {
		t.Errorf("alice reads %v", p)
	}
	for name, token := range map[string]string{"bob": s.token("bob"), "the service": service} {
		if a := s.get(token, "/channels/user:ID-alice/messages"); a.status != 403 {
			t.Errorf("%s reads: %d %s", name, a.status, a.body)
		}
	}
}

// The list of channels shows what the caller may subscribe to, how far each is,
// and its last message where they may read it.
func TestChannelsList(t *testing.T) {
	s := start(t, `--namespaces={"room:vip": {subscribe: [admin], publish: [user], read: [admin], history: {count: 10}}, "quiet:*": {subscribe: [user], publish: [user], history: {count: 10}}}`)
	alice, bob := s.token("alice"), s.token("bob")
	for _, channel := range []string{"room:b", "lobby", "room:a", "room:vip", "quiet:1", "live:1", "room:b"} {
		if a := s.post(alice, channel, `{"data": [1,  2]}`); a.status != 201 {
			t.Fatalf("%s: %d %s", channel, a.status, a.body)
		}
	}
	s.post(s.tokenAs("billing", "service"), "user:ID-alice", `{"data":1}`)

	type entry struct {
		Channel, Epoch string
		Seq            int
		Last           json.RawMessage
	}
	list := func(token, query string) (names []string, entries []entry, more bool) {
		a := s.get(token, "/channels"+query)
		var body struct {
			Channels []entry
			More     bool
		}
		if err := json.Unmarshal([]byte(a.body), &body); a.status != 200 || err != nil {
			t.Fatalf("%s: %d %s", query, a.status, a.body)
		}
		for _, e := range body.Channels {
			names = append(names, e.Channel)
		}
		return names, body.Channels, body.More
	}
	for _, row := range []struct {
		who, token, query, names string
		more                     bool
	}{
		{"alice", alice, "", "lobby quiet:1 room:a room:b user:ID-alice", false},
		{"bob", bob, "", "lobby quiet:1 room:a room:b", false},
		{"an admin", s.tokenAs("root", "admin"), "", "lobby room:a room:b room:vip", false},
		{"alice", alice, "?limit=2", "lobby quiet:1", true},
		{"alice", alice, "?limit=2&after=quiet:1", "room:a room:b", true},
		{"alice", alice, "?limit=2&after=room%3Ab", "user:ID-alice", false},
		{"bob", bob, "?limit=2&after=quiet:1", "room:a room:b", false}, // room:vip is no reason for more
		{"bob", bob, "?after=room:z&color=blue", "", false},
		{"bob", bob, "?limit=500", "lobby quiet:1 room:a room:b", false},
	} {
		names, _, more := list(row.token, row.query)
		if got := strings.Join(names, " "); got != row.names || more != row.more {
			t.Errorf("%s%s: %s, more %t, want %s, %t", row.who, row.query, got, more, row.names, row.more)
		}
	}
	_, entries, _ := list(alice, "")
	for _, e := range entries {
		want := map[string]int{"room:b": 2}[e.Channel]
		if e.Seq != max(want, 1) || len(e.Epoch) < 20 {
			t.Errorf("%s is at %d of %q", e.Channel, e.Seq, e.Epoch)
		}
		if mayRead := e.Channel != "quiet:1"; mayRead != (len(e.Last) > 0) {
			t.Errorf("%s: last is %s", e.Channel, e.Last)
		}
	}
	b := entries[slices.IndexFunc(entries, func(e entry) bool { return e.Channel == "room:b" })]
	if last := string(b.Last); !strings.HasPrefix(last, `{"type":"message","channel":"room:b","seq":2,"event":"message","userId":"ID-alice"`) || !strings.HasSuffix(last, `"data":[1,  2]}`) {
		t.Errorf("the last message of room:b is %s", last)
	}
}

// Presence over REST speaks of users, as on the socket.
func TestPresenceOverREST(t *testing.T) {
	s := start(t)
	if a := s.get(s.token("alice"), "/channels/room:1/presence"); a.status != 200 || a.body != `{"count":0,"users":[]}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, name := range []string{"bob", "carol", "bob"} {
		s.join(name).subscribe("room:1")
	}
	want := `{"count":2,"users":[{"userId":"ID-bob","username":"bob"},{"userId":"ID-carol","username":"carol"}]}`
	for _, channel := range []string{"room:1", "room%3a1"} {
		if a := s.get(s.token("alice"), "/channels/"+channel+"/presence"); a.status != 200 || a.body != want {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// R7: an account that is deleted is gone, its sockets end, and its name is
// taken off what it has said.
func TestDeleteMeR7(t *testing.T) {
	s := start(t)
	token := s.signUp("alice")
	tabs := []*peer{s.connect(token), s.connect(token)}
	bob := s.join("bob")
	tabs[0].ask(`{"type":"chat","id":1,"message":"Xin chào"}`)
	s.post(token, "lobby", `{"data":{"x":1}}`, "Idempotency-Key", "k")
	bob.ask(`{"type":"chat","id":1,"message":"Chào bạn"}`)

	bearer := "Bearer " + token
	if a := s.do("DELETE", "/me", "", "Authorization", bearer); a.status != http.StatusNoContent || a.body != "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, tab := range tabs {
		if code := tab.closeCode(); code != 4401 {
			t.Errorf("closed with %d", code)
		}
		var bye *websocket.CloseError
		if errors.As(tab.err, &bye) && bye.Text != "the session has ended, or its token was revoked: get another token" {
			t.Errorf("closed because %q", bye.Text)
		}
	}
	for _, method := range []string{"DELETE", "GET"} {
		if a := s.do(method, "/me", "", "Authorization", bearer); a.status != 401 || a.field("code") != "invalid_token" {
			t.Errorf("%s again: %d %s", method, a.status, a.body)
		}
	}
	if a := s.do("POST", "/login", `{"username":"alice","password":"correct horse battery"}`); a.status != 401 {
		t.Errorf("login: %d %s", a.status, a.body)
	}
	var messages []frame
	eventually(t, "alice's name is off her messages", func() bool {
		messages = s.page(s.token("bob"), "/channels/lobby/messages").Messages
		return messages[0].str("userId") == "" && messages[1].str("userId") == ""
	})
	for _, m := range messages[:2] {
		if m.str("username") != "" || m["clientId"] != nil || m["key"] != nil {
			t.Errorf("not anonymous: %v", m)
		}
	}
	if messages[0].str("message") != "Xin chào" || messages[1]["data"] == nil || messages[2].str("username") != "bob" {
		t.Errorf("too much is gone: %v", messages)
	}
	if f := bob.ask(`{"type":"ping","id":"still here"}`); f.str("type") != "pong" {
		t.Errorf("bob got %v", f)
	}
}

// Where messages are to go with their account, nothing but their places stays.
func TestDeleteMeRemovesMessages(t *testing.T) {
	s := start(t, "--auth.deleted-messages=remove")
	token := s.signUp("alice")
	for _, body := range []string{`{"event":"chat","data":"secret words"}`, `{"data":"c2VjcmV0","encoding":"base64"}`} {
		s.post(token, "lobby", body, "Idempotency-Key", "secret "+body[2:6])
	}
	s.post(s.token("bob"), "lobby", `{"data":1}`)
	s.do("DELETE", "/me", "", "Authorization", "Bearer "+token)
	eventually(t, "alice's messages are removed", func() bool {
		messages := s.page(s.token("bob"), "/channels/lobby/messages").Messages
		return messages[0].str("type") == "removed" && messages[1].str("type") == "removed"
	})
	p := s.page(s.token("bob"), "/channels/lobby/messages")
	if p.seqs() != "1-3" || p.Messages[2].str("username") != "bob" {
		t.Errorf("%v", p)
	}
	for _, m := range p.Messages[:2] {
		delete(m, "timestamp")
		if m.str("channel") != "lobby" || len(m) != 3 { // type, channel, seq
			t.Errorf("more than its place is left: %v", m)
		}
	}
}
