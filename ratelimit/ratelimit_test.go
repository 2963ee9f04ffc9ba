package ratelimit_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast/ratelimit"
)

// clock is a time that tests move by hand.
type clock struct{ at time.Time }

func newClock() *clock                   { return &clock{at: time.Unix(1_700_000_000, 0)} }
func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

// L1: a refusal creates no debt, and a sole sender that waits what it was told
// is not refused again, whatever the rate, the costs and the order of events.
func TestRefusalCreatesNoDebtL1(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		rates := []ratelimit.Rate{
			{PerSecond: 0.1 + rng.Float64()*50, Burst: 1 + rng.IntN(40)},
			{PerSecond: 100 + rng.Float64()*1e6, Burst: 1000 + rng.IntN(1e6)},
		}
		c := newClock()
		l := ratelimit.NewLimiter(c.now, rates...)
		spent, start := 0.0, c.at
		for step := range 400 {
			cost := []float64{0.1, 0.2, 1}[rng.IntN(3)]
			bytes := float64(rng.IntN(1000))
			for range rng.IntN(5) { // hammering while refused must not matter
				if l.Take(cost, bytes) == 0 {
					spent += cost
				}
			}
			if wait := l.Take(cost, bytes); wait == 0 {
				spent += cost
			} else {
				c.advance(wait)
				if again := l.Take(cost, bytes); again != 0 {
					t.Fatalf("seed %d step %d: told to wait %v, then refused again for %v", seed, step, wait, again)
				}
				spent += cost
			}
			c.advance(time.Duration(rng.IntN(20)) * time.Millisecond)
		}
		// ... and nobody gets more than the rate and the burst allow.
		allowed := float64(rates[0].Burst) + rates[0].PerSecond*c.at.Sub(start).Seconds()
		if spent > allowed+0.01 {
			t.Fatalf("seed %d: spent %.3f tokens where %.3f were allowed", seed, spent, allowed)
		}
	}
}

// A set of buckets is spent all or nothing: what the byte bucket refuses does
// not cost a message token.
func TestTakeIsAllOrNothing(t *testing.T) {
	c := newClock()
	l := ratelimit.NewLimiter(c.now, ratelimit.Rate{PerSecond: 1, Burst: 2}, ratelimit.Rate{PerSecond: 10, Burst: 100})
	if w := l.Take(1, 100); w != 0 {
		t.Fatalf("first take waits %v", w)
	}
	for range 10 {
		if w := l.Take(1, 100); w != 10*time.Second {
			t.Fatalf("byte bucket tells to wait %v, want 10s", w)
		}
	}
	if left, _ := l.Left(0); left != 1 {
		t.Fatalf("refusals left %d message tokens, want 1", left)
	}
	if w := l.Take(3, 0); w != ratelimit.Never {
		t.Fatalf("a cost over the burst waits %v, want Never", w)
	}
}

// A number that a client names can be any, and none of them fills a bucket.
func TestHugeCostsAreRefused(t *testing.T) {
	l := ratelimit.NewLimiter(newClock().now, ratelimit.Rate{PerSecond: 1, Burst: 1e9})
	l.Take(1e9)
	for _, cost := range []float64{1e9 + 1, math.MaxInt64, math.MaxUint64, math.Inf(1)} {
		if w := l.Take(cost); w != ratelimit.Never {
			t.Errorf("a cost of %v waits %v, want Never", cost, w)
		}
	}
	if left, _ := l.Left(0); left != 0 {
		t.Errorf("%d tokens came from nowhere", left)
	}
}

func TestZeroRateIsOff(t *testing.T) {
	l := ratelimit.NewLimiter(nil, ratelimit.Rate{})
	for range 1000 {
		if w := l.Take(1000); w != 0 {
			t.Fatalf("a limiter that is off refused for %v", w)
		}
	}
}

func take(k *ratelimit.Keyed, key string, costs ...float64) time.Duration {
	limiter := k.Acquire(key)
	defer k.Release(limiter)
	return limiter.Take(costs...)
}

// L9: many keys leave the map at its capacity, and an exhausted bucket is
// not reset by pushing its key out.
func TestKeyedStaysBoundedL9(t *testing.T) {
	c := newClock()
	k := ratelimit.NewKeyed(ratelimit.Options{
		Rates: []ratelimit.Rate{{PerSecond: 1, Burst: 3}}, Capacity: 1000, Now: c.now,
	})
	for range 3 {
		if w := take(k, "victim", 1); w != 0 {
			t.Fatalf("refused within the burst: %v", w)
		}
	}
	if w := take(k, "victim", 1); w == 0 {
		t.Fatal("the burst was not enforced")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 200_000 {
		take(k, fmt.Sprint("key", i), 1)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := k.Len(); n > 1000 {
		t.Fatalf("%d keys remembered, capacity 1000", n)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 2<<20 {
		t.Fatalf("200,000 keys grew the heap by %d bytes", grown)
	}
	if w := take(k, "victim", 1); w == 0 {
		t.Fatal("a flood of other keys reset an exhausted bucket")
	}
	// Once all have refilled, new keys find room again and old ones go.
	c.advance(time.Minute)
	for i := range 2000 {
		take(k, fmt.Sprint("later", i), 1)
		c.advance(5 * time.Second)
	}
	if n := k.Len(); n > 10 {
		t.Fatalf("%d idle keys remembered after they refilled", n)
	}
	runtime.KeepAlive(k) // what was measured must still be alive
}

// L9: keys that have spent nothing do not pile up behind a few that refill
// slowly, and so nobody is made to share.
func TestKeyedForgetsBehindSlowOnesL9(t *testing.T) {
	c := newClock() // it stands still
	k := ratelimit.NewKeyed(ratelimit.Options{Rates: []ratelimit.Rate{{PerSecond: 0.001, Burst: 1}}, Capacity: 1000, Now: c.now})
	for i := range 30 {
		take(k, fmt.Sprint("slow", i), 1)
	}
	for i := range 10_000 {
		take(k, fmt.Sprint("key", i), 0)
	}
	if n := k.Len(); n > 60 {
		t.Errorf("%d keys remembered, of which 30 have to be", n)
	}
	for i := range 30 {
		if take(k, fmt.Sprint("slow", i), 1) == 0 {
			t.Fatal("an exhausted bucket was reset")
		}
	}
}

// L4: all who hold a key hold one Limiter, and it is kept while anyone does.
func TestAcquireSharesOneLimiterL4(t *testing.T) {
	c := newClock() // it stands still
	k := ratelimit.NewKeyed(ratelimit.Options{Rates: []ratelimit.Rate{{PerSecond: 1, Burst: 5}}, Capacity: 10, Now: c.now})
	a, b := k.Acquire("alice"), k.Acquire("alice")
	if a != b {
		t.Fatal("two holders of one key got two limiters")
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	allowed := 0
	for _, l := range []*ratelimit.Limiter{a, b} {
		wg.Go(func() {
			for range 100 {
				if l.Take(1) == 0 {
					mu.Lock()
					allowed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if allowed != 5 {
		t.Fatalf("two holders were allowed %d together, want 5", allowed)
	}
	k.Release(a)
	if n := k.Held(); n != 1 {
		t.Fatalf("%d held, want 1", n)
	}
	k.Release(b)
	if n := k.Held(); n != 0 {
		t.Fatalf("%d held, want 0", n)
	}
}

// L6: N+1 is refused and the count returns to 0.
func TestSlotsL6(t *testing.T) {
	s := ratelimit.NewSlots(2)
	for i, want := range []bool{true, true, false} {
		if got := s.Acquire("a"); got != want {
			t.Fatalf("slot %d of a: %v", i+1, got)
		}
	}
	if !s.Acquire("b") {
		t.Fatal("another key was refused")
	}
	s.Release("a")
	if !s.Acquire("a") {
		t.Fatal("a released slot was not given again")
	}
	for _, key := range []string{"a", "a", "b"} {
		s.Release(key)
	}
	if n := s.Held(); n != 0 {
		t.Fatalf("%d held after all were released", n)
	}
	unlimited := ratelimit.NewSlots(0)
	for range 1000 {
		if !unlimited.Acquire("a") {
			t.Fatal("a cap of 0 refused")
		}
	}
}

// L10: IPv6 is keyed by /64, an IPv4 address mapped into IPv6 is itself.
func TestAddressKeyL10(t *testing.T) {
	for _, row := range []struct{ addr, key string }{
		{"203.0.113.7", "203.0.113.7"},
		{"::ffff:203.0.113.7", "203.0.113.7"},
		{"2001:db8:1:2::1", "2001:db8:1:2::/64"},
		{"2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"},
		{"2001:db8:1:3::1", "2001:db8:1:3::/64"},
		{"fe80::1%eth0", "fe80::/64"},
	} {
		if key := ratelimit.AddressKey(netip.MustParseAddr(row.addr)); key != row.key {
			t.Errorf("%s is keyed %q, want %q", row.addr, key, row.key)
		}
	}
	if key := ratelimit.AddressKey(netip.Addr{}); key != "unknown" {
		t.Errorf("no address is keyed %q", key)
	}
}

// userRates are those of a user by default: messages and bytes.
func userRates() []ratelimit.Rate {
	return []ratelimit.Rate{{PerSecond: 10, Burst: 20}, {PerSecond: 128 << 10, Burst: 1 << 20}}
}

// What a frame of a user costs who is here, and a request of one who is known.
func BenchmarkLimiterLookup(b *testing.B) {
	k := ratelimit.NewKeyed(ratelimit.Options{Rates: userRates()})
	k.Acquire("alice")
	b.ReportAllocs()
	for b.Loop() {
		k.Release(k.Acquire("alice"))
	}
}

// A key that is new, where one that has refilled is forgotten for it.
func BenchmarkLimiterLookupOfANewKey(b *testing.B) {
	k := ratelimit.NewKeyed(ratelimit.Options{Rates: userRates()})
	keys := make([]string, 1<<16)
	for i := range keys {
		keys[i] = fmt.Sprint("key", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k.Release(k.Acquire(keys[i%len(keys)]))
	}
}

func BenchmarkTake(b *testing.B) {
	l := ratelimit.NewLimiter(nil, ratelimit.Rate{PerSecond: 1e9, Burst: 1e6}, ratelimit.Rate{PerSecond: 1e9, Burst: 1e6})
	b.ReportAllocs()
	for b.Loop() {
		l.Take(1, 100)
	}
}
