package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast/auth"
)

var (
	churnClients = flag.Int("churn.clients", 300, "clients of TestChurn")
	churnFor     = flag.Duration("churn.for", 4*time.Second, "how long the clients of TestChurn come and go")
	churnSeed    = flag.Uint64("churn.seed", 1, "what the clients of TestChurn do follows from it; when, from the machine too")
	churnBeat    = flag.Duration("churn.beat", 2*time.Millisecond, "the time between two things that the clients of TestChurn do, all taken together")
)

// churnLimit is the time within which the server closes who stops reading: the
// interval of pings, the wait for an answer and for a goodbye, and some for a
// machine that has much else to do.
const churnLimit = 20 * time.Second

func churnFlags() []string {
	const everyone = `subscribe: [user, service], publish: [user], read: [user], presence: [user, service]`
	return []string{
		"--namespaces={lobby: {" + everyone + "}, \"live:*\": {" + everyone + "}, \"room:*\": {" + everyone + ", history: {count: 1000000}}, \"short:*\": {" + everyone + ", history: {count: 20}}}",
		"--log.dedupe-window=50ms", "--limits.connections-per-user=0", "--limits.queue-bytes=262144", "--presence.detail-max=30",
		"--socket.ping-interval=7s", "--socket.ping-timeout=6s", "--socket.write-timeout=4s", "--socket.close-timeout=5s",
	}
}

// C8, L8: clients join, publish, leave, stall, vanish and come back. Each gets
// what is meant for it, in order and whole, and nothing else; and when they have
// gone, nothing of them is left.
func TestChurnIsExactC8L8(t *testing.T) {
	warmUp(t)
	descriptors, others := openDescriptors(), append(lasting(), goleak.IgnoreCurrent())
	s := start(t, churnFlags()...)
	w := newChurn(t, s)
	since := time.Now()
	w.run()
	w.crew.verify(s)
	took := time.Since(since)
	eventually(t, "nobody is there", func() bool { return s.presence("lobby") == 0 })
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if !s.logged(`"msg":"stopped","sockets":0,"slots":0,"limiters":0`) {
		t.Errorf("something was not given back: %s", s.lastLog())
	}
	if err := goleak.Find(others...); err != nil {
		t.Error(err)
	}
	eventually(t, "the descriptors are those of the start", func() bool { return openDescriptors() <= descriptors })
	t.Logf("%d clients, %v: %v", *churnClients, took.Round(time.Millisecond), w.seen)
}

// warmUp opens what the runtime keeps once it has used the network.
func warmUp(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
}

// openDescriptors is 0 where the system does not tell.
func openDescriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// churn is the clients of a test and what they have seen.
type churn struct {
	// static after construction
	t        *testing.T
	s        *server
	crew     *crew // reads the channels at the end, and holds them against what clients were told
	channels []string
	clients  []*churner
	stop     chan struct{}

	mu   sync.Mutex // guards the rest
	seen map[string]int
}

func newChurn(t *testing.T, s *server) *churn {
	w := &churn{t: t, s: s, stop: make(chan struct{}), seen: make(map[string]int)}
	var kept []string
	for i := range 1 + *churnClients/50 {
		kept = append(kept, fmt.Sprint("room:", i))
		w.channels = append(w.channels, fmt.Sprint("room:", i), fmt.Sprint("live:", i))
		if i%2 == 0 {
			kept = append(kept, fmt.Sprint("short:", i))
			w.channels = append(w.channels, fmt.Sprint("short:", i))
		}
	}
	w.crew = newCrew(t, 0, kept...)
	issuer := s.issuer(auth.TokenOptions{Issuer: "gatecast", Audience: "gatecast", TTL: time.Hour})
	for i := range *churnClients {
		name := fmt.Sprint("user", i*3/4) // some have two connections
		token, _, err := issuer.Issue(auth.Account{ID: "ID-" + name, Username: name, Role: auth.RoleUser}, "session")
		if err != nil {
			t.Fatal(err)
		}
		w.clients = append(w.clients, newChurner(w, fmt.Sprint("c", i), name, token, rand.New(rand.NewPCG(*churnSeed, uint64(i)))))
	}
	return w
}

// run is from the first client's coming to the last one's going.
func (w *churn) run() {
	var all sync.WaitGroup
	for _, c := range w.clients {
		all.Go(c.run)
	}
	<-time.After(*churnFor)
	close(w.stop)
	all.Wait()
}

func (w *churn) stopped() bool {
	select {
	case <-w.stop:
		return true
	default:
		return false
	}
}

func (w *churn) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[what]++
}

// wrong notes what must not be; crew.verify reports it.
func (w *churn) wrong(format string, args ...any) {
	l := w.crew.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}
