package store_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

// What is trimmed makes room for what comes: the file stops growing.
func TestDiskUseReachesASteadyState(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	d := database{driver: "sqlite", open: func(tb testing.TB) *store.DB {
		db, err := store.OpenSQLite(context.Background(), dir)
		if err != nil {
			tb.Fatal(err)
		}
		return db
	}}
	var sizes []int64
	for range 3 {
		l := d.start(t, store.LogOptions{Now: c.now, History: keep(ws.History{Count: 200}), DedupeWindow: time.Minute})
		for range 3 {
			for _, channel := range []string{"room:1", "room:2", "room:3"} {
				l.fill(channel, 500)
			}
			c.advance(2 * time.Minute)
			eventually(t, "what is too much is trimmed", func() bool { return len(l.read("room:3", ws.Span{}).Messages) <= 232 })
		}
		l.stop() // which brings everything into the one file
		info, err := os.Stat(filepath.Join(dir, "gatecast.db"))
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	if sizes[2] > sizes[0]+sizes[0]/10 {
		t.Errorf("after 4,500, 9,000 and 13,500 messages the file has %d bytes", sizes)
	}
}
