package ws

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	wire "github.com/gobwas/ws"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
)

func benchMessage() Message {
	return Message{
		Channel: "room:42", Event: TypeChat, Data: []byte(`"` + strings.Repeat("xin chào ", 25) + `"`), Key: "0001-00000042",
		Sender: Sender{ClientID: "AAAAAAAAAAAAAAAAAAAAAAAAAA", UserID: "USERAAAAAAAAAAAAAAAAAAAAAA", Username: "alice"},
		Seq:    123_456, Time: time.UnixMilli(1_800_000_000_000),
	}
}

// BenchmarkEncode is what a chat message costs once, however many get it.
func BenchmarkEncode(b *testing.B) {
	m := benchMessage()
	b.ReportAllocs()
	for b.Loop() {
		m.frame()
	}
}

// benchPublish is a client's frame with 256 bytes of data.
func benchPublish() []byte {
	return fmt.Appendf(nil, `{"type":"publish","id":10000042,"channel":"room:42","key":"0001-00000042","data":{"p":%q}}`, strings.Repeat("x", 248))
}

// BenchmarkParse is what all types of frames have in common.
func BenchmarkParse(b *testing.B) {
	raw := benchPublish()
	var parser frameParser
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := parser.parse(wire.OpText, raw); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReceive is all that a publish costs but for the log and the socket,
// from the bytes of the frame to those of the ack.
func BenchmarkReceive(b *testing.B) {
	raw := benchPublish()
	var log benchLog
	s := benchSession(benchHub(b, &log))
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		s.receive(wire.OpText, raw)
		s.shard.cycle()
	}
	if log.seq != int64(b.N) {
		b.Errorf("%d of %d were published", log.seq, b.N)
	}
}

// BenchmarkPublish is a stored message's way from the hub to every member's
// connection.
func BenchmarkPublish(b *testing.B) {
	for _, members := range []int{1, 10, 1000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) { benchmarkPublish(b, members) })
	}
}

func benchmarkPublish(b *testing.B, members int) {
	h := benchHub(b, &benchLog{})
	sessions := make([]*Session, members)
	for i := range sessions {
		sessions[i] = benchSession(h)
		if err := sessions[i].subscribe(context.Background(), subscription{Channel: "room:42"}); err != nil {
			b.Fatal(err)
		}
	}
	claims, p := auth.Claims{Subject: "1", Role: auth.RoleUser}, publication{Message: benchMessage()}
	b.ReportAllocs()
	for b.Loop() {
		if err := h.publish(context.Background(), claims, p, func(Receipt, error) {}); err != nil {
			b.Fatal(err)
		}
		for _, sh := range h.shards { // as its worker does
			sh.cycle()
		}
	}
}

func benchHub(b *testing.B, log Log) *Hub {
	everyone := []string{auth.RoleUser}
	rules, err := NewRules(map[string]Rule{"room:*": {
		Allow:   map[Action][]string{ActionSubscribe: everyone, ActionPublish: everyone},
		History: History{Count: 100},
	}})
	if err != nil {
		b.Fatal(err)
	}
	h, err := NewHub(Options{
		Rules: rules, Broker: &benchBroker{}, Log: log,
		PingInterval: time.Minute, PingTimeout: time.Second, WriteTimeout: time.Second, CloseTimeout: time.Second,
	})
	if err != nil {
		b.Fatal(err)
	}
	h.cancel()
	h.working.Wait() // the benchmark does the workers' part
	b.Cleanup(func() { _ = h.Shutdown(context.Background()) })
	return h
}

// benchSession has no connection: what it is sent is counted and gone.
func benchSession(h *Hub) *Session {
	s := newSession(h.shards[int(h.next.Add(1))%len(h.shards)], Entry{
		Bearer:  auth.NewBearer(auth.Claims{Subject: "1", Username: "alice", Role: auth.RoleUser}),
		Limiter: ratelimit.NewLimiter(nil, ratelimit.Rate{}, ratelimit.Rate{}),
	})
	s.conn, s.blocked = &sink{}, false
	return s
}

// sink takes everything.
type sink struct{ bytes int }

func (s *sink) Write(p []byte) (int, error) { s.bytes += len(p); return len(p), nil }
func (*sink) CloseWrite()                   {}
func (*sink) Close(bool)                    {}

// benchLog numbers messages and keeps none.
type benchLog struct {
	Log
	seq int64
}

func (l *benchLog) Append(_ Message, done func(Receipt, error)) error {
	l.seq++
	done(Receipt{Position: Position{Epoch: "E", Seq: l.seq}, Time: time.UnixMilli(1_800_000_000_000)}, nil)
	return nil
}

func (l *benchLog) Open(context.Context, string) (Position, error) {
	return Position{Epoch: "E", Seq: l.seq}, nil
}

func (l *benchLog) Close(string) {}

// benchBroker is for one hub.
type benchBroker struct{ deliver func(Envelope) }

func (b *benchBroker) Publish(_ context.Context, e Envelope) error {
	b.deliver(e)
	return nil
}

func (b *benchBroker) Subscribe(deliver func(Envelope)) (stop func()) {
	b.deliver = deliver
	return func() {}
}
