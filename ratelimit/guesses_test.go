package ratelimit_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast/ratelimit"
)

// guessing is a Guesses whose time a test moves.
type guessing struct {
	t *testing.T
	*clock
	*ratelimit.Guesses
	opts ratelimit.GuessOptions
}

func newGuessing(t *testing.T, opts ratelimit.GuessOptions) *guessing {
	c := newClock()
	opts.Now = c.now
	return &guessing{t, c, ratelimit.NewGuesses(opts), opts}
}

// usual are the limits of a fresh start.
func usual() ratelimit.GuessOptions {
	return ratelimit.GuessOptions{
		Pair:    ratelimit.Rate{PerSecond: 0.1, Burst: 5},
		Account: ratelimit.Rate{PerSecond: 0.05, Burst: 20},
		All:     ratelimit.Rate{PerSecond: 5, Burst: 200},
		Strict:  ratelimit.Rate{PerSecond: 1.0 / 60, Burst: 1},
	}
}

func anyLimits(rng *rand.Rand) ratelimit.GuessOptions {
	rate := func(perSecond float64, burst int) ratelimit.Rate {
		return ratelimit.Rate{PerSecond: perSecond * (0.1 + rng.Float64()), Burst: 1 + rng.IntN(burst)}
	}
	return ratelimit.GuessOptions{Pair: rate(1, 5), Account: rate(0.5, 20), All: rate(5, 40), Strict: rate(0.1, 2)}
}

// wrong is a wrong try; it tells how long to wait where it is refused.
func (g *guessing) wrong(account, address string) time.Duration {
	g.t.Helper()
	_, err := g.Admit(account, address)
	if err == nil {
		return 0
	}
	var refused *ratelimit.GuessError
	if !errors.As(err, &refused) || refused.Wait <= 0 || refused.Rate.PerSecond == 0 {
		g.t.Fatalf("refused with %v", err)
	}
	return refused.Wait
}

// right is a right try.
func (g *guessing) right(account, address string) (admitted bool) {
	try, err := g.Admit(account, address)
	if err != nil {
		return false
	}
	try.Return()
	try.Return() // once is enough
	return true
}

// P8, L1: whatever others have done, refusals cost nothing, and who waits what
// it was told is let in, if nobody else comes in between.
func TestWaitingForAGuessIsEnoughP8L1(t *testing.T) {
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 8))
		g := newGuessing(t, anyLimits(rng))
		refusals := 0
		for range 1000 {
			account, address := fmt.Sprint("account", rng.IntN(4)), fmt.Sprint("address", rng.IntN(8))
			if rng.IntN(3) == 0 {
				g.right(account, address)
			} else if wait := g.wrong(account, address); wait > 0 {
				refusals++
				for range 3 {
					if again := g.wrong(account, address); again != wait {
						t.Fatalf("seed %d: told to wait %v, then %v: the refusal cost something", seed, wait, again)
					}
				}
				g.advance(wait)
				if again := g.wrong(account, address); again > 0 {
					t.Fatalf("seed %d: told to wait %v, then refused again for %v", seed, wait, again)
				}
			}
			g.advance(time.Duration(rng.IntN(500)) * time.Millisecond)
		}
		if refusals == 0 {
			t.Fatalf("seed %d: nothing was refused", seed)
		}
	}
}

// P8: whatever is done at whichever account from other addresses, the owner gets
// in from theirs at the first try, and as often as they like.
func TestOwnerIsNeverLockedOutP8(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 9))
		g := newGuessing(t, anyLimits(rng))
		for range 100 {
			for range rng.IntN(30) {
				account := []string{"owner", "other"}[rng.IntN(2)]
				g.wrong(account, fmt.Sprint("address", rng.IntN(1000)))
			}
			for range rng.IntN(4) {
				if !g.right("owner", "home") {
					t.Fatalf("seed %d: the owner is locked out", seed)
				}
			}
			g.advance(time.Duration(rng.IntN(1000)) * time.Millisecond)
		}
		// Nor by others of the same address who know their own secrets.
		for i := range 200 {
			if !g.right(fmt.Sprint("neighbour", i), "home") || !g.right("owner", "home") {
				t.Fatalf("seed %d: neighbours lock the owner out", seed)
			}
		}
	}
}

// P8: what attackers get from their addresses is what the alarm lets pass and
// the strict tries of each address, however they spread their guesses, wait, and
// log in to accounts of their own in between.
func TestAttackersAreBoundedP8(t *testing.T) {
	for name, attack := range map[string]struct {
		accounts int
		alarm    func(ratelimit.GuessOptions) ratelimit.Rate
	}{
		"one account":     {1, func(o ratelimit.GuessOptions) ratelimit.Rate { return o.Account }},
		"a million names": {1e6, func(o ratelimit.GuessOptions) ratelimit.Rate { return o.All }},
	} {
		for seed := range uint64(15) {
			rng := rand.New(rand.NewPCG(seed, 10))
			g := newGuessing(t, anyLimits(rng))
			addresses, start, guesses := 1+rng.IntN(20), g.at, 0
			for range 1500 {
				address := fmt.Sprint("address", rng.IntN(addresses))
				if g.wrong(fmt.Sprint("victim", rng.IntN(attack.accounts)), address) == 0 {
					guesses++
				}
				g.right("their own", address)
				g.advance(time.Duration(rng.IntN(200)) * time.Millisecond)
			}
			seconds := g.at.Sub(start).Seconds()
			within := func(r ratelimit.Rate) float64 { return float64(r.Burst) + r.PerSecond*seconds }
			if allowed := within(attack.alarm(g.opts)) + float64(addresses)*within(g.opts.Strict); float64(guesses) > allowed+0.01 {
				t.Fatalf("%s, seed %d: %d guesses from %d addresses where %.1f are allowed", name, seed, guesses, addresses, allowed)
			}
		}
	}
}

// P8: with the limits of a fresh start, in numbers.
func TestGuessesOfAFreshStartP8(t *testing.T) {
	count := func(g *guessing, n int, account, address func(i int) string) (passed int) {
		for i := range n {
			if g.wrong(account(i), address(i)) == 0 {
				passed++
			}
		}
		return passed
	}
	one := func(name string) func(int) string { return func(int) string { return name } }
	each := func(name string, n int) func(int) string { return func(i int) string { return fmt.Sprint(name, i%n) } }
	for _, row := range []struct {
		name             string
		tries            int
		account, address func(int) string
		passed           int
	}{
		{"one account from one address", 100, one("alice"), one("a"), 5},
		{"one account from 10 addresses", 1000, one("alice"), each("a", 10), 20},
		{"one account from 100 addresses", 1000, one("alice"), each("a", 100), 100},
		{"many accounts from one address", 1000, each("account", 1000), one("a"), 200},
		{"many accounts from 100 addresses", 5000, each("account", 999), each("a", 100), 200},
	} {
		g := newGuessing(t, usual())
		if passed := count(g, row.tries, row.account, row.address); passed != row.passed {
			t.Errorf("%s: %d passed, want %d", row.name, passed, row.passed)
		}
		g.advance(time.Hour)
		if g.wrong("alice", "a") > 0 {
			t.Errorf("%s: it is not over after an hour", row.name)
		}
	}
}

// A try that is under way counts as a wrong one until it is over: sending many
// at once gains nothing.
func TestGuessesAtOnceP8(t *testing.T) {
	g := newGuessing(t, usual()) // the clock stands still
	var wg sync.WaitGroup
	var mu sync.Mutex
	var admitted []*ratelimit.Try
	for i := range 200 {
		wg.Go(func() {
			try, err := g.Admit("alice", fmt.Sprint("address", i%10))
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				admitted = append(admitted, try)
			}
		})
	}
	wg.Wait()
	// An address that comes when the alarm rings already has its one try.
	if len(admitted) < 20 || len(admitted) >= 20+10 {
		t.Errorf("%d were admitted at once, want 20 and no more than one for each address that came late", len(admitted))
	}
	for _, try := range admitted {
		wg.Go(try.Return)
	}
	wg.Wait()
	for i := range 20 {
		if wait := g.wrong("alice", fmt.Sprint("address", i%10)); wait > 0 {
			t.Fatalf("what was returned is not there again: wait %v", wait)
		}
	}
}

// A rate of 0 switches its part off.
func TestGuessLimitsThatAreOff(t *testing.T) {
	for name, off := range map[string]func(*ratelimit.GuessOptions){
		"all":    func(o *ratelimit.GuessOptions) { *o = ratelimit.GuessOptions{} },
		"strict": func(o *ratelimit.GuessOptions) { o.Pair, o.Strict = ratelimit.Rate{}, ratelimit.Rate{} },
		"alarms": func(o *ratelimit.GuessOptions) { *o = ratelimit.GuessOptions{Strict: o.Strict} },
	} {
		opts := usual()
		off(&opts)
		g := newGuessing(t, opts)
		for range 1000 {
			if wait := g.wrong("alice", "a"); wait > 0 {
				t.Fatalf("%s off, and refused for %v", name, wait)
			}
		}
	}
}

// L9: names and addresses without end leave the memory flat, and do not reset
// what an attacker has spent.
func TestGuessesStayBoundedL9(t *testing.T) {
	opts := usual()
	opts.All, opts.Capacity = ratelimit.Rate{}, 1000
	g := newGuessing(t, opts)
	for range 5 {
		g.wrong("alice", "a")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 30_000 {
		g.wrong(fmt.Sprint("account", i), fmt.Sprint("address", i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := g.Len(); n > 4*opts.Capacity {
		t.Errorf("%d keys remembered, capacity 1000 each", n)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("30,000 names grew the heap by %d bytes", grown)
	}
	if g.wrong("alice", "a") == 0 {
		t.Error("a flood of names reset an exhausted bucket")
	}
	runtime.KeepAlive(g.Guesses)
}

func BenchmarkGuesses(b *testing.B) {
	g := ratelimit.NewGuesses(usual())
	b.ReportAllocs()
	for b.Loop() {
		try, err := g.Admit("alice", "203.0.113.7")
		if err != nil {
			b.Fatal(err)
		}
		try.Return()
	}
}
