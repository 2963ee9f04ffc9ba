package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// crewFlags set no limit to how fast a crew works. What it publishes in room:*
// is all kept; short:* is trimmed all the time.
func crewFlags() []string {
	const everyone = `subscribe: [user, service, admin], publish: [user, service, admin], read: [user, service, admin], presence: [user]`
	return []string{
		"--limits.handshakes.rate=0", "--limits.messages.rate=0", "--limits.bytes.rate=0", "--limits.connections-per-address=0", "--auto-subscribe=",
		`--namespaces={"room:*": {` + everyone + `, history: {count: 1000000}}, "short:*": {` + everyone + `, history: {count: 100}}}`,
		"--log.dedupe-window=50ms",
	}
}

func isWhole(channel string) bool { return strings.HasPrefix(channel, "room:") }

// spot is where a message is.
type spot struct {
	channel string
	seq     int64
}

// ledger is what clients have been told is stored.
type ledger struct {
	mu    sync.Mutex
	acked map[string]spot // by key
	taken map[spot]string // key of whoever was told to be there
	wrong []string
	lost  int
	twice int
}

func newLedger() *ledger { return &ledger{acked: make(map[string]spot), taken: make(map[spot]string)} }

// ack notes what a publisher was told.
func (l *ledger) ack(key string, at spot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, again := l.acked[key]; again && before != at {
		l.wrong = append(l.wrong, fmt.Sprintf("%s was acked at %v and at %v", key, before, at))
	}
	l.acked[key] = at
	l.take(key, at)
}

// seen notes what a subscriber was sent.
func (l *ledger) seen(key string, at spot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.take(key, at)
}

func (l *ledger) take(key string, at spot) {
	if before, taken := l.taken[at]; taken && before != key {
		l.wrong = append(l.wrong, fmt.Sprintf("%v is the place of %s and of %s", at, before, key))
	}
	l.taken[at] = key
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// snapshot is what is acked now.
func (l *ledger) snapshot() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &ledger{acked: maps.Clone(l.acked), taken: maps.Clone(l.taken)}
}

// stored is a message as a channel holds it.
type stored struct {
	Seq  int64
	Key  string
	Data string
}

// compare holds a channel against what clients were told of it.
func (l *ledger) compare(channel string, got []stored) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := int64(1)
	if !isWhole(channel) && len(got) > 0 {
		first = got[0].Seq
	}
	times := make(map[string]int, len(got))
	for i, m := range got {
		if m.Seq != first+int64(i) {
			l.wrong = append(l.wrong, fmt.Sprintf("message %d of %s has number %d", first+int64(i), channel, m.Seq))
			return
		}
		if m.Data != m.Key {
			l.wrong = append(l.wrong, fmt.Sprintf("%s in %s holds %q", m.Key, channel, m.Data))
		}
		if times[m.Key]++; times[m.Key] == 2 {
			l.twice++
			l.wrong = append(l.wrong, fmt.Sprintf("%s is twice in %s", m.Key, channel))
		}
	}
	for at, key := range l.taken {
		if at.channel != channel || at.seq < first {
			continue
		}
		if i := at.seq - first; i >= int64(len(got)) || got[i].Key != key {
			l.lost++
			l.wrong = append(l.wrong, fmt.Sprintf("%s is not at %v", key, at))
		}
	}
}

// report fails the test where something was wrong.
func (l *ledger) report(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, wrong := range l.wrong {
		if i == 10 {
			t.Errorf("and %d more", len(l.wrong)-i)
			break
		}
		t.Error(wrong)
	}
	l.wrong = nil
}

// publisher is a client that sends messages with keys, several at a time, and
// sends what is not acked again, over another socket where it must.
type publisher struct {
	name     string
	channels []string
	ledger   *ledger
	tally    *tally
	stop     <-chan struct{} // closed: nothing new

	sent int
	open []letter // not acked yet; no longer than window
}

const window = 4

type letter struct{ key, channel string }

// tally counts what publishers are told.
type tally struct {
	mu      sync.Mutex
	refused map[string]int // error frames by code
	resent  int            // over another socket
	found   int            // of them: were stored the first time
}

func (t *tally) count(f func(*tally)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t)
}

func (t *tally) refusals() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, times := range t.refused {
		n += times
	}
	return n
}

// run publishes until the socket ends, which is an error, or there is nothing
// new and all is acked.
func (p *publisher) run(conn *websocket.Conn) error {
	again := make(map[string]bool)
	for _, letter := range p.open {
		again[letter.key] = true
		p.tally.count(func(t *tally) { t.resent++ })
		if err := p.send(conn, letter); err != nil {
			return err
		}
	}
	for {
		if err := p.fill(conn); err != nil || len(p.open) == 0 {
			return err
		}
		var f struct {
			Type, ID, Channel, Code string
			Seq                     int64
			Duplicate               bool
		}
		if err := conn.ReadJSON(&f); err != nil {
			return err
		}
		switch f.Type {
		case "ack":
			p.ledger.ack(f.ID, spot{f.Channel, f.Seq})
			p.open = slices.DeleteFunc(p.open, func(l letter) bool { return l.key == f.ID })
			if again[f.ID] && f.Duplicate {
				p.tally.count(func(t *tally) { t.found++ })
			}
		case "error":
			p.tally.count(func(t *tally) { t.refused[f.Code]++ })
			if err := p.retry(conn, f.ID); err != nil {
				return err
			}
		}
	}
}

// fill sends new messages until the window is full.
func (p *publisher) fill(conn *websocket.Conn) error {
	for len(p.open) < window {
		select {
		case <-p.stop:
			return nil
		default:
		}
		p.sent++
		l := letter{fmt.Sprintf("%s-%d", p.name, p.sent), p.channels[p.sent%len(p.channels)]}
		p.open = append(p.open, l)
		if err := p.send(conn, l); err != nil {
			return err
		}
	}
	return nil
}

// retry sends what was refused once more, after as little time as a client
// should take.
func (p *publisher) retry(conn *websocket.Conn, key string) error {
	i := slices.IndexFunc(p.open, func(l letter) bool { return l.key == key })
	if i < 0 {
		return fmt.Errorf("%s: an error for %q, which is not open", p.name, key)
	}
	<-time.After(20 * time.Millisecond)
	return p.send(conn, p.open[i])
}

func (p *publisher) send(conn *websocket.Conn, l letter) error {
	return conn.WriteJSON(map[string]any{"type": "publish", "id": l.key, "key": l.key, "channel": l.channel, "data": l.key})
}

// crew is publishers and one subscriber, at work on a server.
type crew struct {
	t        *testing.T
	channels []string
	ledger   *ledger
	tally    *tally
	members  []*publisher
	stop     chan struct{}
	ended    atomic.Int32 // sockets that did not last until they were to end

	conns   []*websocket.Conn
	working sync.WaitGroup // publishers
	looking sync.WaitGroup // the subscriber
}

func newCrew(t *testing.T, size int, channels ...string) *crew {
	c := &crew{t: t, channels: channels, ledger: newLedger(), tally: &tally{refused: make(map[string]int)}, stop: make(chan struct{})}
	for i := range size {
		c.members = append(c.members, &publisher{name: fmt.Sprint("p", i), channels: channels, ledger: c.ledger, tally: c.tally, stop: c.stop})
	}
	return c
}

// begin connects everyone and lets them work.
func (c *crew) begin(s *server) {
	c.t.Helper()
	c.conns = nil
	watcher := c.dial(s, "watcher")
	for _, channel := range c.channels {
		if err := watcher.WriteJSON(map[string]string{"type": "subscribe", "channel": channel}); err != nil {
			c.t.Fatal(err)
		}
	}
	c.looking.Go(func() { c.watch(watcher) })
	for _, p := range c.members {
		conn := c.dial(s, p.name)
		c.working.Go(func() {
			if err := p.run(conn); err != nil {
				c.ended.Add(1)
			}
		})
	}
}

func (c *crew) dial(s *server, name string) *websocket.Conn {
	c.t.Helper()
	conn, a := s.upgrade("/ws", "Authorization", "Bearer "+s.token(name))
	if conn == nil {
		c.t.Fatalf("handshake: %d %s", a.status, a.body)
	}
	c.conns = append(c.conns, conn)
	c.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// watch notes what a subscriber is sent, until its socket ends.
func (c *crew) watch(conn *websocket.Conn) {
	for {
		var f struct {
			Type, Channel, Key string
			Seq                int64
		}
		if conn.ReadJSON(&f) != nil {
			return
		}
		if f.Type == "message" {
			c.ledger.seen(f.Key, spot{f.Channel, f.Seq})
		}
	}
}

// gone waits until the server's end has ended everyone's socket.
func (c *crew) gone() {
	c.working.Wait()
	c.looking.Wait()
}

// finish lets the publishers come to an end, with everything acked.
func (c *crew) finish() {
	c.t.Helper()
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	done := make(chan struct{})
	go func() {
		c.working.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		c.t.Error("what was sent is not all acked")
	}
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.gone()
}

// more waits until n more messages are acked.
func (c *crew) more(n int) {
	c.t.Helper()
	before := c.ledger.count()
	eventually(c.t, fmt.Sprint(n, " more messages are acked"), func() bool { return c.ledger.count() >= before+n })
}

// verify reads every channel and compares.
func (c *crew) verify(s *server) {
	c.t.Helper()
	for channel, messages := range c.read(s) {
		c.ledger.compare(channel, messages)
	}
	c.ledger.report(c.t)
}

// read gives what every channel holds.
func (c *crew) read(s *server) map[string][]stored {
	c.t.Helper()
	conn := c.dial(s, "reader")
	defer func() { _ = conn.Close() }()
	all := make(map[string][]stored)
	for _, channel := range c.channels {
		all[channel] = c.readChannel(conn, channel)
	}
	return all
}

func (c *crew) readChannel(conn *websocket.Conn, channel string) (all []stored) {
	c.t.Helper()
	for after, more := int64(0), true; more; {
		var page struct {
			Type, Code string
			More       bool
			Messages   []stored
		}
		c.ask(conn, map[string]any{"type": "history", "id": 1, "channel": channel, "after": after, "limit": 100}, &page)
		if page.Type != "history" {
			c.t.Fatalf("reading %s behind %d: %s %s", channel, after, page.Type, page.Code)
		}
		more = page.More
		if n := len(page.Messages); n > 0 {
			if strings.HasPrefix(channel, "short:") && page.Messages[0].Seq != after+1 {
				all = nil // trimmed between two pages
			}
			after = page.Messages[n-1].Seq
		}
		all = append(all, page.Messages...)
	}
	return all
}

// epochs are the births of the channels.
func (c *crew) epochs(s *server) map[string]string {
	c.t.Helper()
	conn := c.dial(s, "reader")
	defer func() { _ = conn.Close() }()
	epochs := make(map[string]string)
	for _, channel := range c.channels {
		var f struct{ Type, Epoch string }
		c.ask(conn, map[string]any{"type": "subscribe", "id": 1, "channel": channel}, &f)
		if f.Type != "subscribed" || f.Epoch == "" {
			c.t.Fatalf("subscribing to %s: %+v", channel, f)
		}
		epochs[channel] = f.Epoch
	}
	return epochs
}

// ask sends a frame with the id 1 and reads the answer to it.
func (c *crew) ask(conn *websocket.Conn, frame map[string]any, answer any) {
	c.t.Helper()
	if err := conn.WriteJSON(frame); err != nil {
		c.t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	for {
		_, data, err := conn.ReadMessage()
		if err != nil {
			c.t.Fatalf("%v: %v", frame, err)
		}
		var id struct{ ID int }
		if json.Unmarshal(data, &id) == nil && id.ID == 1 {
			if err := json.Unmarshal(data, answer); err != nil {
				c.t.Fatal(err)
			}
			return
		}
	}
}
