package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast/ws"
)

var _ ws.Log = (*Log)(nil)

// LogOptions of a Log.
type LogOptions struct {
	History      func(channel string) ws.History // what is kept; required
	DedupeWindow time.Duration                   // nothing younger is trimmed
	ForgetAfter  time.Duration                   // life of a channel in which nothing is kept any more and nobody is
	Queue        int                             // messages that wait to be stored; 0 means DefaultQueue
	QueueBytes   int                             // bytes of them; 0 means DefaultQueueBytes
	Observer     Observer                        // nil is told nothing
	Logger       *slog.Logger                    // nil discards
	Now          func() time.Time                // nil means time.Now
}

// Bounds of a Log's intake by default.
const (
	DefaultQueue      = 8192     // messages
	DefaultQueueBytes = 32 << 20 // bytes of their data
)

const (
	// batchMessages and batchBytes bound one transaction.
	batchMessages = 512
	batchBytes    = 4 << 20
	// batchTimeout bounds one try to store a batch in a database that is asked
	// over a connection.
	batchTimeout = 5 * time.Second
	// hangs is how long a batch takes to fail in a database that hangs.
	hangs = time.Second
	// tick is how often the writer looks for work that nobody sent.
	tick = time.Second
	// closeTimeout bounds the storing of what waits when the Log is closed.
	closeTimeout = 10 * time.Second
)

// Log is the channels' log in a DB. One goroutine writes: it takes what has
// queued up, stores it in one transaction, and hands it to another goroutine
// that tells the publishers while the next batch is stored. It is safe for
// concurrent use.
type Log struct {
	// static after construction
	db      *DB
	append  appender
	opts    LogOptions
	intake  chan *entry
	stored  chan []*entry // committed or failed, for tellLoop
	stop    chan struct{} // closed by Shutdown
	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup

	queued  atomic.Int64  // bytes in intake
	failed  atomic.Uint64 // messages
	writing health
	reading health

	mu     sync.Mutex // guards the rest
	closed bool
	open   map[string]int // by channel: how many Opens keep it from being forgotten

	// owned by writeLoop
	upkeep upkeep
}

// entry is one thing that waits for the writer.
type entry struct {
	message ws.Message
	opens   bool // only the channel is wanted
	done    func(ws.Receipt, error)

	// set by the appender
	receipt ws.Receipt
	err     error
}

// appender stores batches in one database. It is owned by writeLoop.
type appender interface {
	// append stores a batch in one transaction and fills in the receipts. It
	// reports what is to be looked after in upkeep. An error tells that nothing
	// is stored, unless it is ws.ErrUnknown.
	append(ctx context.Context, now time.Time, batch []*entry, u *upkeep) error
	// forget drops what is remembered of a channel that is no more.
	forget(channel string)
}

// NewLog starts the log of a database. Shutdown ends it, before the database is
// closed.
func NewLog(db *DB, opts LogOptions) *Log {
	opts.Queue = cmp.Or(opts.Queue, DefaultQueue)
	opts.QueueBytes = cmp.Or(opts.QueueBytes, DefaultQueueBytes)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	l := &Log{
		db: db, append: db.driver.newAppend(db.log), opts: opts,
		intake: make(chan *entry, opts.Queue), stored: make(chan []*entry, 1), stop: make(chan struct{}),
		open: make(map[string]int),
	}
	l.writing = health{logger: opts.Logger, broken: "messages cannot be stored", mended: "messages are stored again"}
	l.reading = health{logger: opts.Logger, broken: "messages cannot be read", mended: "messages are read again"}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.upkeep = upkeep{log: l, due: make(map[int64]string)}
	l.workers.Go(l.writeLoop)
	l.workers.Go(l.tellLoop)
	return l
}

// Append implements ws.Log.
func (l *Log) Append(m ws.Message, done func(ws.Receipt, error)) error {
	return l.enqueue(&entry{message: m, done: done})
}

func (l *Log) enqueue(e *entry) error {
	size := int64(len(e.message.Data))
	if l.queued.Add(size) > int64(l.opts.QueueBytes) && size < l.queued.Load() {
		l.queued.Add(-size)
		return ws.ErrBusy
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		l.queued.Add(-size)
		return fmt.Errorf("%w: it is closed", ws.ErrUnavailable)
	}
	select {
	case l.intake <- e:
		return nil
	default:
		l.queued.Add(-size)
		return ws.ErrBusy
	}
}

// Err tells why messages cannot be stored now; nil where they can.
func (l *Log) Err() error { return l.writing.err() }

// Shutdown stores what waits, tells the publishers, and stops. Appends that come
// later fail.
func (l *Log) Shutdown() {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if first {
		close(l.stop)
		defer time.AfterFunc(closeTimeout, l.cancel).Stop()
	}
	l.workers.Wait()
	l.cancel()
}

func (l *Log) writeLoop() {
	defer close(l.stored)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case e := <-l.intake:
			l.storeAll(l.collect(e))
			l.upkeep.afterBatch()
		case <-ticker.C:
			l.upkeep.onTick()
		case <-l.stop:
			l.storeRest()
			return
		}
	}
}

// storeRest stores what was queued before the stop.
func (l *Log) storeRest() {
	for {
		select {
		case e := <-l.intake:
			l.storeAll(l.collect(e))
		default:
			return
		}
	}
}

// collect takes what has queued up behind first, as far as one batch goes.
func (l *Log) collect(first *entry) []*entry {
	batch := make([]*entry, 1, min(batchMessages, 1+len(l.intake)))
	batch[0] = first
	size := len(first.message.Data)
	for len(batch) < batchMessages && size < batchBytes {
		select {
		case e := <-l.intake:
			batch = append(batch, e)
			size += len(e.message.Data)
			continue
		default:
		}
		break
	}
	l.queued.Add(-int64(size))
	return batch
}

// storeAll stores a batch and hands it on to be told. Where the database hangs,
// those who wait are told at once: their own try would come after the tries of
// all before them, each as long as this one.
func (l *Log) storeAll(batch []*entry) {
	since := time.Now()
	l.store(batch)
	l.stored <- batch
	if err := l.writing.err(); err != nil && time.Since(since) > hangs {
		l.refuseWaiting(err)
	}
}

// refuseWaiting refuses what is queued now, for the reason that another batch
// failed for. What became of that one is not said of these, which were not tried.
func (l *Log) refuseWaiting(reason error) {
	err := fmt.Errorf("%w: the database hangs: %v", ws.ErrUnavailable, reason)
	for n := len(l.intake); n > 0; {
		batch := l.collect(<-l.intake)
		l.refuse(batch, err)
		l.stored <- batch
		n -= len(batch)
	}
}

// store stores a batch. One message that the database cannot take fails the
// whole transaction, so halves are tried until it stands alone.
func (l *Log) store(batch []*entry) {
	since := time.Now()
	err := l.try(batch)
	if isPoison(err) && len(batch) > 1 {
		half := len(batch) / 2
		l.store(batch[:half])
		l.store(batch[half:])
		return
	}
	if err == nil {
		l.writing.mend()
		l.observe(batch, time.Since(since))
		return
	}
	if !isPoison(err) {
		l.writing.fail(fmt.Errorf("store: %v", err)) // no publisher's error: this one is about the database
	}
	if !errors.Is(err, ws.ErrUnknown) {
		err = fmt.Errorf("%w: %w", ws.ErrUnavailable, err)
	}
	l.refuse(batch, err)
}

// refuse says of a batch why it is not stored.
func (l *Log) refuse(batch []*entry, err error) {
	for _, e := range batch {
		e.err = err
	}
	l.failed.Add(uint64(messages(batch)))
}

func (l *Log) try(batch []*entry) error {
	ctx, cancel := l.db.bound(l.ctx, batchTimeout)
	defer cancel()
	return l.append.append(ctx, l.opts.Now(), batch, &l.upkeep)
}

// isPoison tells whether an error is about what was to be stored, and not about
// the database.
func isPoison(err error) bool { return isSQLitePoison(err) || isPostgresPoison(err) }

// tellLoop tells publishers what became of their messages.
func (l *Log) tellLoop() {
	for batch := range l.stored {
		for _, e := range batch {
			if e.err != nil {
				e.receipt = ws.Receipt{}
			}
			e.done(e.receipt, e.err)
		}
	}
}

// Open implements ws.Log.
func (l *Log) Open(ctx context.Context, channel string) (ws.Position, error) {
	l.mu.Lock()
	l.open[channel]++ // before the look, so that it is not forgotten behind it
	l.mu.Unlock()
	position, err := l.find(ctx, channel)
	if err != nil {
		l.Close(channel)
	}
	return position, err
}

func (l *Log) find(ctx context.Context, channel string) (ws.Position, error) {
	place, err := l.db.place(ctx, channel)
	if err == nil {
		return ws.Position{Epoch: place.epoch, Seq: place.head}, nil
	}
	if !errors.Is(err, errNoChannel) {
		return ws.Position{}, l.noteRead(ctx, err)
	}
	type outcome struct {
		receipt ws.Receipt
		err     error
	}
	made := make(chan outcome, 1)
	e := &entry{message: ws.Message{Channel: channel}, opens: true, done: func(r ws.Receipt, err error) { made <- outcome{r, err} }}
	if err := l.enqueue(e); err != nil {
		return ws.Position{}, err
	}
	select {
	case o := <-made:
		return o.receipt.Position, o.err
	case <-ctx.Done():
		return ws.Position{}, ctx.Err()
	}
}

// Close implements ws.Log.
func (l *Log) Close(channel string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[channel]--; l.open[channel] == 0 {
		delete(l.open, channel)
	}
}

// isOpen tells whether somebody is in a channel.
func (l *Log) isOpen(channel string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open[channel] > 0
}
