package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestWelcomeComesFirst(t *testing.T) {
	s := start(t)
	p := s.dial(s.token("alice"))
	welcome := p.next()
	if welcome.str("type") != "welcome" || welcome.str("username") != "alice" || welcome.str("userId") != "ID-alice" ||
		welcome.str("clientId") == "" || welcome.str("message") == "" || welcome.str("heartbeatMs") != "25000" {
		t.Errorf("welcome: %v", welcome)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", welcome.str("expiresAt")); err != nil {
		t.Errorf("expiresAt: %v", err)
	}
	if limits, _ := welcome["limits"].(map[string]any); limits["messageBytes"] != 65536.0 || limits["subscriptions"] != 128.0 {
		t.Errorf("limits: %v", welcome["limits"])
	}
	subscribed := p.next()
	if subscribed.str("type") != "subscribed" || subscribed.str("channel") != "lobby" || subscribed["id"] != nil || subscribed.users() != "alice" {
		t.Errorf("subscribed: %v", subscribed)
	}
}

// The conversation of the tutorials in the lobby.
func TestLobbyConversation(t *testing.T) {
	s := start(t)
	alice := s.join("alice")
	bob := s.join("bob")
	if f := alice.until("user_joined"); f.str("username") != "bob" || f.str("userId") != "ID-bob" || f.str("channel") != "lobby" || f.str("message") != "bob joined lobby" || f.str("timestamp") == "" {
		t.Errorf("user_joined: %v", f)
	}

	// The sender's name comes from the token, whatever the frame says.
	bob.send(`{"type":"chat","message":"Xin chào <b>🌍</b>","username":"alice","userId":"ID-alice","clientId":"x"}`)
	chat := alice.until("chat")
	if chat.str("username") != "bob" || chat.str("userId") != "ID-bob" || chat.str("message") != "Xin chào <b>🌍</b>" || chat.str("channel") != "lobby" {
		t.Errorf("chat: %v", chat)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", chat.str("timestamp")); err != nil {
		t.Errorf("timestamp: %v", err)
	}
	if got := bob.nothingBut(); len(got) != 0 {
		t.Errorf("the sender got %v", got)
	}
	if ack := bob.ask(`{"type":"chat","id":"c1","message":"hi"}`); ack.str("type") != "ack" || ack.str("channel") != "lobby" || ack.str("timestamp") == "" {
		t.Errorf("ack: %v", ack)
	}

	bob.send(`{"type":"typing","isTyping":true,"username":"eve"}`)
	if f := alice.until("typing"); f.str("username") != "bob" || f["isTyping"] != true || f.str("channel") != "lobby" || f.str("timestamp") == "" {
		t.Errorf("typing: %v", f)
	}
	if f := bob.ask(`{"type":"ping","id":7,"timestamp":"2026-01-01T00:00:00Z"}`); f.str("type") != "pong" || f.str("timestamp") == "" {
		t.Errorf("pong: %v", f)
	}
	if f := bob.ask(`{"type":"presence","id":"p","channel":"lobby"}`); f.str("type") != "presence" || f.users() != "alice bob" || f.str("count") != "2" {
		t.Errorf("presence: %v", f)
	}

	bob.leave()
	if f := alice.until("user_left"); f.str("username") != "bob" || f.str("message") != "bob left lobby" {
		t.Errorf("user_left: %v", f)
	}
}

// Tabs of one user: joined and left are told once, the other tabs see what one
// tab sends, and it does not.
func TestTabsOfOneUser(t *testing.T) {
	s := start(t)
	bob := s.join("bob")
	first := s.join("alice")
	second := s.join("alice")
	if f := bob.until("user_joined"); f.str("username") != "alice" {
		t.Fatalf("%v", f)
	}
	if got := bob.nothingBut(); len(got) != 0 {
		t.Errorf("a second tab was told to others: %v", got)
	}
	if got := first.nothingBut(); len(got) != 0 {
		t.Errorf("a user was told of their own second tab: %v", got)
	}
	first.send(`{"type":"chat","message":"from one tab"}`)
	if f := second.until("chat"); f.str("message") != "from one tab" || f.str("userId") != "ID-alice" {
		t.Errorf("the other tab got %v", f)
	}
	bob.until("chat")
	if got := first.nothingBut(); len(got) != 0 {
		t.Errorf("the sending tab got %v", got)
	}
	first.leave()
	if got := bob.nothingBut(); len(got) != 0 {
		t.Errorf("one closed tab was told: %v", got)
	}
	second.leave()
	gone := time.Now()
	if f := bob.until("user_left"); f.str("username") != "alice" || time.Since(gone) > time.Second {
		t.Errorf("after %v: %v", time.Since(gone), f)
	}
}

func TestSubscribeAndUnsubscribe(t *testing.T) {
	s := start(t, "--limits.subscriptions=3")
	alice, bob := s.join("alice"), s.join("bob")
	subscribed := alice.ask(`{"type":"subscribe","id":1,"channel":"room:42"}`)
	if subscribed.str("type") != "subscribed" || subscribed.str("channel") != "room:42" || subscribed.users() != "alice" || subscribed["recovered"] != nil {
		t.Errorf("subscribed: %v", subscribed)
	}
	if again := alice.ask(`{"type":"subscribe","id":2,"channel":"room:42"}`); again.str("type") != "subscribed" {
		t.Errorf("again: %v", again)
	}
	if f := bob.ask(`{"type":"subscribe","id":1,"channel":"room:42"}`); f.users() != "alice bob" {
		t.Errorf("%v", f)
	}
	if f := alice.until("user_joined"); f.str("channel") != "room:42" {
		t.Errorf("%v", f)
	}
	// Publishing needs the right, not a subscription; who is not in the room
	// does not hear it.
	carol := s.join("carol")
	ack := carol.ask(`{"type":"publish","id":"x","channel":"room:42","event":"move","data":{"to":"e4",  "big":12345678901234567890,"s":"\u003c\/"},"key":"k1"}`)
	if ack.str("type") != "ack" || ack.str("channel") != "room:42" || ack.str("seq") != "1" {
		t.Errorf("ack: %v", ack)
	}
	if f := bob.until("message"); f.str("event") != "move" || f.str("username") != "carol" || f.str("key") != "k1" {
		t.Errorf("message: %v", f)
	}
	for _, f := range carol.nothingBut() {
		t.Errorf("who is not subscribed got %v", f)
	}
	if f := alice.ask(`{"type":"unsubscribe","id":3,"channel":"room:42"}`); f.str("type") != "unsubscribed" || f.str("channel") != "room:42" {
		t.Errorf("%v", f)
	}
	if f := bob.until("user_left"); f.str("username") != "alice" || f.str("channel") != "room:42" {
		t.Errorf("%v", f)
	}
	if f := alice.ask(`{"type":"unsubscribe","id":4,"channel":"room:42"}`); f.str("code") != "not_subscribed" || f.str("channel") != "room:42" {
		t.Errorf("%v", f)
	}
	// L7: subscriptions are limited; leaving one makes room.
	for i := range 3 {
		f := alice.ask(fmt.Sprintf(`{"type":"subscribe","id":"n%d","channel":"room:%d"}`, i, i))
		if want := map[bool]string{true: "subscribed", false: "error"}[i < 2]; f.str("type") != want {
			t.Errorf("subscription %d: %v", i, f)
		} else if want == "error" && f.str("code") != "subscription_limit" {
			t.Errorf("subscription %d: %v", i, f)
		}
	}
}

// What is published is relayed byte for byte.
func TestDataIsRelayedByteForByte(t *testing.T) {
	s := start(t)
	alice := s.join("alice")
	const data = `{"b" : 1.0,	"a":[1e400, "\u00e9\/<>&", 12345678901234567890] }`
	bob := s.dial(s.token("bob"))
	bob.send(`{"type":"publish","channel":"lobby","data":` + data + `}`)
	for {
		raw := alice.text()
		if strings.Contains(raw, `"type":"message"`) {
			if !strings.HasSuffix(raw, `,"data":`+data+`}`) {
				t.Errorf("relayed as %s", raw)
			}
			return
		}
	}
}

// W5: the right is looked at for every channel and every act.
func TestChannelRulesW5(t *testing.T) {
	s := start(t, `--namespaces={"news:*": {subscribe: [user], publish: [service]}, "silent": {subscribe: [user]}}`)
	alice := s.join("alice")
	bot := s.connect(s.tokenAs("bot", "service"))
	for _, row := range []struct {
		name, text, code, says string
		from                   *peer
	}{
		{"one's own channel", `{"type":"subscribe","id":1,"channel":"user:ID-alice"}`, "", "", alice},
		{"another's channel", `{"type":"subscribe","id":2,"channel":"user:ID-bob"}`, "forbidden", `rule "user:*" lets owner subscribe`, alice},
		{"presence of another's channel", `{"type":"presence","id":3,"channel":"user:ID-bob"}`, "forbidden", `lets owner see presence`, alice},
		{"publishing to one's own channel", `{"type":"publish","id":4,"channel":"user:ID-alice","data":1}`, "forbidden", `lets service, admin publish; you are user`, alice},
		{"a backend publishes to a user", `{"type":"publish","id":5,"channel":"user:ID-alice","data":1}`, "", "", bot},
		{"the namespace alone is no user's", `{"type":"subscribe","id":6,"channel":"user"}`, "forbidden", `no rule is about channel "user"`, alice},
		{"no rule", `{"type":"subscribe","id":7,"channel":"secret:plans"}`, "forbidden", `no rule is about channel "secret:plans"`, alice},
		{"an exact rule is not a namespace's", `{"type":"subscribe","id":8,"channel":"lobby:2"}`, "forbidden", "no rule", alice},
		{"reading news", `{"type":"subscribe","id":9,"channel":"news:today"}`, "", "", alice},
		{"writing news", `{"type":"publish","id":10,"channel":"news:today","data":1}`, "forbidden", `rule "news:*" lets service publish`, alice},
		{"typing where one may not write", `{"type":"typing","id":11,"channel":"news:today","isTyping":true}`, "forbidden", `publish`, alice},
		{"chat where one may not write", `{"type":"chat","id":12,"channel":"news:today","message":"x"}`, "forbidden", `publish`, alice},
		{"a backend writes news", `{"type":"publish","id":13,"channel":"news:today","data":1}`, "", "", bot},
		{"nobody may write", `{"type":"chat","id":14,"channel":"silent","message":"x"}`, "forbidden", `lets nobody publish`, alice},
	} {
		f := row.from.ask(row.text)
		if f.str("code") != row.code || !strings.Contains(f.str("message"), row.says) {
			t.Errorf("%s: %v", row.name, f)
		}
		if row.code != "" && f.str("channel") == "" {
			t.Errorf("%s: the refusal names no channel: %v", row.name, f)
		}
	}
	// Where presence is not for users, subscribed does not tell it.
	if f := alice.ask(`{"type":"subscribe","id":15,"channel":"silent"}`); f.str("type") != "subscribed" || f["presence"] != nil {
		t.Errorf("%v", f)
	}
	// A rule can keep a user out of the channel that others join by themselves.
	s2 := start(t, `--namespaces={"lobby": {subscribe: [service]}}`)
	carol := s2.connect(s2.token("carol"))
	if got := carol.nothingBut(); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// The presence list has an end; the count is whole.
func TestPresenceIsBounded(t *testing.T) {
	s := start(t, "--presence.detail-max=3")
	for i := range 5 {
		s.join(fmt.Sprint("user", i))
	}
	last := s.join("last")
	var f frame
	eventually(t, "six are counted", func() bool {
		f = last.ask(`{"type":"presence","id":1,"channel":"lobby"}`)
		return f.str("count") == "6"
	})
	if len(strings.Fields(f.users())) != 3 {
		t.Errorf("%v", f)
	}
	if f := s.join("other").ask(`{"type":"presence","id":1,"channel":"room:empty"}`); f.str("count") != "0" || fmt.Sprint(f["users"]) != "[]" {
		t.Errorf("%v", f)
	}
}

// All members of a channel see its messages in one order, and each sender's in
// the order they were sent.
func TestOneOrderForAll(t *testing.T) {
	s := start(t)
	const senders, messages = 4, 100
	var watchers, writers []*peer
	for i := range 3 {
		watchers = append(watchers, s.join(fmt.Sprint("watcher", i)))
	}
	for i := range senders {
		writers = append(writers, s.join(fmt.Sprint("writer", i)))
	}
	done := make(chan struct{})
	for _, w := range writers {
		go func() {
			defer func() { done <- struct{}{} }()
			for n := range messages {
				w.send(fmt.Sprintf(`{"type":"chat","message":"%s %d"}`, w.name, n))
			}
		}()
	}
	for range writers {
		<-done
	}
	var first []string
	for _, w := range watchers {
		var seen []string
		next := map[string]int{}
		for range senders * messages {
			f := w.until("chat")
			seen = append(seen, f.str("message"))
			if want := fmt.Sprintf("%s %d", f.str("username"), next[f.str("username")]); f.str("message") != want {
				t.Fatalf("%s saw %q, want %q", w.name, f.str("message"), want)
			}
			next[f.str("username")]++
		}
		if first == nil {
			first = seen
		} else if fmt.Sprint(first) != fmt.Sprint(seen) {
			t.Errorf("%s saw another order than %s", w.name, watchers[0].name)
		}
	}
}
