// Package ratelimit holds token buckets, one set a user or address, and counted
// slots beside them. Both stay bounded in memory however many keys are shown to
// them.
//
// A refusal never creates a debt: what was refused costs nothing, and a sole
// caller that waits what it was told is let through next time.
package ratelimit

import (
	"math"
	"sync"
	"time"
)

// Rate is how fast a bucket fills and how much it holds. A zero PerSecond
// switches the bucket off: it lets everything through.
type Rate struct {
	PerSecond float64 // tokens a second
	Burst     int     // tokens held at most
}

// MaxRates is how many buckets a Limiter has at most. There is a Limiter for every
// user who is here, so its buckets lie in it and take no memory of their own.
const MaxRates = 2

// Limiter is a set of buckets that are spent together: a call takes its cost
// from all of them or from none. It is safe for concurrent use.
type Limiter struct {
	terms *terms // static after construction

	mu      sync.Mutex        // guards the next two; makes the look at all buckets and the taking one step
	at      time.Duration     // since terms.start
	missing [MaxRates]float64 // tokens that each bucket lacked then to be full

	place place // the Keyed's, and guarded by its mu; zero where there is none
}

// terms are what the Limiters of a Keyed have in common. They do not change.
type terms struct {
	rates []Rate
	now   func() time.Time
	start time.Time
}

func newTerms(now func() time.Time, rates []Rate) *terms {
	if len(rates) > MaxRates {
		panic("ratelimit: more rates than MaxRates")
	}
	if now == nil {
		now = time.Now
	}
	return &terms{rates: rates, now: now, start: now()}
}

// NewLimiter makes a Limiter with one full bucket a rate, in that order. It panics
// where there are more than MaxRates. A nil now means time.Now.
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
	l.refill()
	var wait time.Duration
	for i, cost := range costs {
		wait = max(wait, l.waitFor(i, cost))
	}
	if wait == 0 {
		for i, cost := range costs {
			l.spend(i, cost)
		}
	}
	return wait
}

// Return gives back what Take has spent, where it turns out that nothing was
// owed. No bucket comes to hold more than its burst by it.
func (l *Limiter) Return(costs ...float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill()
	for i, cost := range costs {
		l.spend(i, -cost)
	}
}

// Never is the wait for what no bucket can ever hold.
const Never = time.Duration(math.MaxInt64)

// Left is how many whole tokens the bucket at index i holds now, and how long
// until it has one more than that.
func (l *Limiter) Left(i int) (tokens int, next time.Duration) {
	rate := l.terms.rates[i]
	if rate.PerSecond <= 0 {
		return math.MaxInt32, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill()
	tokens = int(float64(rate.Burst) - l.missing[i] + rounding)
	if tokens >= rate.Burst {
		return tokens, 0
	}
	return tokens, l.waitFor(i, float64(tokens+1))
}

// full tells whether every bucket has refilled, so that forgetting this
// Limiter and making it anew later gives nobody anything.
func (l *Limiter) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill()
	return l.missing == [MaxRates]float64{}
}

// refill brings the buckets to where they are now. The caller holds mu, as that
// of the rest does.
func (l *Limiter) refill() {
	now := l.terms.now().Sub(l.terms.start)
	elapsed := max(0, now-l.at).Seconds() // a clock can be put back
	for i, rate := range l.terms.rates {
		l.missing[i] = max(0, l.missing[i]-elapsed*rate.PerSecond)
	}
	l.at = now
}

// spend takes from bucket i; a cost below 0 is given to it.
func (l *Limiter) spend(i int, cost float64) {
	if rate := l.terms.rates[i]; rate.PerSecond > 0 {
		l.missing[i] = min(max(0, l.missing[i]+cost), float64(rate.Burst))
	}
}

const (
	// rounding is what sums of parts of a token are not exact to, in tokens.
	rounding = 1e-9
	// instant is a wait that is rounding and not need, in seconds.
	instant = 1e-9
)

// waitFor is how long bucket i does not hold n tokens.
func (l *Limiter) waitFor(i int, n float64) time.Duration {
	rate := l.terms.rates[i]
	burst := float64(rate.Burst)
	switch {
	case rate.PerSecond <= 0:
		return 0
	case n > burst:
		return Never
	}
	wait := (l.missing[i] + n - burst) / rate.PerSecond // seconds
	if wait < instant {
		return 0
	}
	return time.Duration(math.Ceil(wait*1000)) * time.Millisecond
}
