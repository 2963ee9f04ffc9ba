package auth_test

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/store"
)

// logins are Accounts of a node, on a database of the test's own, with a clock that
// tests move.
type logins struct {
	*auth.Accounts
	verifier    *auth.Verifier
	revocations *auth.Revocations
	db          *store.DB

	mu  sync.Mutex
	now time.Time
}

// nodeOptions are what differs between nodes.
type nodeOptions struct {
	store     auth.Store
	accessTTL time.Duration
	idle      time.Duration
	passes    int
	ahead     time.Duration // of its clock
}

func newLogins(t *testing.T) *logins {
	t.Helper()
	db, err := store.OpenSQLite(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	l := &logins{db: db, now: time.Unix(1_800_000_000, 0)}
	l.join(t, l, nodeOptions{})
	if _, err := l.Register(t.Context(), "alice", "correct horse"); err != nil {
		t.Fatal(err)
	}
	return l
}

// node is another node, or a command, with settings of its own.
func (l *logins) node(t *testing.T, opts nodeOptions) *logins {
	t.Helper()
	other := &logins{db: l.db}
	l.join(t, other, opts)
	return other
}

// join makes node one that uses l's database and clock.
func (l *logins) join(t *testing.T, node *logins, opts nodeOptions) {
	t.Helper()
	keys, err := auth.NewHMACKeySet([]byte("7n2T0Gq1kXw9ZcVb4mLr8sPd5fHj6aYe"))
	if err != nil {
		t.Fatal(err)
	}
	if opts.store == nil {
		opts.store = l.db
	}
	now := func() time.Time { return l.clock().Add(opts.ahead) }
	tokens := auth.TokenOptions{Issuer: "here", Audience: "here", TTL: cmp.Or(opts.accessTTL, 15*time.Minute), Now: now}
	node.revocations = auth.NewRevocations(l.db, auth.RevocationOptions{Poll: time.Minute, Now: now})
	node.verifier = auth.NewVerifier(keys, node.revocations, tokens)
	node.verifier.Remember(100) // what is known of a token changes no answer
	node.Accounts = auth.NewAccounts(opts.store, newHasher(cmp.Or(opts.passes, 2)), auth.NewIssuer(keys, tokens), node.revocations, auth.AccountOptions{
		SessionTTL: 30 * 24 * time.Hour, SessionIdle: cmp.Or(opts.idle, 7*24*time.Hour), RefreshGrace: 10 * time.Second, Sessions: 100,
	})
}

// good tells whether a node takes a token, after it has read what others revoked.
func (l *logins) good(t *testing.T, token string) bool {
	t.Helper()
	if err := l.revocations.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := l.verifier.Verify(t.Context(), token)
	return err == nil
}

func (l *logins) clock() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

func (l *logins) pass(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = l.now.Add(d)
}

func (l *logins) logIn(t *testing.T) auth.Grant {
	t.Helper()
	g, err := l.Login(t.Context(), "alice", "correct horse", auth.Client{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (l *logins) refresh(t *testing.T, token string) (auth.Grant, error) {
	return l.Refresh(t.Context(), token, auth.Client{})
}

// R4: a session that is not used for 7 days has ended, and one that is used has
// after 30.
func TestSessionsEndR4(t *testing.T) {
	l := newLogins(t)
	idle := l.logIn(t)
	if want := l.clock().Add(7 * 24 * time.Hour); !idle.SessionExpiresAt.Equal(want) {
		t.Errorf("it ends %v, want %v", idle.SessionExpiresAt, want)
	}
	l.pass(7*24*time.Hour - time.Second)
	g, err := l.refresh(t, idle.RefreshToken)
	if err != nil {
		t.Fatalf("a second before: %v", err)
	}
	l.pass(7 * 24 * time.Hour)
	if _, err := l.refresh(t, g.RefreshToken); !errors.Is(err, auth.ErrInvalidToken) || errors.Is(err, auth.ErrReused) {
		t.Errorf("after 7 days: %v", err)
	}

	g = l.logIn(t)
	begun := l.clock()
	for day := range 5 {
		l.pass(6*24*time.Hour - time.Minute)
		if g, err = l.refresh(t, g.RefreshToken); err != nil {
			t.Fatalf("round %d: %v", day, err)
		}
	}
	if end := begun.Add(30 * 24 * time.Hour); !g.Claims.ExpiresAt.Equal(end) || !g.SessionExpiresAt.Equal(end) {
		t.Errorf("the last token ends %v, its session %v, want both %v", g.Claims.ExpiresAt, g.SessionExpiresAt, end)
	}
	l.pass(5 * time.Minute)
	if _, err := l.refresh(t, g.RefreshToken); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("after 30 days: %v", err)
	}
	if list, err := l.Sessions(t.Context(), g.Claims.Subject); err != nil || len(list) != 0 {
		t.Errorf("listed still: %v, %v", list, err)
	}
}

// R1, R2: a used token answers its one successor for 10 s, and ends the session
// after that.
func TestGraceR1R2(t *testing.T) {
	l := newLogins(t)
	first := l.logIn(t)
	second, err := l.refresh(t, first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	l.pass(10*time.Second - time.Millisecond)
	if again, err := l.refresh(t, first.RefreshToken); err != nil || again.RefreshToken != second.RefreshToken {
		t.Errorf("within the grace: %v", err)
	}
	if _, err := l.verifier.Verify(t.Context(), second.AccessToken); err != nil {
		t.Errorf("its access token: %v", err)
	}
	l.pass(time.Millisecond)
	if _, err := l.refresh(t, first.RefreshToken); !errors.Is(err, auth.ErrReused) || !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("after the grace: %v", err)
	}
	for _, g := range []auth.Grant{first, second} {
		if _, err := l.verifier.Verify(t.Context(), g.AccessToken); !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("an access token lives: %v", err)
		}
		if _, err := l.refresh(t, g.RefreshToken); !errors.Is(err, auth.ErrInvalidToken) || errors.Is(err, auth.ErrReused) {
			t.Errorf("a refresh token: %v", err)
		}
	}
}

// A disabled account says so to whoever has its password, and to nobody else.
func TestDisabledAccount(t *testing.T) {
	l := newLogins(t)
	g := l.logIn(t)
	if err := l.Disable(t.Context(), g.Claims.Subject); err != nil {
		t.Fatal(err)
	}
	if _, err := l.verifier.Verify(t.Context(), g.AccessToken); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("its access token: %v", err)
	}
	if _, err := l.refresh(t, g.RefreshToken); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("its refresh token: %v", err)
	}
	for password, want := range map[string]error{"correct horse": auth.ErrDisabled, "wrong horse": auth.ErrBadCredentials} {
		if _, err := l.Login(t.Context(), "alice", password, auth.Client{}); !errors.Is(err, want) {
			t.Errorf("%s: %v", password, err)
		}
	}
	if err := l.Enable(t.Context(), g.Claims.Subject); err != nil {
		t.Fatal(err)
	}
	l.logIn(t)
}

// numbered is a RevocationStore whose rows become visible when tests say so.
type numbered struct {
	mu   sync.Mutex
	rows []auth.Revocation
	asks []int64
	err  error
}

func (n *numbered) Revocations(_ context.Context, after int64, now time.Time) (list []auth.Revocation, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asks = append(n.asks, after)
	for _, r := range n.rows {
		if r.Number > after && !r.ExpiresAt.Before(now) {
			list = append(list, r)
		}
	}
	return list, n.err
}

func (n *numbered) Revoke(context.Context, auth.Revocation) error { return nil }

func (n *numbered) show(number int64, mark string, expires time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rows = append(n.rows, auth.Revocation{Number: number, Mark: mark, ExpiresAt: expires})
}

// What other nodes revoke is found, also where it becomes visible behind what has
// a higher number; it is told of once, and forgotten when the tokens have ended.
func TestRevocationsOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := &numbered{}
		rows.show(1, "old", time.Now().Add(time.Minute))
		r := auth.NewRevocations(rows, auth.RevocationOptions{Poll: time.Second})
		if err := r.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		claims := func(session string) auth.Claims { return auth.Claims{SessionID: session, ID: "jti of " + session} }
		if !r.Revoked(claims("old")) || r.Revoked(claims("new")) || r.Revoked(auth.Claims{}) {
			t.Error("at the start it knows something else")
		}
		told := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		watching.Go(func() {
			r.Watch(ctx, func(about func(auth.Claims) bool) {
				for _, name := range []string{"old", "new", "late", "token"} {
					if about(claims(name)) {
						told[name]++
					}
				}
			})
		})
		tick := func(d time.Duration) {
			time.Sleep(d) // the bubble's clock
			synctest.Wait()
		}
		rows.show(7, "new", time.Now().Add(time.Hour))
		tick(time.Second)
		rows.show(5, "late", time.Now().Add(time.Hour))
		rows.show(8, "jti of token", time.Now().Add(time.Hour))
		tick(10 * time.Second)
		for _, name := range []string{"new", "late", "token"} {
			if !r.Revoked(claims(name)) || told[name] != 1 {
				t.Errorf("%s is revoked %v, told of %d times", name, r.Revoked(claims(name)), told[name])
			}
		}
		rows.mu.Lock()
		rows.err = errors.New("away")
		rows.mu.Unlock()
		tick(time.Minute)
		if !r.Revoked(claims("new")) {
			t.Error("while the store is away it forgets")
		}
		rows.mu.Lock()
		rows.err = nil
		rows.mu.Unlock()
		tick(2 * time.Minute)
		if r.Revoked(claims("old")) {
			t.Error("what has ended is remembered for ever")
		}
		rows.mu.Lock()
		if last := rows.asks[len(rows.asks)-1]; last != 8 {
			t.Errorf("it reads from %d on for ever", last)
		}
		rows.mu.Unlock()
		cancel()
		watching.Wait()
	})
}
