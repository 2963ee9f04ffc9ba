package auth

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// Revocation says that access tokens are not good any more, however long they
// say that they are.
type Revocation struct {
	Number    int64  // of its place in the store, from 1 on
	Mark      string // the session that they are of (`sid`), or one token's own ID (`jti`)
	ExpiresAt time.Time
}

// RevocationStore is where all nodes write down what they revoke.
type RevocationStore interface {
	// Revocations are those with numbers above after that have not expired at
	// now, by number. One may become visible later than one with a higher number.
	Revocations(ctx context.Context, after int64, now time.Time) ([]Revocation, error)
	// Revoke writes one down.
	Revoke(ctx context.Context, r Revocation) error
}

// RevocationOptions of Revocations.
type RevocationOptions struct {
	Poll   time.Duration    // time between two looks at what other nodes revoked
	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil means time.Now
}

// Revocations are the revoked tokens that would otherwise be good. They are kept
// in memory, where each request looks: sessions that ended here at once, those
// that ended elsewhere after Poll. While the store does not answer, what is known
// stays. It is safe for concurrent use.
type Revocations struct {
	// static after construction
	store RevocationStore
	opts  RevocationOptions
	wake  chan struct{} // holds one: there is something to tell of

	// owned by Load, then by poll
	tail    revocationTail
	sweepAt time.Time

	mu     sync.RWMutex // guards the rest
	until  map[string]time.Time
	untold []string // marks that Watch has not told of
}

// NewRevocations makes Revocations that know of none: see Load.
func NewRevocations(store RevocationStore, opts RevocationOptions) *Revocations {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Revocations{store: store, opts: opts, wake: make(chan struct{}, 1), until: make(map[string]time.Time)}
}

// Revoked tells whether a token that says this has been revoked.
func (r *Revocations) Revoked(c Claims) bool {
	if r == nil {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.until) == 0 {
		return false
	}
	_, session := r.until[c.SessionID]
	_, token := r.until[c.ID]
	return session || token
}

// RevokeToken revokes one token by its ID, on all nodes. expires is when it would
// have ended by itself.
func (r *Revocations) RevokeToken(ctx context.Context, id string, expires time.Time) error {
	revocation := Revocation{Mark: id, ExpiresAt: expires}
	if err := r.store.Revoke(ctx, revocation); err != nil {
		return err
	}
	r.add([]Revocation{revocation})
	return nil
}

func (r *Revocations) add(list []Revocation) {
	if len(list) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, revocation := range list {
		r.insert(revocation)
	}
}

// insert is add for one; the caller holds mu.
func (r *Revocations) insert(revocation Revocation) {
	mark := revocation.Mark
	if _, known := r.until[mark]; !known && mark != "" {
		r.until[mark] = revocation.ExpiresAt
		r.untold = append(r.untold, mark)
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// Load reads what has been revoked so far. It must succeed before tokens are
// taken.
func (r *Revocations) Load(ctx context.Context) error { return r.read(ctx) }

// Watch reads what other nodes revoke, until ctx ends, and calls ended once for
// each batch of new revocations with a test for who they are about, after Revoked
// tells of them. A store that hangs keeps nobody waiting for what was revoked
// here.
func (r *Revocations) Watch(ctx context.Context, ended func(about func(Claims) bool)) {
	var reading sync.WaitGroup
	defer reading.Wait()
	reading.Go(func() { r.poll(ctx) })
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		if batch := r.take(); len(batch) > 0 {
			ended(func(c Claims) bool { return batch[c.SessionID] || batch[c.ID] })
		}
	}
}

// readTimeout bounds one look at the store.
const readTimeout = 5 * time.Second

// poll reads again and again, and logs where that begins or ceases to fail.
func (r *Revocations) poll(ctx context.Context) {
	ticker := time.NewTicker(r.opts.Poll)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		bound, cancel := context.WithTimeout(ctx, readTimeout)
		err := r.read(bound)
		cancel()
		if failing != (err != nil) && ctx.Err() == nil {
			failing = !failing
			r.logChange(err)
		}
	}
}

func (r *Revocations) logChange(err error) {
	if err != nil {
		r.opts.Logger.Error("what other nodes revoke cannot be read", "error", err)
	} else {
		r.opts.Logger.Info("what other nodes revoke is read again")
	}
}

func (r *Revocations) read(ctx context.Context) error {
	now := r.opts.Now()
	list, err := r.store.Revocations(ctx, r.tail.from(now), now)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, revocation := range list {
		r.insert(revocation)
		r.tail.saw(revocation.Number)
	}
	if now.After(r.sweepAt) {
		r.sweepAt = now.Add(sweepEvery)
		maps.DeleteFunc(r.until, func(_ string, until time.Time) bool { return now.After(until) })
	}
	return nil
}

// sweepEvery is how often revocations of tokens that have ended are forgotten.
const sweepEvery = time.Minute

// take gives what ended is to be told of.
func (r *Revocations) take() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := make(map[string]bool, len(r.untold))
	for _, mark := range r.untold {
		batch[mark] = true
	}
	r.untold = nil
	return batch
}

// lateness is how long after a number was seen one below it can still become
// visible: longer than any transaction takes. Until then it is read again.
const lateness = time.Minute

// revocationTail is how far the store has been read.
type revocationTail struct {
	last    int64     // the highest number seen
	settled int64     // what was last a lateness ago, or before: nothing below it can still appear
	next    int64     // what becomes settled
	nextAt  time.Time // when next was last
}

// from is the number behind which to read.
func (t *revocationTail) from(now time.Time) int64 {
	if now.Sub(t.nextAt) > lateness {
		t.settled, t.next, t.nextAt = t.next, t.last, now
	}
	return t.settled
}

func (t *revocationTail) saw(number int64) { t.last = max(t.last, number) }
