package ratelimit

import (
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
	// 150 bytes or so each.
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
	terms    *terms
	capacity int
	seed     maphash.Seed

	mu       sync.Mutex // guards the rest
	limiters map[string]*Limiter
	idle     idleList
	held     int // Limiters acquired and not released
	shared   [sharedLimiters]*Limiter
}

// place is where a Limiter is in a Keyed.
type place struct {
	key        string
	holders    int
	next, prev *Limiter // in the list of the idle ones; nil while there are holders
}

// NewKeyed makes an empty Keyed.
func NewKeyed(opts Options) *Keyed {
	if opts.Capacity == 0 {
		opts.Capacity = DefaultCapacity
	}
	return &Keyed{
		terms:    newTerms(opts.Now, opts.Rates),
		capacity: opts.Capacity,
		seed:     maphash.MakeSeed(),
		limiters: make(map[string]*Limiter),
		idle:     newIdleList(),
	}
}

// Acquire gives key's one Limiter and keeps it until it is released. All who hold
// the key at the same time hold the same Limiter. The key is kept.
func (k *Keyed) Acquire(key string) *Limiter {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.limiters[key]
	if l == nil {
		if l = k.insert(key); l == nil {
			return k.sharedFor(key)
		}
	} else if l.place.holders == 0 {
		k.idle.remove(l)
	}
	l.place.holders++
	k.held++
	return l
}

// Release gives back what Acquire gave. Each Limiter acquired is given back with
// one Release.
func (k *Keyed) Release(l *Limiter) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.place.holders == 0 {
		return // it is one that keys over capacity share
	}
	k.held--
	if l.place.holders--; l.place.holders == 0 {
		k.idle.pushFront(l)
	}
}

// insert makes key's Limiter, or answers nil when there is no room.
func (k *Keyed) insert(key string) *Limiter {
	k.evict()
	if len(k.limiters) >= k.capacity {
		return nil
	}
	l := &Limiter{terms: k.terms, place: place{key: key}}
	k.limiters[key] = l
	return l
}

// evict looks at idle keys in turn, so that a few that refill slowly do not stand
// before all the others.
func (k *Keyed) evict() {
	for range evictLook {
		l := k.idle.back()
		if l == nil {
			return
		}
		k.idle.remove(l)
		if l.full() {
			delete(k.limiters, l.place.key)
		} else {
			k.idle.pushFront(l)
		}
	}
}

func (k *Keyed) sharedFor(key string) *Limiter {
	i := maphash.String(k.seed, key) % sharedLimiters
	if k.shared[i] == nil {
		k.shared[i] = &Limiter{terms: k.terms}
	}
	return k.shared[i]
}

// Len is how many keys are remembered.
func (k *Keyed) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.limiters)
}

// Held is how many acquired Limiters have not been released.
func (k *Keyed) Held() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held
}
