package ws_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/broker"
	"github.com/gatecast/gatecast/ws"
)

// shelf is a Log that holds made-up messages 1 to head, and counts who looks.
type shelf struct {
	data  string // of each message, as JSON
	reads atomic.Int64
	gate  chan struct{} // where set, reads wait until it is closed

	mu         sync.Mutex // guards the rest
	epoch      string
	head, tail int64
}

func (s *shelf) Append(m ws.Message, done func(ws.Receipt, error)) error {
	s.mu.Lock()
	s.head++
	r := ws.Receipt{Position: ws.Position{Epoch: s.epoch, Seq: s.head}, Time: time.Now()}
	s.mu.Unlock()
	done(r, nil)
	return nil
}

func (s *shelf) Open(context.Context, string) (ws.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ws.Position{Epoch: s.epoch, Seq: s.head}, nil
}

func (s *shelf) Close(string) {}

func (s *shelf) Read(ctx context.Context, channel string, span ws.Span) (ws.Page, error) {
	s.reads.Add(1)
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return ws.Page{}, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, to := max(span.After, s.tail)+1, s.head
	if span.Before > 0 {
		to = min(to, span.Before-1)
	}
	limit := int64(span.Limit)
	if span.Bytes > 0 {
		limit = min(limit, int64(max(1, span.Bytes/len(s.data))))
	}
	page := ws.Page{Epoch: s.epoch, Head: s.head, Tail: s.tail}
	page.More = to-from+1 > limit
	if page.More && span.Newest {
		from = to - limit + 1
	} else if page.More {
		to = from + limit - 1
	}
	for seq := from; seq <= to; seq++ {
		page.Messages = append(page.Messages, ws.Message{Channel: channel, Event: "message", Seq: seq, Data: []byte(s.data), Sender: ws.Sender{UserID: "2", Username: "bob"}})
	}
	return page, nil
}

func (s *shelf) List(context.Context, ws.ListQuery) ([]ws.ChannelInfo, bool, error) {
	return nil, false, nil
}

// shelfQueue is what may wait for a session, in bytes; a page has a quarter of it
// at most.
const shelfQueue = 64 << 10

// serveShelf serves a Hub on a shelf.
func serveShelf(t *testing.T, s *shelf, change func(*ws.Options)) (url string, hub *ws.Hub) {
	t.Helper()
	everyone := []string{auth.RoleUser}
	rules, err := ws.NewRules(map[string]ws.Rule{"room:*": {
		Allow:   map[ws.Action][]string{ws.ActionSubscribe: everyone, ws.ActionPublish: everyone, ws.ActionRead: everyone},
		History: ws.History{Count: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return serveHub(t, func(o *ws.Options) {
		o.Rules, o.Log, o.QueueBytes, o.WriteTimeout = rules, s, shelfQueue, 5*time.Second
		if change != nil {
			change(o)
		}
	})
}

// resume subscribes to room:1 from a place on.
func resume(t *testing.T, conn *websocket.Conn, epoch string, seq int64) {
	t.Helper()
	send(t, conn, fmt.Sprintf(`{"type":"subscribe","id":1,"channel":"room:1","since":{"epoch":%q,"seq":%d}}`, epoch, seq))
}

// page is a subscribed frame.
type page struct {
	Type      string
	Epoch     string
	Seq       int64
	Recovered *bool
	Messages  []struct{ Seq int64 }
}

func readPage(t *testing.T, conn *websocket.Conn) page {
	t.Helper()
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var p page
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		if p.Type != "welcome" {
			return p
		}
	}
}

// A client that asks for 100,000 missed messages gets 100 in subscribed and the
// rest behind it, in order and before any live one; and the server reads no
// further ahead than the client does.
func TestLargeGapComesInPages(t *testing.T) {
	const gap = 100_000
	s := &shelf{epoch: "E", head: gap, data: `"` + strings.Repeat("x", 200) + `"`}
	url, hub := serveShelf(t, s, nil)
	conn := dial(t, url)
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	resume(t, conn, "E", 0)

	// While the client does not read, the reads of the log come to rest.
	still := int64(-1)
	wait(t, "the server waits for the client", func() bool {
		before := still
		still = s.reads.Load()
		return still > 0 && before == still
	}, 100*time.Millisecond)
	perPage := int64(shelfQueue / 4 / len(s.data))
	if still > gap/perPage/4 { // what lies in the sockets' buffers is the kernel's
		t.Errorf("%d pages are read for a client that does not read", still)
	}

	first := readPage(t, conn)
	if first.Type != "subscribed" || first.Recovered == nil || !*first.Recovered || int64(len(first.Messages)) != perPage || first.Seq != perPage || first.Messages[0].Seq != 1 {
		t.Fatalf("%+.200v", first)
	}
	if _, err := hub.Publish(t.Context(), auth.Claims{Subject: "3", Role: auth.RoleUser}, ws.Message{Channel: "room:1", Data: []byte(`"live"`)}); err != nil {
		t.Fatal(err)
	}
	for want := perPage + 1; want <= gap+1; want++ {
		if p := readPage(t, conn); p.Type != "message" || p.Seq != want {
			t.Fatalf("%+v, want message %d", p, want)
		}
	}
}

// wait polls at an interval until ok holds.
func wait(t *testing.T, what string, ok func() bool, interval time.Duration) {
	t.Helper()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for deadline := time.After(30 * time.Second); !ok(); {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("never happens: %s", what)
		}
	}
}

// Clients that return at once to the same place share reads.
func TestReturningClientsShareReads(t *testing.T) {
	const clients = 200
	s := &shelf{epoch: "E", head: 100, data: `"x"`, gate: make(chan struct{})}
	var asked atomic.Int64
	url, _ := serveShelf(t, s, func(o *ws.Options) {
		o.Hooks.Subscribe = func(context.Context, *ws.Session, string) error {
			asked.Add(1)
			return nil
		}
	})
	var conns []*websocket.Conn
	for range clients {
		conn := dial(t, url)
		resume(t, conn, "E", 50)
		conns = append(conns, conn)
	}
	wait(t, "all have asked", func() bool { return asked.Load() == clients }, time.Millisecond)
	close(s.gate)
	for _, conn := range conns {
		if p := readPage(t, conn); p.Recovered == nil || !*p.Recovered || len(p.Messages) != 50 || p.Seq != 100 {
			t.Fatalf("%+v", p)
		}
	}
	if n := s.reads.Load(); n > clients/10 {
		t.Errorf("%d clients made %d reads", clients, n)
	}
}

// Who is so slow that the log trims what it has still to be given is told, and
// goes on from the newest messages.
func TestTrimmedWhileReplaying(t *testing.T) {
	s := &shelf{epoch: "E", head: 50_000, data: `"` + strings.Repeat("x", 400) + `"`}
	url, _ := serveShelf(t, s, nil)
	conn := dial(t, url)
	resume(t, conn, "E", 0)
	first := readPage(t, conn)
	if !*first.Recovered {
		t.Fatalf("%+.200v", first)
	}
	s.mu.Lock()
	s.tail = 49_990
	s.mu.Unlock()
	for want := first.Seq + 1; ; want++ {
		p := readPage(t, conn)
		if p.Type == "message" && p.Seq == want {
			continue
		}
		if p.Type != "subscribed" || p.Recovered == nil || *p.Recovered || p.Seq != 50_000 || len(p.Messages) != 10 || p.Messages[0].Seq != 49_991 {
			t.Errorf("%d: %+v", want, p)
		}
		return
	}
}

// Members of a channel that the log begins anew are told so, and get what is in
// its new life.
func TestChannelBeginsAnew(t *testing.T) {
	s := &shelf{epoch: "E", head: 7, data: `"x"`}
	between := &broker.Memory{}
	url, _ := serveShelf(t, s, func(o *ws.Options) { o.Broker = between })
	conn := dial(t, url)
	resume(t, conn, "E", 7)
	if p := readPage(t, conn); !*p.Recovered || p.Seq != 7 {
		t.Fatalf("%+v", p)
	}
	s.mu.Lock()
	s.epoch, s.head = "F", 2 // another node has forgotten it, and used it again
	s.mu.Unlock()
	hint := ws.Envelope{Channel: "room:1", Position: ws.Position{Epoch: "F", Seq: 2}, Payload: []byte(`{"type":"message","seq":2}`)}
	if err := between.Publish(t.Context(), hint); err != nil {
		t.Fatal(err)
	}
	if p := readPage(t, conn); p.Type != "subscribed" || p.Recovered == nil || *p.Recovered || p.Epoch != "F" || p.Seq != 0 {
		t.Errorf("%+v", p)
	}
	for want := int64(1); want <= 2; want++ {
		if p := readPage(t, conn); p.Type != "message" || p.Seq != want {
			t.Errorf("%+v, want message %d", p, want)
		}
	}
	// Its old place is worth nothing there.
	again := dial(t, url)
	resume(t, again, "E", 2)
	if p := readPage(t, again); p.Recovered == nil || *p.Recovered || p.Epoch != "F" || p.Seq != 2 || len(p.Messages) != 2 {
		t.Errorf("%+v", p)
	}
}

// What a node is told of late, or not at all, it reads from the log.
func TestBrokerOnlyHints(t *testing.T) {
	s := &shelf{epoch: "E", head: 7, data: `"x"`}
	between := &broker.Memory{}
	url, _ := serveShelf(t, s, func(o *ws.Options) { o.Broker = between })
	conn := dial(t, url)
	send(t, conn, `{"type":"subscribe","channel":"room:1"}`)
	if p := readPage(t, conn); p.Recovered != nil || p.Epoch != "E" || p.Seq != 7 {
		t.Fatalf("%+v", p)
	}
	s.mu.Lock()
	s.head = 400
	s.mu.Unlock()
	for _, seq := range []int64{9, 8, 300, 9} { // late, twice, and most of them not at all
		hint := ws.Envelope{Channel: "room:1", Position: ws.Position{Epoch: "E", Seq: seq}, Payload: fmt.Appendf(nil, `{"type":"message","seq":%d}`, seq)}
		if err := between.Publish(t.Context(), hint); err != nil {
			t.Fatal(err)
		}
	}
	for want := int64(8); want <= 300; want++ {
		if p := readPage(t, conn); p.Type != "message" || p.Seq != want {
			t.Fatalf("%+v, want message %d", p, want)
		}
	}
}
