package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

// What is stored is numbered 1, 2, 3 in each channel, comes back as it was, and
// is still there after a restart.
func TestLogKeepsWhatItAcks(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		c := newClock()
		l := d.start(t, store.LogOptions{Now: c.now})
		want := []ws.Message{
			text("room:1", "first"),
			{Channel: "room:1", Event: "picture", Binary: true, Data: []byte{0, 0xff, 0, '"'}, Key: "k", Sender: ws.Sender{UserID: "U", Username: "ả \"quoted\""}},
			{Channel: "room:1", Event: "empty", Binary: true, Data: []byte{}, Sender: ws.Sender{UserID: "U"}},
			{Channel: "room:1", Event: "json", Data: []byte(`{"a" : 1e400}`), Sender: ws.Sender{UserID: "U"}},
		}
		var epoch string
		for i := range want {
			c.advance(time.Second)
			r := l.store(want[i])
			want[i].Seq, want[i].Time = int64(i+1), c.now()
			if r.Seq != want[i].Seq || r.Epoch == "" || r.Duplicate || !r.Time.Equal(want[i].Time) {
				t.Errorf("receipt %d: %+v", i, r)
			}
			epoch = r.Epoch
		}
		if r := l.store(text("room:2", "x")); r.Seq != 1 || r.Epoch == epoch {
			t.Errorf("another channel: %+v", r)
		}
		for range 2 {
			page := l.read("room:1", ws.Span{})
			if page.Epoch != epoch || page.Head != 4 || page.Tail != 0 || page.More || len(page.Messages) != len(want) {
				t.Fatalf("page %+v", page)
			}
			for i, m := range page.Messages {
				if m.Seq != want[i].Seq || !m.Time.Equal(want[i].Time) || !bytes.Equal(m.Data, want[i].Data) || m.Binary != want[i].Binary ||
					m.Event != want[i].Event || m.Key != want[i].Key || m.Sender != want[i].Sender || m.Channel != "room:1" || m.Removed {
					t.Errorf("message %d: %+v, want %+v", i, m, want[i])
				}
			}
			l.stop()
			l = d.start(t, store.LogOptions{Now: c.now})
		}
		if r := l.store(text("room:1", "after")); r.Seq != 5 || r.Epoch != epoch {
			t.Errorf("after a restart: %+v", r)
		}
	})
}

func TestLogSpans(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		l := d.start(t, store.LogOptions{})
		l.fill("room:1", 10)
		for _, row := range []struct {
			span ws.Span
			want []int64
			more bool
		}{
			{ws.Span{Limit: 3}, []int64{1, 2, 3}, true},
			{ws.Span{After: 7, Limit: 3}, []int64{8, 9, 10}, false},
			{ws.Span{After: 7, Limit: 2}, []int64{8, 9}, true},
			{ws.Span{After: 3, Before: 6, Limit: 9}, []int64{4, 5}, false},
			{ws.Span{Before: 4, Limit: 2, Newest: true}, []int64{2, 3}, true},
			{ws.Span{Before: 4, Limit: 3, Newest: true}, []int64{1, 2, 3}, false},
			{ws.Span{Limit: 2, Newest: true}, []int64{9, 10}, true},
			{ws.Span{After: 8, Limit: 9, Newest: true}, []int64{9, 10}, false},
			{ws.Span{Limit: 9, Bytes: 7}, []int64{1, 2}, true}, // each has 3
			{ws.Span{Limit: 9, Bytes: 1}, []int64{1}, true},    // one at least
			{ws.Span{After: 10, Limit: 9}, []int64{}, false},
			{ws.Span{After: 99, Limit: 9}, []int64{}, false},
		} {
			page := l.read("room:1", row.span)
			if !slices.Equal(seqs(page), row.want) || page.More != row.more || page.Head != 10 {
				t.Errorf("%+v: %v more %v head %d, want %v more %v", row.span, seqs(page), page.More, page.Head, row.want, row.more)
			}
		}
		if page := l.read("room:unknown", ws.Span{}); page.Epoch != "" || page.Head != 0 || len(page.Messages) != 0 {
			t.Errorf("a channel that is not there: %+v", page)
		}
	})
}

// A repeated key of the same user in the same channel is the first message:
// later, within a batch, and after a restart.
func TestLogKeys(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		c := newClock()
		l := d.start(t, store.LogOptions{Now: c.now})
		first := l.store(keyed("room:1", "alice", "k"))
		c.advance(time.Minute)
		var waiting []<-chan answer
		for range 50 { // they share batches with others, and with each other
			waiting = append(waiting, l.append(keyed("room:1", "alice", "k")), l.append(keyed("room:1", "alice", "new")), l.append(text("room:1", "x")))
		}
		news := map[int64]bool{}
		for i, w := range waiting {
			a := <-w
			switch {
			case a.err != nil:
				t.Fatal(a.err)
			case i%3 == 0 && (a.receipt.Position != first.Position || !a.receipt.Duplicate || !a.receipt.Time.Equal(first.Time)):
				t.Errorf("the first again: %+v, want %+v", a.receipt, first)
			case i%3 == 1:
				news[a.receipt.Seq] = true
				if a.receipt.Duplicate != (i > 1) {
					t.Errorf("%d: %+v", i, a.receipt)
				}
			case i%3 == 2 && a.receipt.Duplicate:
				t.Errorf("without a key: %+v", a.receipt)
			}
		}
		if len(news) != 1 {
			t.Errorf("one key has the numbers %v", news)
		}
		if page := l.read("room:1", ws.Span{}); page.Head != 52 || len(page.Messages) != 52 {
			t.Errorf("%d messages up to %d", len(page.Messages), page.Head)
		}
		l.stop()
		l = d.start(t, store.LogOptions{Now: c.now})
		if r := l.store(keyed("room:1", "alice", "k")); !r.Duplicate || r.Position != first.Position {
			t.Errorf("after a restart: %+v", r)
		}
		for _, m := range []ws.Message{keyed("room:1", "bob", "k"), keyed("room:2", "alice", "k")} {
			if r := l.store(m); r.Duplicate {
				t.Errorf("another user or channel: %+v", r)
			}
		}
	})
}

// An epoch is fixed at the first Open or Append, also where many come at once.
func TestLogEpochs(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		l := d.start(t, store.LogOptions{})
		var wg sync.WaitGroup
		epochs := make([]string, 20)
		for i := range epochs {
			wg.Go(func() {
				at, err := l.Open(context.Background(), "room:1")
				if err != nil || at.Seq != 0 {
					t.Errorf("%+v %v", at, err)
				}
				epochs[i] = at.Epoch
			})
		}
		wg.Wait()
		if slices.Sort(epochs); epochs[0] == "" || epochs[0] != epochs[19] {
			t.Errorf("epochs %q", epochs)
		}
		if r := l.store(text("room:1", "x")); r.Epoch != epochs[0] || r.Seq != 1 {
			t.Errorf("%+v", r)
		}
		if at, err := l.Open(context.Background(), "room:1"); err != nil || at != (ws.Position{Epoch: epochs[0], Seq: 1}) {
			t.Errorf("%+v %v", at, err)
		}
	})
}

// Callbacks of one channel come in the order of its numbers, and many
// publishers leave no hole and no number twice.
func TestLogOrder(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		l := d.start(t, store.LogOptions{History: keep(ws.History{Age: time.Hour})})
		const publishers, each, channels = 8, 100, 5
		var mu sync.Mutex
		told := map[string][]int64{}
		var wg sync.WaitGroup
		for range publishers {
			wg.Add(each)
			go func() {
				for i := range each {
					m := text(fmt.Sprint("room:", rand.IntN(channels)), fmt.Sprint(i))
					if err := l.Append(m, func(r ws.Receipt, err error) {
						defer wg.Done()
						mu.Lock()
						defer mu.Unlock()
						told[m.Channel] = append(told[m.Channel], r.Seq)
						if err != nil {
							t.Error(err)
						}
					}); err != nil {
						t.Error(err)
						wg.Done()
					}
				}
			}()
		}
		wg.Wait()
		for channel, numbers := range told {
			for i, seq := range numbers {
				if seq != int64(i+1) {
					t.Fatalf("%s: told %v", channel, numbers)
				}
			}
			if got := seqs(l.read(channel, ws.Span{})); !slices.Equal(got, numbers) {
				t.Errorf("%s: holds %v", channel, got)
			}
		}
	})
}

// By count: a channel is trimmed with some slack, never inside the dedupe
// window, and its numbers go on.
func TestLogTrimsByCount(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		c := newClock()
		l := d.start(t, store.LogOptions{Now: c.now, History: keep(ws.History{Count: 50}), DedupeWindow: time.Minute})
		l.fill("room:1", 400)
		if page := l.read("room:1", ws.Span{}); page.Tail != 0 || len(page.Messages) != 400 {
			t.Fatalf("trimmed inside the window: tail %d, %d messages", page.Tail, len(page.Messages))
		}
		c.advance(2 * time.Minute)
		eventually(t, "50 are left", func() bool { return len(l.read("room:1", ws.Span{}).Messages) == 50 })
		if page := l.read("room:1", ws.Span{}); page.Tail != 350 || page.Messages[0].Seq != 351 || page.Head != 400 {
			t.Errorf("tail %d, first %d, head %d", page.Tail, page.Messages[0].Seq, page.Head)
		}
		// Steady use stays bounded without a look at the clock.
		for range 20 {
			l.fill("room:1", 40)
			c.advance(2 * time.Minute)
		}
		eventually(t, "it is bounded", func() bool { return len(l.read("room:1", ws.Span{}).Messages) <= 50+32+40 })
		if page := l.read("room:1", ws.Span{}); page.Head != 1200 || page.Messages[0].Seq != page.Tail+1 {
			t.Errorf("tail %d, first %d, head %d", page.Tail, page.Messages[0].Seq, page.Head)
		}
	})
}

// By age: old messages go, and when all have gone the numbers are still not
// given again, until the channel is forgotten.
func TestLogTrimsByAge(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		c := newClock()
		l := d.start(t, store.LogOptions{Now: c.now, History: keep(ws.History{Age: time.Hour}), ForgetAfter: 24 * time.Hour})
		l.fill("room:1", 250)
		c.advance(30 * time.Minute)
		l.fill("room:1", 10)
		c.advance(31 * time.Minute)
		eventually(t, "the old ones are gone", func() bool { return l.read("room:1", ws.Span{}).Tail == 250 })
		if page := l.read("room:1", ws.Span{}); len(page.Messages) != 10 || page.Messages[0].Seq != 251 {
			t.Errorf("%v", seqs(page))
		}
		c.advance(time.Hour)
		eventually(t, "all are gone", func() bool { return l.read("room:1", ws.Span{}).Tail == 260 })
		page := l.read("room:1", ws.Span{})
		if len(page.Messages) != 0 || page.Head != 260 {
			t.Errorf("%v up to %d", seqs(page), page.Head)
		}
		l.stop()
		l = d.start(t, store.LogOptions{Now: c.now, History: keep(ws.History{Age: time.Hour}), ForgetAfter: 24 * time.Hour})
		if r := l.store(text("room:1", "again")); r.Seq != 261 || r.Epoch != page.Epoch {
			t.Errorf("after all were gone: %+v", r)
		}
		// A message that began an empty channel goes in its time too.
		c.advance(2 * time.Hour)
		eventually(t, "the last is gone", func() bool { return l.read("room:1", ws.Span{}).Tail == 261 })
	})
}

// What is kept by rules that have changed since goes in the end.
func TestLogFollowsChangedRules(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		c := newClock()
		for i, h := range []ws.History{{Count: 10}, {Age: 24 * time.Hour}, {}} {
			channel := fmt.Sprint("room:", i)
			l := d.start(t, store.LogOptions{Now: c.now, History: keep(ws.History{Count: 1000}), ForgetAfter: 1000 * time.Hour})
			l.fill(channel, 40)
			l.stop()
			l = d.start(t, store.LogOptions{Now: c.now, History: keep(h), ForgetAfter: 1000 * time.Hour})
			c.advance(25 * time.Hour)
			want := int64(40)
			if h.Count > 0 {
				want = 30
			}
			eventually(t, fmt.Sprintf("%+v holds", h), func() bool { return l.read(channel, ws.Span{}).Tail == want })
			l.stop()
		}
	})
}

// A channel in which nothing is kept and nobody is, is forgotten; used again, it
// is another one.
func TestLogForgetsChannels(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		c := newClock()
		l := d.start(t, store.LogOptions{Now: c.now, History: keep(ws.History{Age: time.Hour}), ForgetAfter: 24 * time.Hour})
		unused, err := l.Open(context.Background(), "room:unused")
		if err != nil {
			t.Fatal(err)
		}
		l.Close("room:unused")
		occupied, err := l.Open(context.Background(), "room:occupied")
		if err != nil {
			t.Fatal(err)
		}
		used := l.store(text("room:used", "x"))
		c.advance(2 * time.Hour)
		eventually(t, "its message is gone", func() bool { return l.read("room:used", ws.Span{}).Tail == 1 })
		c.advance(25 * time.Hour)
		eventually(t, "the two are forgotten", func() bool {
			return l.read("room:used", ws.Span{}).Epoch == "" && l.read("room:unused", ws.Span{}).Epoch == ""
		})
		if at, err := l.Open(context.Background(), "room:occupied"); err != nil || at != occupied {
			t.Errorf("where somebody is: %+v %v, want %+v", at, err, occupied)
		}
		if r := l.store(text("room:used", "x")); r.Seq != 1 || r.Epoch == used.Epoch {
			t.Errorf("used again: %+v, was %+v", r, used)
		}
		if at, err := l.Open(context.Background(), "room:unused"); err != nil || at.Epoch == unused.Epoch {
			t.Errorf("opened again: %+v %v", at, err)
		}
	})
}

// More than may wait is refused at once, and nothing that was taken is lost.
func TestLogIsBusy(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		for _, opts := range []store.LogOptions{{Queue: 4}, {QueueBytes: 40}} {
			l := d.start(t, opts)
			taken, busy := 0, 0
			var wg sync.WaitGroup
			for range 2000 {
				wg.Add(1)
				switch err := l.Append(text("room:1", "0123456789"), func(_ ws.Receipt, err error) {
					defer wg.Done()
					if err != nil {
						t.Error(err)
					}
				}); {
				case err == nil:
					taken++
				case errors.Is(err, ws.ErrBusy):
					busy++
					wg.Done()
				default:
					t.Fatal(err)
				}
			}
			wg.Wait()
			if taken == 0 || busy == 0 {
				t.Errorf("%+v: %d taken, %d busy", opts, taken, busy)
			}
			big := text("room:2", string(bytes.Repeat([]byte("x"), 1000)))
			if r := l.store(big); r.Seq == 0 { // alone, it may be larger than what may wait
				t.Errorf("%+v", r)
			}
			l.stop()
		}
	})
}

// What was taken before a shutdown is stored; what comes later is refused.
func TestLogShutdown(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		l := d.start(t, store.LogOptions{})
		var waiting []<-chan answer
		for range 1000 {
			waiting = append(waiting, l.append(text("room:1", "x")))
		}
		l.Shutdown()
		for _, w := range waiting {
			if a := <-w; a.err != nil {
				t.Fatal(a.err)
			}
		}
		if err := l.Append(text("room:1", "x"), nil); !errors.Is(err, ws.ErrUnavailable) {
			t.Errorf("after the shutdown: %v", err)
		}
	})
}

// One message that the database cannot take fails alone.
func TestLogPoison(t *testing.T) {
	d := newDatabase(t, "postgres")
	l := d.start(t, store.LogOptions{})
	var waiting []<-chan answer
	for i := range 100 {
		m := text("room:1", "x")
		if i == 37 {
			m.Sender.Username = "nul\x00"
		}
		waiting = append(waiting, l.append(m))
	}
	for i, w := range waiting {
		if a := <-w; (a.err != nil) != (i == 37) {
			t.Errorf("message %d: %v", i, a.err)
		}
	}
	if got := seqs(l.read("room:1", ws.Span{})); len(got) != 99 || got[98] != 99 {
		t.Errorf("holds %v", got)
	}
	if err := l.Err(); err != nil {
		t.Errorf("the log is held to be broken: %v", err)
	}
	if failed := l.Stats().Failed; failed != 1 {
		t.Errorf("%d messages are counted as failed", failed)
	}
}

// Two nodes write to the same channels: no hole, no number twice, one order, and
// a key is one message on both.
func TestLogTwoNodes(t *testing.T) {
	d := newDatabase(t, "postgres")
	nodes := []*testLog{d.start(t, store.LogOptions{}), d.start(t, store.LogOptions{})}
	const each = 300
	var wg sync.WaitGroup
	for _, l := range nodes {
		for i := range each {
			wg.Add(2)
			for _, m := range []ws.Message{text(fmt.Sprint("room:", i%3), "x"), keyed("room:keys", "alice", fmt.Sprint(i))} {
				if err := l.Append(m, func(_ ws.Receipt, err error) {
					defer wg.Done()
					if err != nil {
						t.Error(err)
					}
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// A reader that follows the tail meets no hole that is filled later.
	var seen int64
	for seen < 2*each/3 {
		for _, seq := range seqs(nodes[0].read("room:0", ws.Span{After: seen})) {
			if seq != seen+1 {
				t.Fatalf("%d follows %d", seq, seen)
			}
			seen = seq
		}
	}
	wg.Wait()
	for channel, want := range map[string]int{"room:0": 2 * each / 3, "room:1": 2 * each / 3, "room:keys": each} {
		if got := seqs(nodes[1].read(channel, ws.Span{})); len(got) != want || got[want-1] != int64(want) {
			t.Errorf("%s holds %d messages up to %d, want %d", channel, len(got), got[len(got)-1], want)
		}
	}
}

// Messages of a deleted account lose their name or all but their place, also
// those that its last token publishes meanwhile.
func TestLogErasesDeletedAccounts(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		for _, remove := range []bool{false, true} {
			c := newClock()
			l := d.start(t, store.LogOptions{Now: c.now, History: keep(ws.History{Age: 24 * time.Hour})})
			user, channel := fmt.Sprint("ID", remove), fmt.Sprint("room:", remove)
			if err := l.db.CreateAccount(t.Context(), auth.Account{ID: user, Username: user, CreatedAt: c.now()}); err != nil {
				t.Fatal(err)
			}
			var last <-chan answer
			for i := range 4500 { // more than one step
				m := text(channel, "of others")
				if i%3 == 0 {
					m = keyed(channel, user, fmt.Sprint(i))
				}
				last = l.append(m)
			}
			<-last
			ending := auth.Ending{AccountID: user, At: c.now(), TokensEnd: c.now().Add(time.Hour)}
			if _, err := l.db.DeleteAccount(t.Context(), remove, ending); err != nil {
				t.Fatal(err)
			}
			if _, err := l.db.DeleteAccount(t.Context(), remove, ending); !errors.Is(err, auth.ErrNotFound) {
				t.Errorf("again: %v", err)
			}
			if _, err := l.db.AccountByID(t.Context(), user); !errors.Is(err, auth.ErrNotFound) {
				t.Errorf("the account: %v", err)
			}
			gone := func(from int64) bool {
				for _, m := range l.read(channel, ws.Span{After: from - 1}).Messages {
					if m.Sender.UserID == user {
						return false
					}
				}
				return true
			}
			eventually(t, "its messages are gone through", func() bool { return gone(1) })
			late := l.store(keyed(channel, user, "late"))
			c.advance(2 * time.Hour)
			eventually(t, "the late one too", func() bool { return gone(late.Seq) })
			for i, m := range l.read(channel, ws.Span{}).Messages {
				mine := i%3 == 0 || m.Seq == late.Seq
				if m.Seq != int64(i+1) || m.Removed != (mine && remove) || mine && (m.Sender != ws.Sender{} || m.Key != "") ||
					(len(m.Data) > 0) == (mine && remove) || !mine && m.Sender.Username != "alice" {
					t.Fatalf("message %d: %+v", i, m)
				}
			}
			l.stop()
		}
	})
}

func TestLogLists(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		l := d.start(t, store.LogOptions{})
		for _, channel := range []string{"room:b", "room:a", "room:B", "lobby", "user:1", "rooms"} {
			l.store(text(channel, "last in "+channel))
		}
		if _, err := l.Open(t.Context(), "room:c"); err != nil {
			t.Fatal(err)
		}
		ranges := []ws.NameRange{{From: "lobby", To: "lobby\x01"}, {From: "room:", To: "room;"}}
		names := func(after string, limit int) (got []string) {
			list, more, err := l.List(t.Context(), ws.ListQuery{Ranges: ranges, After: after, Limit: limit})
			if err != nil || more != (limit < 5) {
				t.Fatalf("more %v, %v", more, err)
			}
			for _, info := range list {
				got = append(got, info.Name)
				switch {
				case info.Epoch == "":
					t.Errorf("%+v", info)
				case info.Name == "room:c":
					if info.Seq != 0 || info.Last != nil {
						t.Errorf("empty: %+v", info)
					}
				case info.Seq != 1 || info.Last == nil || string(info.Last.Data) != fmt.Sprintf("%q", "last in "+info.Name):
					t.Errorf("%+v", info)
				}
			}
			return got
		}
		if got := names("", 10); !slices.Equal(got, []string{"lobby", "room:B", "room:a", "room:b", "room:c"}) {
			t.Errorf("all: %q", got)
		}
		if got := names("", 2); !slices.Equal(got, []string{"lobby", "room:B"}) {
			t.Errorf("a page: %q", got)
		}
		if got := names("room:B", 2); !slices.Equal(got, []string{"room:a", "room:b"}) {
			t.Errorf("the next: %q", got)
		}
		if list, more, err := l.List(t.Context(), ws.ListQuery{Ranges: ranges[1:], Limit: 10, Bytes: 40}); err != nil || !more || len(list) != 2 {
			t.Errorf("40 bytes of messages: %d channels, more %v, %v", len(list), more, err)
		}
	})
}
