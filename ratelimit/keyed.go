package ratelimit

import (
	"container/list"
	"hash/maphash"
	"sync"
	"time"
)

// Options of a Keyed.
type Options struct {
	// Rates are the buckets of every key.
	Rates []Rate
	// Capacity is how many keys have a Limiter of their own at most. Keys
	// beyond it share a small fixed set. Zero means DefaultCapacity.
	Capacity int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

const (
	// DefaultCapacity is the number of keys a Keyed remembers by default, at
	// a few hundred bytes each.
	DefaultCapacity = 100_000

	// sharedLimiters is how many Limiters stand in for the keys over capacity.
	sharedLimiters = 256
	// evictLook is how many idle keys a new key looks at, to forget those
	// that have refilled; over one, so that the map shrinks.
	evictLook = 4
)

// Keyed gives every key a Limiter. It forgets a key only once its buckets have
// refilled, so that being forgotten never pays; when it is full of keys that
// have not, a new key shares a Limiter with others like it. It is safe for
// concurrent use.
type Keyed struct {
	// static after construction
	opts Options
	seed maphash.Seed

	mu      sync.Mutex // guards the rest
	entries map[string]*entry
	idle    *list.List // of *entry without references, the next to be looked at in the back
	held    int        // references given out and not released
	shared  [sharedLimiters]*Limiter
}

type entry struct {
	key     string
	limiter *Limiter
	refs    int
	place   *list.Element // in Keyed.idle; nil while referenced
}

// NewKeyed makes an empty Keyed.
func NewKeyed(opts Options) *Keyed {
	if opts.Capacity == 0 {
		opts.Capacity = DefaultCapacity
	}
	return &Keyed{
		opts:    opts,
		seed:    maphash.MakeSeed(),
		entries: make(map[string]*entry),
		idle:    list.New(),
	}
}

// Acquire gives key's one Limiter and keeps it until release is called. All
// who hold the key at the same time hold the same Limiter.
func (k *Keyed) Acquire(key string) (l *Limiter, release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.entries[key]
	if e == nil {
		if e = k.insert(key); e == nil {
			return k.sharedFor(key), func() {}
		}
	}
	if e.place != nil {
		k.idle.Remove(e.place)
		e.place = nil
	}
	e.refs++
	k.held++
	return e.limiter, sync.OnceFunc(func() { k.release(e) })
}

func (k *Keyed) release(e *entry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held--
	if e.refs--; e.refs == 0 {
		e.place = k.idle.PushFront(e)
	}
}

// insert makes key's entry, or answers nil when there is no room.
func (k *Keyed) insert(key string) *entry {
	k.evict()
	if len(k.entries) >= k.opts.Capacity {
		return nil
	}
	e := &entry{key: key, limiter: k.newLimiter()}
	k.entries[key] = e
	return e
}

// evict looks at idle keys in turn, so that a few that refill slowly do not stand
// before all the others.
func (k *Keyed) evict() {
	for range min(evictLook, k.idle.Len()) {
		place := k.idle.Back()
		e := place.Value.(*entry)
		if !e.limiter.full() {
			k.idle.MoveToFront(place)
			continue
		}
		k.idle.Remove(place)
		delete(k.entries, e.key)
	}
}

func (k *Keyed) sharedFor(key string) *Limiter {
	i := maphash.String(k.seed, key) % sharedLimiters
	if k.shared[i] == nil {
		k.shared[i] = k.newLimiter()
	}
	return k.shared[i]
}

func (k *Keyed) newLimiter() *Limiter { return NewLimiter(k.opts.Now, k.opts.Rates...) }

// Len is how many keys are remembered.
func (k *Keyed) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.entries)
}

// Held is how many acquired Limiters have not been released.
func (k *Keyed) Held() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held
}
