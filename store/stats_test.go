package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

// batches is an observer that remembers.
type batches struct {
	sizes []int
	times []time.Duration
}

func (b *batches) Committed(messages int, took time.Duration) {
	b.sizes, b.times = append(b.sizes, messages), append(b.times, took)
}

// Every transaction is told of with its messages, repeats included, and nothing
// waits when all is stored.
func TestLogStats(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		var seen batches
		l := d.start(t, store.LogOptions{Observer: &seen})
		if _, err := l.Open(context.Background(), "room:1"); err != nil { // makes the channel
			t.Fatal(err)
		}
		l.store(text("room:1", "x"))
		l.store(keyed("room:1", "alice", "k"))
		l.store(keyed("room:1", "alice", "k"))
		l.fill("room:1", 1000)
		if stats := l.Stats(); stats != (store.Stats{}) {
			t.Errorf("%+v", stats)
		}
		l.stop() // from here on nobody writes to seen
		sum, took := 0, time.Duration(0)
		for i, n := range seen.sizes {
			sum, took = sum+n, took+seen.times[i]
		}
		if len(seen.sizes) < 6 || seen.sizes[0] != 0 || seen.sizes[1] != 1 || sum != 1003 || took <= 0 {
			t.Errorf("batches of %v, %v in all", seen.sizes, took)
		}
	})
}

// What waits is counted while it does.
func TestLogStatsOfWhatWaits(t *testing.T) {
	d := newDatabase(t, "sqlite")
	blocked, goOn := make(chan struct{}), make(chan struct{})
	l := d.start(t, store.LogOptions{Observer: observerFunc(func(messages int, _ time.Duration) {
		if messages == 1 { // the first batch
			close(blocked)
			<-goOn
		}
	})})
	first := l.append(text("room:1", "x"))
	<-blocked
	second, third := l.append(text("room:1", "four")), l.append(text("room:1", "four"))
	if stats := l.Stats(); stats != (store.Stats{Queued: 2, QueuedBytes: 12}) { // with their quotation marks
		t.Errorf("%+v", stats)
	}
	close(goOn)
	for _, w := range []<-chan answer{first, second, third} {
		if a := <-w; a.err != nil {
			t.Error(a.err)
		}
	}
	l.Shutdown()
	if err := l.Append(text("room:1", "x"), func(ws.Receipt, error) {}); err == nil || l.Stats() != (store.Stats{}) {
		t.Errorf("%v, %+v", err, l.Stats())
	}
}

type observerFunc func(messages int, took time.Duration)

func (f observerFunc) Committed(messages int, took time.Duration) { f(messages, took) }
