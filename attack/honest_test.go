package attack_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

var attackFor = flag.Duration("attack.for", time.Second, "how long each flood lasts")

const (
	// quietFor is how long honest people are measured before a flood.
	quietFor = 500 * time.Millisecond
	// honestSenders talk at honestPace each, below limits.messages.
	honestSenders = 5
	honestPace    = 110 * time.Millisecond
	// maxMedian is what a message may take in the median under any attack; or
	// maxTimes as long as in quiet, where the machine has much else to do. It may
	// have few cores, and the attackers run on them too.
	maxMedian = 250 * time.Millisecond
	maxTimes  = 20
	// memoryPace is how often the server's memory is looked at.
	memoryPace = 20 * time.Millisecond
)

// honest are people who talk in a room while others attack.
type honest struct {
	s       *server
	senders []*peer
	hearing sync.WaitGroup

	mu    sync.Mutex // guards the rest
	last  int
	sent  map[int]time.Time // by number, of messages that have not come
	times []time.Duration   // that messages took
}

// honest people have an address each, and are all there.
func (s *server) honest() *honest {
	s.t.Helper()
	h := &honest{s: s, sent: make(map[int]time.Time)}
	s.t.Cleanup(h.hearing.Wait)
	reader := s.signUp("reader").connect()
	if f := reader.ask("subscribe", "channel", "room:calm"); f.str("type") != "subscribed" {
		s.t.Fatalf("%v", f)
	}
	h.hearing.Go(func() { h.hear(reader) })
	for i := range honestSenders {
		h.senders = append(h.senders, s.signUp(fmt.Sprint("honest", i)).connect())
	}
	return h
}

// hear ends with the reader's socket.
func (h *honest) hear(reader *peer) {
	for f := range reader.frames {
		if f.str("event") == "n" {
			n, _ := strconv.Atoi(f.str("data"))
			h.came(n)
		}
	}
}

func (h *honest) came(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sent, waits := h.sent[n]; waits {
		h.times = append(h.times, time.Since(sent))
		delete(h.sent, n)
	}
}

func (h *honest) goes() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.sent[h.last] = time.Now()
	return h.last
}

func (h *honest) waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sent)
}

// talk sends numbers, and drops what the sender is told.
func (h *honest) talk(ctx context.Context, p *peer) {
	pace := time.NewTicker(honestPace)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-p.frames:
			if !open {
				h.s.t.Errorf("%s is thrown out: %v", p.name, p.err)
				return
			}
		case <-pace.C:
			text := fmt.Appendf(nil, `{"type":"publish","channel":"room:calm","event":"n","data":%d}`, h.goes())
			if err := p.conn.WriteMessage(websocket.TextMessage, text); err != nil {
				h.s.t.Errorf("%s cannot send: %v", p.name, err)
				return
			}
		}
	}
}

// figures are how long messages took from being sent to being read, behind their
// commit.
type figures struct {
	messages, lost int
	median, worst  time.Duration
}

// during measures while do runs.
func (h *honest) during(do func(context.Context)) figures {
	h.s.t.Helper()
	ctx, stop := context.WithCancel(h.s.t.Context())
	var talking sync.WaitGroup
	for _, p := range h.senders {
		talking.Go(func() { h.talk(ctx, p) })
	}
	do(ctx)
	stop()
	talking.Wait()
	_ = poll(h.s.t.Context(), patience, func() bool { return h.waiting() == 0 })

	h.mu.Lock()
	defer h.mu.Unlock()
	slices.Sort(h.times)
	f := figures{messages: len(h.times), lost: len(h.sent)}
	if len(h.times) > 0 {
		f.median, f.worst = h.times[len(h.times)/2], h.times[len(h.times)-1]
	}
	clear(h.sent)
	h.times = nil
	return f
}

// siege plays an attack for a while. Honest people must hardly feel it, and the
// server's memory may grow by so many MiB at most. What the attack met is told by
// what it returns.
func (h *honest) siege(name string, grows int, attack func(ctx context.Context) *tally) *tally {
	t := h.s.t
	t.Helper()
	quiet := h.during(func(ctx context.Context) {
		select {
		case <-time.After(quietFor):
		case <-ctx.Done():
		}
	})
	before := h.s.memory()
	most, stop := h.s.peak()
	var met *tally
	under := h.during(func(ctx context.Context) {
		// No deadline: whoever connects would be told of it before ctx says so.
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer time.AfterFunc(*attackFor, cancel).Stop()
		met = attack(ctx)
	})
	stop()
	t.Logf("%s: median %s, worst %s (quiet: %s, %s); %d messages, %d lost; memory %d MiB, at most %d; the attack met %v",
		name, ms(under.median), ms(under.worst), ms(quiet.median), ms(quiet.worst), under.messages, under.lost, before, most(), met)
	switch {
	case under.lost > 0:
		t.Errorf("%d messages of honest people were lost", under.lost)
	case under.messages == 0 || under.median > max(maxMedian, maxTimes*quiet.median):
		t.Errorf("honest people got %d messages through, in %v in the median", under.messages, under.median)
	}
	if grown := most() - before; grown > grows {
		t.Errorf("the server's memory grew by %d MiB, want %d at most", grown, grows)
	}
	return met
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// peak watches the server's memory until stop, and gives the most that it was.
func (s *server) peak() (most func() int, stop func()) {
	peak := s.memory()
	end := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		pace := time.NewTicker(memoryPace)
		defer pace.Stop()
		for {
			select {
			case <-end:
				return
			case <-pace.C:
				peak = max(peak, s.memory())
			}
		}
	})
	return func() int { return peak }, func() { close(end); watching.Wait() }
}

// swarm runs attackers at the same time until ctx ends and each has noticed.
func swarm(ctx context.Context, attackers int, attack func(i int)) {
	var all sync.WaitGroup
	for i := range attackers {
		all.Go(func() {
			for ctx.Err() == nil {
				attack(i)
			}
		})
	}
	all.Wait()
}

// A siege without an attack is quiet: what the others measure is the attack's.
func TestNobodyAttacks(t *testing.T) {
	start(t).honest().siege("nobody", 16, func(ctx context.Context) *tally {
		<-ctx.Done()
		return &tally{}
	})
}
