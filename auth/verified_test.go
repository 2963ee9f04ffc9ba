package auth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// revoked is a RevocationStore that nobody else writes to.
type revoked struct{}

func (revoked) Revocations(context.Context, int64, time.Time) ([]auth.Revocation, error) {
	return nil, nil
}
func (revoked) Revoke(context.Context, auth.Revocation) error { return nil }

// twins are two Verifiers of the same keys and revocations, one of which
// remembers.
type twins struct {
	t                *testing.T
	remembers, plain *auth.Verifier
}

func newTwins(t *testing.T, keys *auth.KeySet, revocations *auth.Revocations, issuers *auth.Issuers, opts auth.TokenOptions) twins {
	both := twins{t, auth.NewVerifier(keys, revocations, opts), auth.NewVerifier(keys, revocations, opts)}
	both.remembers.Remember(1000)
	for _, v := range []*auth.Verifier{both.remembers, both.plain} {
		v.Trust(issuers)
	}
	return both
}

// good tells whether a token is, and holds both to one answer.
func (w twins) good(token string) bool {
	w.t.Helper()
	bearer, err := w.remembers.Verify(w.t.Context(), token)
	want, wantErr := w.plain.Verify(w.t.Context(), token)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) || errors.Is(err, auth.ErrIssuerUnavailable) != errors.Is(wantErr, auth.ErrIssuerUnavailable) {
		w.t.Errorf("remembered: %v; looked at: %v", err, wantErr)
	}
	if err == nil && wantErr == nil && fmt.Sprint(bearer.Claims()) != fmt.Sprint(want.Claims()) {
		w.t.Errorf("remembered: %+v; looked at: %+v", bearer.Claims(), want.Claims())
	}
	return err == nil
}

// A token that is shown again is not looked at again: its bearer is the very same.
// One that only looks like it is.
func TestTokensAreRememberedJ8(t *testing.T) {
	verifier, issuer := ownVerifier(t)
	token, _, err := issuer.Issue(auth.Account{ID: "1", Username: "alice", Role: auth.RoleUser}, "session")
	if err != nil {
		t.Fatal(err)
	}
	first, err := verifier.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if again, err := verifier.Verify(t.Context(), token); again != first || err != nil {
			t.Errorf("again: %p %v, want %p", again, err, first)
		}
		for _, altered := range []string{token + "=", token[:len(token)-1] + "_", token[:len(token)-1], "x" + token, ""} {
			if _, err := verifier.Verify(t.Context(), altered); altered != token && !errors.Is(err, auth.ErrInvalidToken) {
				t.Errorf("%q: %v", altered, err)
			}
		}
	}
	verifier.Remember(0)
	if again, err := verifier.Verify(t.Context(), token); again == first || err != nil {
		t.Errorf("with no places it is remembered: %v", err)
	}
}

// Looks at a folder, and fetches of an issuer's keys, that find nothing new leave
// what is remembered alone.
func TestTokensAreRememberedWhileKeysStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, t.TempDir())
		token, _, err := auth.NewIssuer(w.KeySet, benchTokens).Issue(auth.Account{ID: "1", Username: "alice", Role: auth.RoleUser}, "session")
		if err != nil {
			t.Fatal(err)
		}
		ours := auth.NewVerifier(w.KeySet, nil, benchTokens)
		ours.Remember(10)
		k := edKeys(t)
		long := goodClaims()
		long["exp"] = time.Now().Add(24 * time.Hour).Unix()
		host := &keyHost{body: keySet(t, named("key", k.ed.Public()))}
		theirs := remote(t, host, io.Discard)
		for _, row := range []struct {
			verifier *auth.Verifier
			token    string
			after    time.Duration
		}{
			{ours, token, 10 * poll},
			{theirs, sign(t, "EdDSA", k.ed, long, nil), 3 * time.Hour},
		} {
			first, err := row.verifier.Verify(t.Context(), row.token)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(row.after)
			if again, err := row.verifier.Verify(t.Context(), row.token); again != first || err != nil {
				t.Errorf("%v later: %p %v, want %p", row.after, again, err, first)
			}
		}
		if n := host.called(); n < 3 {
			t.Errorf("the issuer's keys were fetched %d times", n)
		}
	})
}

// J2, J7: a token that is remembered is good from its beginning to its end and no
// longer, whichever way the clock is put.
func TestRememberedTokensEndJ2J7(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	now := at
	keys := auth.NewEd25519KeySet(fuzzKey())
	opts := auth.TokenOptions{Issuer: "i", Audience: "a", TTL: time.Minute, Now: func() time.Time { return now }}
	token, _, err := auth.NewIssuer(keys, opts).Issue(auth.Account{ID: "1", Username: "alice", Role: auth.RoleUser}, "s")
	if err != nil {
		t.Fatal(err)
	}
	both := newTwins(t, keys, nil, nil, opts)
	for range 1000 {
		after := time.Duration(rand.IntN(100)-20) * time.Second
		after += time.Duration(rand.IntN(3)-1) * time.Nanosecond
		now = at.Add(after)
		if good := both.good(token); good != (after >= -10*time.Second && after < 70*time.Second) {
			t.Fatalf("%v after the issue: %t", after, good)
		}
	}
}

// J11: a key that is retired ends the tokens that are remembered, to the second.
func TestRememberedTokensOfARetiredKeyJ11(t *testing.T) {
	r := newRing(t)
	long := auth.TokenOptions{Issuer: "i", Audience: "a", TTL: 1000 * time.Hour, Now: func() time.Time { return r.now }}
	token, _, err := auth.NewIssuer(r.load(), long).Issue(auth.Account{ID: "1", Username: "alice", Role: auth.RoleUser}, "session")
	if err != nil {
		t.Fatal(err)
	}
	retiredAt := r.rotate().Keys[0].VerifiesUntil
	both := newTwins(t, r.load(), nil, nil, long)
	for _, before := range []time.Duration{24 * time.Hour, time.Second, time.Nanosecond, 0, -time.Hour} {
		r.now = retiredAt.Add(-before)
		if good := both.good(token); good != (before > 0) {
			t.Errorf("%v before the key is retired: %t", before, good)
		}
	}
}

// J2, J7, J11, R7: whatever happens to tokens and keys, a Verifier that remembers
// answers what one does that does not.
func TestRememberingChangesNoAnswerJ2J7J11R7(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, t.TempDir())
		revocations := auth.NewRevocations(revoked{}, auth.RevocationOptions{Poll: time.Minute})
		opts := auth.TokenOptions{Issuer: "i", Audience: "a", TTL: 40 * time.Second}
		issuer := auth.NewIssuer(w.KeySet, opts)
		both := newTwins(t, w.KeySet, revocations, nil, opts)
		random := rand.New(rand.NewPCG(1, 2))
		var tokens []string
		var says []auth.Claims
		was, changes := map[string]bool{}, map[bool]int{}
		for range 150 {
			switch n := random.IntN(20); {
			case n < 10:
				token, claims, err := issuer.Issue(auth.Account{ID: "1", Username: "alice", Role: auth.RoleUser}, fmt.Sprint("session", random.IntN(100)))
				if err != nil {
					t.Fatal(err)
				}
				tokens, says = append(tokens, token), append(says, claims)
			case n < 16:
				time.Sleep(time.Duration(random.IntN(10_000)) * time.Millisecond)
			case n == 16:
				if _, err := auth.RotateKeys(t.Context(), w.dir, w.opts); err != nil && !errors.Is(err, auth.ErrKeyWaits) {
					t.Fatal(err)
				}
				time.Sleep(ahead)
			case n == 17: // the operator takes the signing key away
				if paths, err := filepath.Glob(filepath.Join(w.dir, "*.pem")); err != nil || len(paths) > 1 && os.Remove(paths[len(paths)-1]) != nil {
					t.Fatal(err)
				}
				time.Sleep(poll)
			case n == 18 && len(says) > 0:
				c := says[random.IntN(len(says))]
				if err := revocations.RevokeToken(t.Context(), c.ID, c.ExpiresAt); err != nil {
					t.Fatal(err)
				}
			case n == 19 && len(says) > 0: // a session's ID is a mark as a token's is
				c := says[random.IntN(len(says))]
				if err := revocations.RevokeToken(t.Context(), c.SessionID, c.ExpiresAt); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			tokens, says = tokens[max(0, len(tokens)-30):], says[max(0, len(says)-30):]
			for _, token := range tokens {
				good := both.good(token)
				if before, seen := was[token]; seen && before != good {
					changes[good]++
				}
				was[token] = good
			}
		}
		if changes[false] < 10 {
			t.Errorf("only %v of the tokens ended while they were remembered", changes)
		}
	})
}

// J11: a key that its issuer takes back, and keys that cannot be fetched any more,
// end the tokens that are remembered when they end others.
func TestRememberedForeignTokensEndJ11(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, next := edKeys(t), edKeys(t)
		host := &keyHost{body: keySet(t, named("old", k.ed.Public()), named("new", next.ed.Public()))}
		issuers, err := auth.NewIssuers([]auth.TrustedIssuer{
			{Name: "sso", Issuer: foreignIss, Audience: foreignAud, JWKSURL: "https://sso.example.com/keys", UserPrefix: "sso:"},
		}, auth.IssuersOptions{Transport: host})
		if err != nil {
			t.Fatal(err)
		}
		issuers.Start()
		t.Cleanup(issuers.Close)
		both := newTwins(t, auth.NewEd25519KeySet(fuzzKey()), nil, issuers, benchTokens)
		long := goodClaims()
		long["exp"] = time.Now().Add(1000 * time.Hour).Unix()
		old := sign(t, "EdDSA", k.ed, long, map[string]any{"kid": "old"})
		fresh := sign(t, "EdDSA", next.ed, long, map[string]any{"kid": "new"})
		both.expect("at first", old, true, fresh, true)
		time.Sleep(time.Hour + time.Minute)
		both.expect("after the keys were fetched again", old, true, fresh, true)

		host.set(func(h *keyHost) { h.body = keySet(t, named("new", next.ed.Public())) })
		both.expect("before anybody has heard that a key is gone", old, true, fresh, true)
		time.Sleep(time.Hour + time.Minute)
		both.expect("when a key is gone", old, false, fresh, true)

		host.set(func(h *keyHost) { h.fails = errors.New("down") })
		time.Sleep(23 * time.Hour)
		both.expect("while the host is down", old, false, fresh, true)
		time.Sleep(2 * time.Hour)
		both.expect("when the keys are too old", old, false, fresh, false)

		host.set(func(h *keyHost) { h.fails, h.body = nil, keySet(t, named("new", k.ed.Public())) })
		time.Sleep(2 * time.Minute)
		both.expect("when the name is another key's", old, false, fresh, false)
	})
}

// expect holds two tokens to whether they are good.
func (w twins) expect(when, a string, goodA bool, b string, goodB bool) {
	w.t.Helper()
	for range 2 { // the second time is the one that may be remembered
		if gotA, gotB := w.good(a), w.good(b); gotA != goodA || gotB != goodB {
			w.t.Errorf("%s: %t %t, want %t %t", when, gotA, gotB, goodA, goodB)
		}
	}
}

// Thirty thousand tokens take no more memory than there are places for, and
// tokens that are not good take none.
func TestRememberedTokensAreBounded(t *testing.T) {
	keys, err := auth.NewHMACKeySet([]byte("7n2T0Gq1kXw9ZcVb4mLr8sPd5fHj6aYe"))
	if err != nil {
		t.Fatal(err)
	}
	issuer, verifier := auth.NewIssuer(keys, benchTokens), auth.NewVerifier(keys, nil, benchTokens)
	verifier.Remember(300)
	show := func(n int, altered string) {
		for i := range n {
			token, _, err := issuer.Issue(auth.Account{ID: fmt.Sprint(i), Username: "alice", Role: auth.RoleUser}, "session")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verifier.Verify(t.Context(), token+altered); (err == nil) != (altered == "") {
				t.Fatal(err)
			}
		}
	}
	show(1000, "")
	before := heap()
	show(1000, "x")
	show(30_000, "")
	if grown := heap() - before; grown > 128<<10 {
		t.Errorf("30,000 tokens grew the heap by %d bytes", grown)
	}
	runtime.KeepAlive(verifier) // what was measured must still be alive
}

// heap is how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// R7: many verify the same few tokens in few places while keys change, and nobody
// gets another's claims, or in once a token has been revoked.
func TestRememberedTokensAtOnceR7(t *testing.T) {
	folder := auth.KeyOptions{Poll: time.Millisecond}
	dir := filepath.Join(t.TempDir(), "keys")
	keys, err := auth.LoadKeySet(dir, folder)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var all, watching sync.WaitGroup
	watching.Go(func() { keys.Watch(ctx) })
	revocations := auth.NewRevocations(revoked{}, auth.RevocationOptions{})
	opts := auth.TokenOptions{Issuer: "i", Audience: "a", TTL: time.Hour}
	issuer, verifier := auth.NewIssuer(keys, opts), auth.NewVerifier(keys, revocations, opts)
	verifier.Remember(8)
	for user := range 16 {
		id := fmt.Sprint(user)
		token, claims, err := issuer.Issue(auth.Account{ID: id, Username: "alice", Role: auth.RoleUser}, "session"+id)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			all.Go(func() {
				for range 50 {
					if got, err := verifier.Verify(t.Context(), token); err == nil && got.Subject() != id {
						t.Errorf("%s is taken for %s", id, got.Subject())
					}
				}
				if err := revocations.RevokeToken(t.Context(), claims.ID, claims.ExpiresAt); err != nil {
					t.Error(err)
				}
				if _, err := verifier.Verify(t.Context(), token); !errors.Is(err, auth.ErrInvalidToken) {
					t.Errorf("after it was revoked: %v", err)
				}
			})
		}
	}
	if _, err := auth.RotateKeys(t.Context(), dir, folder); err != nil {
		t.Error(err)
	}
	all.Wait()
	stop()
	watching.Wait()
}
