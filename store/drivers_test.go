package store_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/store/storetest"
	"github.com/gatecast/gatecast/ws"
)

// postgres is the one server of this package's tests, started by the first that
// needs it.
var postgres struct {
	once   sync.Once
	server *storetest.Postgres
	err    error
}

func startPostgres(tb testing.TB) *storetest.Postgres {
	tb.Helper()
	postgres.once.Do(func() { postgres.server, postgres.err = storetest.StartPostgres(context.Background()) })
	if postgres.err != nil {
		tb.Skip("no PostgreSQL: ", postgres.err)
	}
	return postgres.server
}

// stopPostgres ends the package's tests.
func stopPostgres(code int) {
	if postgres.server != nil {
		if err := postgres.server.Stop(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// database is one that tests can open again and again.
type database struct {
	driver string
	open   func(testing.TB) *store.DB // closed by whoever opens it
}

func newDatabase(tb testing.TB, driver string) database {
	tb.Helper()
	d := database{driver: driver}
	var open func() (*store.DB, error)
	if driver == "sqlite" {
		dir := tb.TempDir()
		open = func() (*store.DB, error) { return store.OpenSQLite(context.Background(), dir) }
	} else {
		dsn, err := startPostgres(tb).NewDatabase(context.Background())
		if err != nil {
			tb.Fatal(err)
		}
		open = func() (*store.DB, error) { return store.OpenPostgres(context.Background(), dsn) }
	}
	d.open = func(tb testing.TB) *store.DB {
		tb.Helper()
		db, err := open()
		if err != nil {
			tb.Fatal(err)
		}
		return db
	}
	return d
}

// eachDriver runs a test on every database.
func eachDriver(t *testing.T, test func(*testing.T, database)) {
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			test(t, newDatabase(t, driver))
		})
	}
}

// clock is what a log under test takes for the time.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(1_700_000_000_000)
	return c
}

func (c *clock) now() time.Time                 { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration)        { c.ms.Add(d.Milliseconds()) }
func keep(h ws.History) func(string) ws.History { return func(string) ws.History { return h } }

// testLog is a Log with its database.
type testLog struct {
	*store.Log
	t  testing.TB
	db *store.DB
}

// start opens the database and a log in it, which end with the test or stop.
func (d database) start(tb testing.TB, opts store.LogOptions) *testLog {
	tb.Helper()
	if opts.History == nil {
		opts.History = keep(ws.History{Count: 1000})
	}
	if opts.DedupeWindow == 0 {
		opts.DedupeWindow = 5 * time.Minute
	}
	if opts.ForgetAfter == 0 {
		opts.ForgetAfter = time.Hour
	}
	l := &testLog{t: tb, db: d.open(tb)}
	l.Log = store.NewLog(l.db, opts)
	tb.Cleanup(l.stop)
	return l
}

func (l *testLog) stop() {
	l.Shutdown()
	if err := l.db.Close(); err != nil {
		l.t.Error(err)
	}
}

// answer is what became of a message.
type answer struct {
	receipt ws.Receipt
	err     error
}

// append queues m and gives what will hold its answer.
func (l *testLog) append(m ws.Message) <-chan answer {
	l.t.Helper()
	done := make(chan answer, 1)
	if err := l.Append(m, func(r ws.Receipt, err error) { done <- answer{r, err} }); err != nil {
		l.t.Fatal(err)
	}
	return done
}

// store stores m and gives its receipt.
func (l *testLog) store(m ws.Message) ws.Receipt {
	l.t.Helper()
	a := <-l.append(m)
	if a.err != nil {
		l.t.Fatal(a.err)
	}
	return a.receipt
}

// fill stores n messages in a channel.
func (l *testLog) fill(channel string, n int) {
	l.t.Helper()
	var last <-chan answer
	for i := range n {
		last = l.append(text(channel, fmt.Sprint(i)))
	}
	if a := <-last; a.err != nil {
		l.t.Fatal(a.err)
	}
}

// read gives a page.
func (l *testLog) read(channel string, span ws.Span) ws.Page {
	l.t.Helper()
	if span.Limit == 0 {
		span.Limit = 100_000
	}
	page, err := l.Read(context.Background(), channel, span)
	if err != nil {
		l.t.Fatal(err)
	}
	return page
}

// seqs are the numbers of a page's messages.
func seqs(page ws.Page) []int64 {
	numbers := []int64{}
	for _, m := range page.Messages {
		numbers = append(numbers, m.Seq)
	}
	return numbers
}

// text is a message with that text as its data.
func text(channel, data string) ws.Message {
	return ws.Message{
		Channel: channel, Event: "message", Data: fmt.Appendf(nil, "%q", data),
		Sender: ws.Sender{ClientID: "C", UserID: "U", Username: "alice"},
	}
}

// keyed is a message of a user with a key.
func keyed(channel, user, key string) ws.Message {
	m := text(channel, key)
	m.Key, m.Sender.UserID = key, user
	return m
}

// eventually polls until ok holds. The log looks after its channels once a
// second.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(20 * time.Second); !ok(); {
		select {
		case <-ticker.C:
		case <-deadline:
			tb.Fatalf("never happens: %s", what)
		}
	}
}
