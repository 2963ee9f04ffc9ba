package ws_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/broker"
	"github.com/gatecast/gatecast/ratelimit"
	"github.com/gatecast/gatecast/ws"
	"github.com/gatecast/gatecast/ws/netpoll"
)

const (
	joinDetail = 200             // DetailMax
	joinSpan   = 5 * time.Second // in which all users join
)

// Many different users join one channel. What they are sent in all grows as
// their number does: each is told of each up to detail_max, a cost that does not
// grow any more, and beyond it everyone is sent a page and a summary a second.
func TestJoinsCostInLine(t *testing.T) {
	cost := make(map[int]traffic)
	for _, users := range []int{500, 1000, 2000} {
		synctest.Test(t, func(t *testing.T) {
			lobby := openLobby(t)
			for i := range users {
				lobby.join(i)
				time.Sleep(joinSpan / time.Duration(users))
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			cost[users] = lobby.traffic()
			lobby.close()
		})
		c := cost[users]
		t.Logf("%d users: %d frames and %d bytes, %.1f and %.0f each", users, c.frames, c.bytes, float64(c.frames)/float64(users), float64(c.bytes)/float64(users))
		if each := joinDetail * (joinDetail - 1) / 2; c.singles != each {
			t.Errorf("%d users: %d frames about one user, want %d", users, c.singles, each)
		}
		if most := users * int(2+joinSpan/time.Second); c.summaries > most || c.summaries < users {
			t.Errorf("%d users: %d summaries", users, c.summaries)
		}
	}
	few, many := cost[1000].minus(cost[500]), cost[2000].minus(cost[1000])
	if many.frames > 5*few.frames/2 || many.bytes > 5*few.bytes/2 {
		t.Errorf("500 users more cost %+v, then 1000 more %+v", few, many)
	}
}

// BenchmarkJoins is how much is sent when so many different users join one
// channel as fast as they can, until each has been told of all.
func BenchmarkJoins(b *testing.B) {
	for _, users := range []int{500, 1000, 2000, 5000} {
		b.Run(fmt.Sprint(users), func(b *testing.B) {
			var sum traffic
			for b.Loop() {
				lobby := openLobby(b)
				for i := range users {
					lobby.join(i)
				}
				lobby.awaitCount(users)
				sum = sum.plus(lobby.traffic())
				lobby.close()
			}
			each := float64(b.N) * float64(users)
			b.ReportMetric(float64(sum.frames)/each, "frames/user")
			b.ReportMetric(float64(sum.bytes)/each, "bytes/user")
		})
	}
}

// lobby is a hub and the connections to it.
type lobby struct {
	t       testing.TB
	hub     *ws.Hub
	serving sync.WaitGroup
	sinks   []*sink
}

func openLobby(t testing.TB) *lobby {
	everyone := []string{auth.RoleUser}
	rules, err := ws.NewRules(map[string]ws.Rule{"lobby": {Allow: map[ws.Action][]string{ws.ActionSubscribe: everyone, ws.ActionPresence: everyone}}})
	if err != nil {
		t.Fatal(err)
	}
	hub, err := ws.NewHub(ws.Options{
		Rules: rules, Broker: &broker.Memory{}, AutoSubscribe: []string{"lobby"}, DetailMax: joinDetail, Poller: netpoll.Goroutines(),
		PingInterval: time.Hour, PingTimeout: time.Second, WriteTimeout: time.Minute, CloseTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &lobby{t: t, hub: hub}
}

func (l *lobby) join(user int) {
	conn := &sink{closed: make(chan struct{})}
	l.sinks = append(l.sinks, conn)
	l.serving.Go(func() {
		l.hub.Serve(conn, ws.Entry{
			// As long as the server's own IDs.
			Bearer:  auth.NewBearer(auth.Claims{Subject: fmt.Sprintf("USER%022d", user), Username: fmt.Sprint("username", user), Role: auth.RoleUser}),
			Limiter: ratelimit.NewLimiter(nil, ratelimit.Rate{}, ratelimit.Rate{}),
		})
	})
}

// awaitCount waits until everyone has been told that so many are there.
func (l *lobby) awaitCount(users int) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	told := fmt.Appendf(nil, `{"type":"presence","channel":"lobby","count":%d,`, users)
	for _, s := range l.sinks {
		for deadline := time.After(time.Minute); !s.wasTold(told); {
			select {
			case <-tick.C:
			case <-deadline:
				l.t.Fatalf("not everyone is told that %d are there", users)
			}
		}
	}
}

func (l *lobby) traffic() (sum traffic) {
	for _, s := range l.sinks {
		sum = sum.plus(s.heard(l.t))
	}
	return sum
}

func (l *lobby) close() {
	for _, s := range l.sinks {
		_ = s.Close()
	}
	l.serving.Wait()
	if err := l.hub.Shutdown(l.t.Context()); err != nil {
		l.t.Error(err)
	}
}

// traffic is what was sent.
type traffic struct {
	frames, bytes      int
	singles, summaries int // frames about one user, and about those of a second
}

func (t traffic) plus(u traffic) traffic {
	return traffic{t.frames + u.frames, t.bytes + u.bytes, t.singles + u.singles, t.summaries + u.summaries}
}

func (t traffic) minus(u traffic) traffic {
	return traffic{t.frames - u.frames, t.bytes - u.bytes, t.singles - u.singles, t.summaries - u.summaries}
}

// sink is a connection whose client never says a word, and keeps what it is sent.
type sink struct {
	net.Conn // nil: what is not here is not called
	once     sync.Once
	closed   chan struct{}

	mu   sync.Mutex // guards the rest
	sent []byte
}

func (s *sink) Read([]byte) (int, error) {
	<-s.closed
	return 0, io.EOF
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, p...)
	return len(p), nil
}

func (s *sink) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *sink) SetDeadline(time.Time) error      { return nil }
func (s *sink) SetReadDeadline(time.Time) error  { return nil }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

func (s *sink) wasTold(text []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Contains(s.sent, text)
}

// heard counts the frames that came.
func (s *sink) heard(t testing.TB) (sum traffic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rest := s.sent; len(rest) > 0; {
		head, size := 2, int(rest[1])
		switch size {
		case 126:
			head, size = 4, int(binary.BigEndian.Uint16(rest[2:]))
		case 127:
			head, size = 10, int(binary.BigEndian.Uint64(rest[2:]))
		}
		payload := rest[head : head+size]
		sum.frames, sum.bytes = sum.frames+1, sum.bytes+head+size
		switch {
		case bytes.HasPrefix(payload, []byte(`{"type":"user_joined"`)):
			sum.singles++
		case bytes.HasPrefix(payload, []byte(`{"type":"presence"`)):
			sum.summaries++
		case !bytes.HasPrefix(payload, []byte(`{"type":"`)):
			t.Fatalf("no frame: %.60q", payload)
		}
		rest = rest[head+size:]
	}
	return sum
}
