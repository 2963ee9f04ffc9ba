package ratelimit

import (
	"fmt"
	"sync"
	"time"
)

// GuessOptions of a Guesses. A rate that is switched off limits nothing.
type GuessOptions struct {
	Pair    Rate // tries at one account from one address
	Account Rate // wrong tries at one account, from anywhere
	All     Rate // wrong tries at all accounts together
	Strict  Rate // tries of one address while Account or All is used up
	// Capacity is how many accounts, addresses and pairs of them have buckets of
	// their own at most, each. Zero means DefaultCapacity.
	Capacity int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Guesses slows those who guess secrets, be it at one account or at many, from
// one address or from many, and leaves an account's owner a way in.
//
// No account is ever closed. There is an alarm for each account and one for all
// of them: a bucket of wrong tries, and the alarm rings while it is empty. Then
// an address has one slow bucket for the account, or for all: a first try, and
// the next one much later. So an attacker needs a new address for each guess,
// and the owner, whose address has not guessed, gets in at the first one. The
// slow bucket is spent before the alarm rings too, so that who has been guessing
// has no first try left.
//
// A right secret costs nothing, and gives nothing: its own try is given back,
// and no wrong ones are, so that guessing does not become free by logging in to
// an account of one's own in between. It is safe for concurrent use.
type Guesses struct {
	opts GuessOptions // static after construction

	mu              sync.Mutex // makes the look at all buckets and the spending one step
	pairs           *Keyed     // by account and address
	accounts        *Keyed     // by account: its alarm
	strictPairs     *Keyed     // by account and address
	all             *Limiter   // the alarm of all accounts
	strictAddresses *Keyed     // by address
}

// NewGuesses makes a Guesses that nobody has guessed at.
func NewGuesses(opts GuessOptions) *Guesses {
	keyed := func(rate Rate) *Keyed {
		return NewKeyed(Options{Rates: []Rate{rate}, Capacity: opts.Capacity, Now: opts.Now})
	}
	return &Guesses{
		opts:            opts,
		pairs:           keyed(opts.Pair),
		accounts:        keyed(opts.Account),
		strictPairs:     keyed(opts.Strict),
		all:             NewLimiter(opts.Now, opts.All),
		strictAddresses: keyed(opts.Strict),
	}
}

// GuessError refuses a try.
type GuessError struct {
	Rate Rate          // the limit that says so
	Wait time.Duration // until there can be one
}

func (e *GuessError) Error() string {
	return fmt.Sprintf("ratelimit: too many guesses, wait %v", e.Wait)
}

// Admit asks for a try at account's secret from address, before the secret is
// looked at. A refusal is a *GuessError and costs nothing. Whether there is such
// an account makes no difference, and must not. The names are kept, so they
// should be short.
func (g *Guesses) Admit(account, address string) (*Try, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	pair := account + "\x00" + address // like no other: no address holds a zero byte
	t := &Try{guesses: g}
	refusal := GuessError{Rate: g.opts.Pair, Wait: t.spend(g.pairs.limiter(pair))}
	for _, alarm := range []struct{ wrong, strict *Limiter }{
		{g.accounts.limiter(account), g.strictPairs.limiter(pair)},
		{g.all, g.strictAddresses.limiter(address)},
	} {
		rings := t.spend(alarm.wrong) > 0
		if wait := t.spend(alarm.strict); rings && wait > refusal.Wait {
			refusal = GuessError{Rate: g.opts.Strict, Wait: wait}
		}
	}
	if refusal.Wait > 0 {
		t.giveBack()
		return nil, &refusal
	}
	return t, nil
}

// Len is how many keys are remembered.
func (g *Guesses) Len() int {
	return g.pairs.Len() + g.accounts.Len() + g.strictPairs.Len() + g.strictAddresses.Len()
}

// limiter is key's, for a moment: one that is forgotten after that was full.
func (k *Keyed) limiter(key string) *Limiter {
	l := k.Acquire(key)
	k.Release(l)
	return l
}

// Try is one look at a secret. It counts as a wrong one unless it is returned.
type Try struct {
	guesses *Guesses
	spent   []*Limiter // of which each has given one token; guarded by guesses.mu
}

// Return says that the secret was right, or was not looked at. A second call
// does nothing.
func (t *Try) Return() {
	t.guesses.mu.Lock()
	defer t.guesses.mu.Unlock()
	t.giveBack()
}

// spend takes a token, or tells how long there is none.
func (t *Try) spend(l *Limiter) (wait time.Duration) {
	if wait = l.Take(1); wait == 0 {
		t.spent = append(t.spent, l)
	}
	return wait
}

func (t *Try) giveBack() {
	for _, l := range t.spent {
		l.Return(1)
	}
	t.spent = nil
}
