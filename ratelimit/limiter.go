// Package ratelimit holds token buckets on golang.org/x/time/rate, one set a
// user or address, and counted slots beside them. Both stay bounded in memory
// however many keys are shown to them.
//
// A refusal never creates a debt: what was refused costs nothing, and a sole
// caller that waits what it was told is let through next time.
package ratelimit

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how fast a bucket fills and how much it holds. A zero PerSecond
// switches the bucket off: it lets everything through.
type Rate struct {
	PerSecond float64 // tokens a second
	Burst     int     // tokens held at most
}

// resolution is how many parts x/time/rate's whole tokens are cut into here,
// so that cheap work (a typing notice, a ping) can cost a part of a token.
const resolution = 1000

// Limiter is a set of buckets that are spent together: a call takes its cost
// from all of them or from none. It is safe for concurrent use.
//
// There is one for every user who is here, most of them idle: buckets that
// nobody has taken from are not there.
type Limiter struct {
	terms *terms // static after construction

	mu      sync.Mutex      // guards buckets; makes the look at all of them and the taking one step
	buckets []*rate.Limiter // nil while all are full; a nil one is switched off

	place place // the Keyed's, and guarded by its mu; zero where there is none
}

// terms are what the Limiters of a Keyed have in common. They do not change.
type terms struct {
	rates []Rate
	now   func() time.Time
}

func newTerms(now func() time.Time, rates []Rate) *terms {
	if now == nil {
		now = time.Now
	}
	return &terms{rates: rates, now: now}
}

func (t *terms) newBuckets() []*rate.Limiter {
	buckets := make([]*rate.Limiter, len(t.rates))
	for i, r := range t.rates {
		if r.PerSecond > 0 {
			buckets[i] = rate.NewLimiter(rate.Limit(r.PerSecond*resolution), r.Burst*resolution)
		}
	}
	return buckets
}

// NewLimiter makes a Limiter with one full bucket a rate, in that order. A nil
// now means time.Now.
func NewLimiter(now func() time.Time, rates ...Rate) *Limiter {
	return &Limiter{terms: newTerms(now, rates)}
}

// Take spends one cost a bucket, in tokens, and answers 0; or spends nothing
// and answers how long to wait until the same call can succeed, in whole
// milliseconds. A cost above a bucket's burst can never succeed and answers
// Never.
func (l *Limiter) Take(costs ...float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil {
		l.buckets = l.terms.newBuckets()
	}
	now := l.terms.now()
	var wait time.Duration
	for i, cost := range costs {
		wait = max(wait, waitFor(l.buckets[i], now, parts(cost)))
	}
	if wait > 0 {
		return wait
	}
	l.spend(now, 1, costs)
	return 0
}

// Return gives back what Take has spent, where it turns out that nothing was
// owed. No bucket comes to hold more than its burst by it.
func (l *Limiter) Return(costs ...float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets != nil {
		l.spend(l.terms.now(), -1, costs) // x/time/rate caps what is too much when it next looks
	}
}

// spend takes costs, or gives them back where sign is -1. The caller holds mu.
func (l *Limiter) spend(now time.Time, sign int, costs []float64) {
	for i, cost := range costs {
		if b := l.buckets[i]; b != nil {
			b.AllowN(now, sign*parts(cost))
		}
	}
}

// Never is the wait for what no bucket can ever hold.
const Never = time.Duration(math.MaxInt64)

// Left is how many whole tokens the bucket at index i holds now, and how long
// until it has one more than that.
func (l *Limiter) Left(i int) (tokens int, next time.Duration) {
	r := l.terms.rates[i]
	if r.PerSecond <= 0 {
		return math.MaxInt32, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil {
		return r.Burst, 0
	}
	b, now := l.buckets[i], l.terms.now()
	tokens = int(math.Max(0, b.TokensAt(now)) / resolution)
	if tokens >= r.Burst {
		return tokens, 0
	}
	return tokens, waitFor(b, now, (tokens+1)*resolution)
}

// full tells whether every bucket has refilled, so that forgetting this
// Limiter and making it anew later gives nobody anything.
func (l *Limiter) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.terms.now()
	for _, b := range l.buckets {
		if b != nil && b.TokensAt(now) < float64(b.Burst()) {
			return false
		}
	}
	l.buckets = nil
	return true
}

// waitFor looks and takes nothing: x/time/rate's own Reserve would leave a
// debt behind until it is cancelled.
func waitFor(b *rate.Limiter, now time.Time, n int) time.Duration {
	if b == nil {
		return 0
	}
	if n > b.Burst() {
		return Never
	}
	missing := (float64(n) - b.TokensAt(now)) / float64(b.Limit()) // seconds
	if missing < time.Nanosecond.Seconds() {
		return 0 // rounding, not need: AllowN counts whole nanoseconds too
	}
	return time.Duration(math.Ceil(missing*1000)) * time.Millisecond
}

// maxParts is more than any bucket holds, and far from what an int cannot.
const maxParts = 1 << 53

// parts bounds what it gives: a cost may be a number that a client has named.
func parts(tokens float64) int { return int(min(math.Round(tokens*resolution), maxParts)) }
