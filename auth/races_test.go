package auth_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/store"
)

// R7: what is revoked stays so until the last token has ended, on every clock,
// whatever life of tokens the one who revokes it thinks of: a command has not the
// server's settings.
func TestRevokedUntilTheTokenEndsR7(t *testing.T) {
	for name, row := range map[string]struct{ issuer, revoker nodeOptions }{
		"a command with a shorter life":  {nodeOptions{accessTTL: time.Hour}, nodeOptions{}},
		"an issuer whose clock is ahead": {nodeOptions{ahead: 8 * time.Second}, nodeOptions{}},
		"a revoker whose clock is ahead": {nodeOptions{}, nodeOptions{ahead: 30 * time.Second}},
		"idle before the token ends":     {nodeOptions{idle: time.Minute}, nodeOptions{}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogins(t)
			issuer, revoker := l.node(t, row.issuer), l.node(t, row.revoker)
			g := issuer.logIn(t)
			l.pass(2 * time.Minute) // somebody else's login forgets what is over
			issuer.logIn(t)
			if err := revoker.Disable(t.Context(), g.Claims.Subject); err != nil {
				t.Fatal(err)
			}
			for range 70 {
				for who, node := range map[string]*logins{"the issuer": issuer, "the revoker": revoker, "a new node": l.node(t, row.issuer)} {
					if node.good(t, g.AccessToken) {
						t.Fatalf("%v after it was issued, the token is good for %s", l.clock().Sub(g.Claims.IssuedAt), who)
					}
				}
				l.pass(time.Minute)
			}
		})
	}
}

// between runs something in the middle of a call.
type between struct {
	auth.Store
	run func()
}

func (b *between) CreateSession(ctx context.Context, s auth.Session, a auth.Account, limit int) ([]auth.Revocation, error) {
	b.run()
	return b.Store.CreateSession(ctx, s, a, limit)
}

func (b *between) ChangePassword(ctx context.Context, old, hash string, e auth.Ending) ([]auth.Revocation, error) {
	if run := b.run; run != nil {
		b.run = nil // what it runs may be a change of the password too
		run()
	}
	return b.Store.ChangePassword(ctx, old, hash, e)
}

// Whatever becomes of an account while somebody logs in to it, no session comes
// of what it was.
func TestChangesDuringALogin(t *testing.T) {
	for name, change := range map[string]func(*logins, string) error{
		"role":     func(l *logins, id string) error { return l.ChangeRole(context.Background(), id, auth.RoleAdmin) },
		"password": func(l *logins, id string) error { return l.SetPassword(context.Background(), id, "battery horse") },
		"disable":  func(l *logins, id string) error { return l.Disable(context.Background(), id) },
		"delete":   func(l *logins, id string) error { return l.Delete(context.Background(), id) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogins(t)
			id := l.logIn(t).Claims.Subject
			node := l.node(t, nodeOptions{store: &between{l.db, func() {
				if err := change(l, id); err != nil {
					t.Error(err)
				}
			}}})
			if _, err := node.Login(t.Context(), "alice", "correct horse", auth.Client{}); !errors.Is(err, auth.ErrBadCredentials) {
				t.Errorf("logged in: %v", err)
			}
		})
	}
}

// A password that the operator sets is not undone by a change that began before.
func TestOperatorsPasswordStays(t *testing.T) {
	l := newLogins(t)
	g := l.logIn(t)
	node := l.node(t, nodeOptions{store: &between{l.db, func() {
		if err := l.SetPassword(t.Context(), g.Claims.Subject, "the operator's own"); err != nil {
			t.Error(err)
		}
	}}})
	err := node.ChangePassword(t.Context(), g.Claims.Subject, "correct horse", "what a thief wants", g.Claims.SessionID)
	if !errors.Is(err, auth.ErrBadCredentials) {
		t.Errorf("changed: %v", err)
	}
	if _, err := l.Login(t.Context(), "alice", "the operator's own", auth.Client{}); err != nil {
		t.Errorf("the operator's password: %v", err)
	}
}

// P4: logins that come together after the costs of a hash have changed all get in.
func TestLoginsTogetherRenewTheHashP4(t *testing.T) {
	l := newLogins(t)
	node := l.node(t, nodeOptions{passes: 3})
	var logins sync.WaitGroup
	for range 4 {
		logins.Go(func() {
			if _, err := node.Login(t.Context(), "alice", "correct horse", auth.Client{}); err != nil {
				t.Error(err)
			}
		})
	}
	logins.Wait()
}

// R2: a call that crossed two refreshes gets what is good now, and the browser
// whose cookie it sets stays logged in.
func TestLateCallGetsTheNewestTokenR2(t *testing.T) {
	l := newLogins(t)
	first := l.logIn(t)
	token := first.RefreshToken
	for range 3 {
		g, err := l.refresh(t, token)
		if err != nil {
			t.Fatal(err)
		}
		token = g.RefreshToken
		l.pass(3 * time.Second)
	}
	late, err := l.refresh(t, first.RefreshToken)
	if err != nil || late.RefreshToken != token {
		t.Fatalf("it is another one, %v", err)
	}
	l.pass(10 * time.Minute)
	if _, err := l.refresh(t, late.RefreshToken); err != nil {
		t.Errorf("later: %v", err)
	}
}

// hanging is a store that stops to answer.
type hanging struct {
	*store.DB
	hangs chan struct{}
}

func (h hanging) Revocations(ctx context.Context, after int64, now time.Time) ([]auth.Revocation, error) {
	select {
	case <-h.hangs:
		<-ctx.Done()
		return nil, ctx.Err()
	default:
		return nil, nil
	}
}

func (h hanging) Revoke(context.Context, auth.Revocation) error { return nil }

// R7: while the store hangs, what ends here still closes its sockets.
func TestHangingStoreR7(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hanging{hangs: make(chan struct{})}
		r := auth.NewRevocations(h, auth.RevocationOptions{Poll: time.Second})
		if err := r.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		close(h.hangs)
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		told := 0
		watching.Go(func() { r.Watch(ctx, func(func(auth.Claims) bool) { told++ }) })
		time.Sleep(2 * time.Second) // it is in the middle of reading
		if err := r.RevokeToken(t.Context(), "x", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if told != 1 || !r.Revoked(auth.Claims{ID: "x"}) {
			t.Errorf("told %d times", told)
		}
		cancel()
		watching.Wait()
	})
}
