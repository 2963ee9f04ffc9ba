package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// list is a frame's messages.
func (f frame) list(t *testing.T) []frame {
	t.Helper()
	items, ok := f["messages"].([]any)
	if !ok {
		t.Fatalf("no messages in %v", f)
	}
	var list []frame
	for _, item := range items {
		list = append(list, frame(item.(map[string]any)))
	}
	return list
}

// seqs are the numbers of messages, first to last, such as 3-7; the messages in
// between are checked to be there.
func seqs(t *testing.T, list []frame) string {
	t.Helper()
	if len(list) == 0 {
		return "none"
	}
	first := list[0]["seq"].(float64)
	for i, m := range list {
		if m["seq"].(float64) != first+float64(i) {
			t.Fatalf("message %d has number %v, and the first %v", i, m["seq"], first)
		}
	}
	return fmt.Sprintf("%v-%v", first, list[len(list)-1]["seq"])
}

// fill publishes n messages and waits until they are stored.
func (p *peer) fill(channel string, n int) {
	p.t.Helper()
	for i := range n {
		p.send(fmt.Sprintf(`{"type":"publish","id":%d,"channel":%q,"data":"m%d"}`, i, channel, i+1))
	}
	for range n {
		p.until("ack")
	}
}

// A channel remembers: who comes later asks for the newest messages, who comes
// back for what was missed, and who scrolls for older ones.
func TestChannelRemembers(t *testing.T) {
	s := start(t)
	alice := s.join("alice")
	alice.fill("room:1", 250)

	bob := s.join("bob")
	where := bob.ask(`{"type":"subscribe","id":1,"channel":"room:1"}`)
	epoch := where.str("epoch")
	if where.str("seq") != "250" || epoch == "" || where["recovered"] != nil || where["messages"] != nil {
		t.Errorf("without since: %v", where)
	}
	since := func(epoch string, seq int) string {
		return fmt.Sprintf(`{"type":"subscribe","id":2,"channel":"room:1","since":{"epoch":%q,"seq":%d}}`, epoch, seq)
	}
	for _, row := range []struct {
		ask, seqs, seq string
		recovered      any
	}{
		{`{"type":"subscribe","id":2,"channel":"room:1","last":3}`, "248-250", "250", nil},
		{`{"type":"subscribe","id":2,"channel":"room:1","last":0}`, "none", "250", nil},
		{`{"type":"subscribe","id":2,"channel":"room:1","last":1000}`, "151-250", "250", nil},
		{since(epoch, 240), "241-250", "250", true},
		{since(epoch, 250), "none", "250", true},
		{since(epoch, 251), "151-250", "250", false}, // ahead of the head
		{since("another", 250), "151-250", "250", false},
	} {
		f := bob.ask(row.ask)
		if got := seqs(t, f.list(t)); got != row.seqs || f.str("seq") != row.seq || f["recovered"] != row.recovered || f.str("epoch") != epoch {
			t.Errorf("%s: messages %s, %.200v", row.ask, got, f)
		}
	}

	// The rest of a gap follows before what is live, and then the live ones.
	f := bob.ask(since(epoch, 10))
	if got := seqs(t, f.list(t)); got != "11-110" || f.str("seq") != "110" || f["recovered"] != true {
		t.Errorf("a gap of 240: %s %.100v", got, f)
	}
	alice.fill("room:1", 1)
	for want := 111; want <= 251; want++ {
		if f := bob.next(); f.str("type") != "message" || f.str("seq") != fmt.Sprint(want) || f.str("channel") != "room:1" {
			t.Fatalf("%v, want message %d", f, want)
		}
	}

	for _, row := range []struct {
		fields, seqs string
		more         bool
	}{
		{``, "202-251", true},
		{`,"limit":3`, "249-251", true},
		{`,"limit":1000`, "152-251", true},
		{`,"before":3`, "1-2", false},
		{`,"before":103,"limit":100`, "3-102", true},
		{`,"after":240`, "241-251", false},
		{`,"after":0,"limit":2`, "1-2", true},
		{`,"after":100,"before":104`, "101-103", false},
		{`,"after":251`, "none", false},
	} {
		f := bob.ask(`{"type":"history","id":3,"channel":"room:1"` + row.fields + `}`)
		if got := seqs(t, f.list(t)); got != row.seqs || f["more"] != row.more || f.str("channel") != "room:1" || f.str("epoch") != epoch {
			t.Errorf("history%s: %s %.100v", row.fields, got, f)
		}
	}
	m := bob.ask(`{"type":"history","id":3,"channel":"room:1","after":9,"limit":1}`).list(t)[0]
	if m.str("type") != "message" || m.str("data") != "m10" || m.str("username") != "alice" || m.str("userId") != "ID-alice" || m.str("event") != "message" || m.str("timestamp") == "" || m.str("channel") != "room:1" {
		t.Errorf("a message of the history: %v", m)
	}
}

// An ack tells the number, and a key stores once: again on the socket, on
// another one, and after a restart.
func TestKeysStoreOnce(t *testing.T) {
	s := start(t)
	alice := s.join("alice")
	const say = `{"type":"chat","id":"c","message":"once","key":"k1"}`
	first := alice.ask(say)
	if first.str("seq") != "1" || first["duplicate"] != nil || first.str("timestamp") == "" {
		t.Errorf("first: %v", first)
	}
	other := s.join("alice")
	for _, p := range []*peer{alice, other} {
		if f := p.ask(say); f.str("seq") != "1" || f["duplicate"] != true || f.str("timestamp") != first.str("timestamp") {
			t.Errorf("again: %v", f)
		}
	}
	if f := s.join("bob").ask(say); f.str("seq") != "2" || f["duplicate"] != nil {
		t.Errorf("another user: %v", f)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s = startIn(t, s.dir)
	alice = s.join("alice")
	if f := alice.ask(say); f.str("seq") != "1" || f["duplicate"] != true {
		t.Errorf("after a restart: %v", f)
	}
	if got := seqs(t, alice.ask(`{"type":"history","id":1,"channel":"lobby"}`).list(t)); got != "1-2" {
		t.Errorf("the lobby holds %s", got)
	}
}

// W5: what a rule does not let one do is refused by its name, and who may not
// read has no place to come back to.
func TestHistoryRulesW5(t *testing.T) {
	s := start(t, `--namespaces={"news:*": {subscribe: [user], publish: [service], read: [service], history: {count: 10}}}`)
	alice, bot := s.join("alice"), s.connect(s.tokenAs("bot", "service"))
	bot.fill("news:1", 3)
	if f := alice.ask(`{"type":"subscribe","id":1,"channel":"news:1"}`); f.str("type") != "subscribed" || f["epoch"] != nil || f["seq"] != nil {
		t.Errorf("%v", f)
	}
	for _, ask := range []string{
		`{"type":"subscribe","id":2,"channel":"news:1","last":1}`,
		`{"type":"subscribe","id":2,"channel":"news:1","since":{"epoch":"x","seq":0}}`,
		`{"type":"history","id":2,"channel":"news:1"}`,
		`{"type":"history","id":2,"channel":"user:ID-bob"}`,
	} {
		f := alice.ask(ask)
		if f.str("code") != "forbidden" || !strings.Contains(f.str("message"), "read history") || !strings.Contains(f.str("message"), `rule "`) {
			t.Errorf("%s: %v", ask, f)
		}
	}
	bot.fill("news:1", 1)
	if f := alice.until("message"); f.str("seq") != "4" {
		t.Errorf("live: %v", f)
	}
	// A service publishes to one user, who alone may read it.
	bot.fill("user:ID-alice", 2)
	if f := alice.ask(`{"type":"subscribe","id":3,"channel":"user:ID-alice","last":5}`); seqs(t, f.list(t)) != "1-2" {
		t.Errorf("%v", f)
	}
	if f := alice.ask(`{"type":"publish","id":4,"channel":"user:ID-alice","data":1}`); f.str("code") != "forbidden" {
		t.Errorf("%v", f)
	}
}

// live:* keeps nothing: no numbers, no keys, nothing to recover.
func TestChannelsThatKeepNothing(t *testing.T) {
	s := start(t)
	alice, bob := s.join("alice"), s.join("bob")
	if f := alice.ask(`{"type":"subscribe","id":1,"channel":"live:ticker"}`); f.str("type") != "subscribed" || f["seq"] != nil || f["epoch"] != nil {
		t.Errorf("%v", f)
	}
	for range 2 {
		if f := bob.ask(`{"type":"publish","id":2,"channel":"live:ticker","data":1.5,"key":"k"}`); f.str("type") != "ack" || f["seq"] != nil || f["duplicate"] != nil || f.str("timestamp") == "" {
			t.Errorf("%v", f)
		}
		if f := alice.until("message"); f["seq"] != nil || f["data"] != 1.5 || f.str("key") != "k" {
			t.Errorf("%v", f)
		}
	}
	if f := alice.ask(`{"type":"history","id":3,"channel":"live:ticker"}`); len(f.list(t)) != 0 || f["more"] != false {
		t.Errorf("%v", f)
	}
	if f := alice.ask(`{"type":"subscribe","id":4,"channel":"live:ticker","since":{"epoch":"x","seq":1}}`); f["recovered"] != false || len(f.list(t)) != 0 {
		t.Errorf("%v", f)
	}
	if f := alice.ask(`{"type":"subscribe","id":5,"channel":"live:ticker","last":5}`); f["recovered"] != nil || len(f.list(t)) != 0 {
		t.Errorf("%v", f)
	}
}

// What cannot be asked for is told as what it is.
func TestBadSubscriptionsAndHistories(t *testing.T) {
	s := start(t)
	alice := s.join("alice")
	for ask, says := range map[string]string{
		`{"type":"subscribe","id":1,"channel":"lobby","since":{"epoch":"x","seq":1},"last":1}`: "not both",
		`{"type":"subscribe","id":1,"channel":"lobby","since":{"seq":1}}`:                      "epoch and seq",
		`{"type":"subscribe","id":1,"channel":"lobby","since":{"epoch":"x","seq":-1}}`:         "epoch and seq",
		`{"type":"subscribe","id":1,"channel":"lobby","since":{"epoch":"x","seq":1.5}}`:        "whole number",
		`{"type":"subscribe","id":1,"channel":"lobby","since":5}`:                              "object",
		`{"type":"subscribe","id":1,"channel":"lobby","last":-1}`:                              "negative",
		`{"type":"history","id":1,"channel":"lobby","limit":0}`:                                "limit",
		`{"type":"history","id":1,"channel":"lobby","after":-1}`:                               "after",
		`{"type":"history","id":1,"channel":"lobby","before":0}`:                               "before",
		`{"type":"history","id":1}`:                                                            "channel",
		`{"type":"publish","id":1,"channel":"lobby","data":1,"event":"a\u0000b"}`:              "NUL",
		`{"type":"publish","id":1,"channel":"lobby","data":1,"key":"a\u0000b"}`:                "NUL",
	} {
		if f := alice.ask(ask); f.str("code") != "bad_frame" || !strings.Contains(f.str("message"), says) {
			t.Errorf("%s: %v", ask, f)
		}
	}
	if f := alice.ask(`{"type":"subscribe","id":1,"channel":"lobby","since":{"epoch":"x","seq":9007199254740993}}`); f["recovered"] != false {
		t.Errorf("%v", f)
	}
}

// When more is waiting than may wait, the publisher is told at once and when to
// come again; what was acked is there, and nothing else.
func TestBusy(t *testing.T) {
	s := start(t, "--log.queue=2")
	alice := s.join("alice")
	acked, busy := map[string]string{}, 0
	for busy == 0 || len(acked) == 0 {
		const n = 500
		for i := range n {
			alice.send(fmt.Sprintf(`{"type":"publish","id":"%d-%d","channel":"room:1","data":%d}`, len(acked), i, i))
		}
		for range n {
			switch f := alice.next(); {
			case f.str("type") == "ack":
				acked[f.str("seq")] = f.str("id")
			case f.str("code") == "busy" && f.str("channel") == "room:1" && f["retryAfterMs"].(float64) > 0:
				busy++
			default:
				t.Fatalf("%v", f)
			}
		}
	}
	if f := alice.ask(`{"type":"subscribe","id":"s","channel":"room:1"}`); f.str("seq") != fmt.Sprint(len(acked)) {
		t.Errorf("%d acks, and the channel is at %v", len(acked), f)
	}
}

// Files and pictures: raw bytes, live and in history, up to the limit.
func TestBinaryMessages(t *testing.T) {
	s := start(t)
	alice, bob := s.join("alice"), s.join("bob")
	bob.ask(`{"type":"subscribe","id":1,"channel":"room:1"}`)
	header := `{"id":7,"channel":"room:1","event":"picture","key":"k"}`
	payload := []byte{0, 1, 0xff, 0xfe, '"', '\\'}
	raw := append([]byte{0, 0, 0, byte(len(header))}, header...)
	if err := alice.conn.WriteMessage(websocket.BinaryMessage, append(raw, payload...)); err != nil {
		t.Fatal(err)
	}
	if f := alice.until("ack"); f.str("id") != "7" || f.str("seq") != "1" {
		t.Errorf("%v", f)
	}
	if f := bob.until("message"); f.str("payload") != string(payload) || f.str("event") != "picture" || f.str("seq") != "1" || f.str("username") != "alice" || f.str("key") != "k" || f["data"] != nil {
		t.Errorf("live: %v", f)
	}
	m := bob.ask(`{"type":"history","id":2,"channel":"room:1"}`).list(t)[0]
	if m.str("data") != "AAH//iJc" || m.str("encoding") != "base64" || m.str("event") != "picture" {
		t.Errorf("history: %v", m)
	}
	// In the rest of a gap it is a binary frame again.
	alice.fill("room:1", 120)
	big := append([]byte{0, 0, 0, byte(len(header))}, strings.Replace(header, `"k"`, `"l"`, 1)...)
	big = append(big, make([]byte, 65536-len(big))...)
	if err := alice.conn.WriteMessage(websocket.BinaryMessage, big); err != nil {
		t.Fatal(err)
	}
	alice.until("ack")
	carol := s.join("carol")
	epoch := carol.ask(`{"type":"subscribe","id":1,"channel":"room:1"}`).str("epoch")
	carol.ask(fmt.Sprintf(`{"type":"subscribe","id":2,"channel":"room:1","since":{"epoch":%q,"seq":0}}`, epoch))
	for seq := 101; seq <= 121; seq++ {
		carol.until("message")
	}
	if f := carol.until("message"); f.str("seq") != "122" || len(f.str("payload")) != len(big)-4-len(header) {
		t.Errorf("replayed: %.200v", f)
	}
}

// A clean stop answers everything that it took: what is stored is what was
// acked, also for clients without keys.
func TestStopAnswersWhatItTook(t *testing.T) {
	s := start(t, "--socket.close-timeout=5s")
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked := map[string]bool{}
	for i := range 10 {
		p := s.join(fmt.Sprint("user", i))
		wg.Go(func() {
			for n := 0; ; n++ {
				text := fmt.Sprintf(`{"type":"publish","id":"%d.%d","channel":"room:1","data":"%d.%d"}`, i, n, i, n)
				if err := p.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
					return
				}
			}
		})
		wg.Go(func() {
			for f := range p.frames {
				if f.str("type") == "ack" {
					mu.Lock()
					acked[f.str("id")] = true
					mu.Unlock()
				}
			}
			if code := p.closeCode(); code != 1012 {
				t.Errorf("closed with %d", code)
			}
			_ = p.conn.Close()
		})
	}
	eventually(t, "some are stored", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(acked) > 500
	})
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	s = startIn(t, s.dir)
	alice := s.join("alice")
	stored := 0
	for more := true; more; {
		f := alice.ask(fmt.Sprintf(`{"type":"history","id":1,"channel":"room:1","limit":100,"after":%d}`, stored))
		for _, m := range f.list(t) {
			stored++
			if !acked[m.str("data")] {
				t.Errorf("%s is stored and was never acked", m.str("data"))
			}
		}
		more = f["more"] == true
	}
	if stored != len(acked) {
		t.Errorf("%d acked, %d stored", len(acked), stored)
	}
}

// Retention works from the outside: by age and count, with nothing younger than
// the window gone.
func TestRetention(t *testing.T) {
	s := start(t, "--log.dedupe-window=1s", `--namespaces={"room:*": {subscribe: [user], publish: [user], read: [user], history: {count: 20}}, "brief:*": {publish: [user], read: [user], history: {age: 2s}}}`)
	alice := s.join("alice")
	alice.fill("room:1", 100)
	alice.fill("brief:1", 5)
	first := func(channel string) string {
		list := alice.ask(fmt.Sprintf(`{"type":"history","id":1,"channel":%q,"after":0}`, channel)).list(t)
		return strings.Split(seqs(t, list), "-")[0]
	}
	since := time.Now()
	if time.Since(since) < 500*time.Millisecond && first("room:1") != "1" {
		t.Error("trimmed inside the window")
	}
	eventually(t, "the count holds", func() bool { return first("room:1") == "81" })
	eventually(t, "the age holds", func() bool { return first("brief:1") == "none" })
	if f := alice.ask(`{"type":"publish","id":2,"channel":"brief:1","data":1}`); f.str("seq") != "6" {
		t.Errorf("%v", f)
	}
}
