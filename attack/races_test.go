package attack_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// unhurried keeps the limits out of the way of races.
var unhurried = []string{
	"--limits.messages.rate=1000", "--limits.messages.burst=1000", "--limits.login.burst=1000", "--limits.refresh.burst=1000", "--limits.handshakes.burst=1000",
	"--limits.login-account.burst=1000", "--limits.login-failures-account.burst=1000", "--limits.connections-per-user=0", "--auth.sessions-per-user=1000",
}

// R7: the operator gives a stolen account another password. The thief, who knows
// the old one, has changes of it under way all the time: none that was checked
// before may take effect after.
func TestNewPasswordIsNotUndoneR7(t *testing.T) {
	s := start(t, unhurried...)
	alice := s.signUp("alice")
	thief := alice.logIn()
	const newPassword, between = "battery horse correct", 20 * time.Millisecond
	for round := range 5 {
		ctx, stop := context.WithCancel(t.Context())
		var changes sync.WaitGroup
		for range 3 {
			changes.Go(func() {
				for ctx.Err() == nil {
					body := toJSON("current_password", password, "new_password", password)
					_, _ = thief.try(t.Context(), "PUT", "/me/password", body, "Authorization", "Bearer "+thief.access)
					<-time.After(between)
				}
			})
		}
		s.run(newPassword, "user", "passwd", "alice")
		stop()
		changes.Wait() // and with them what the server was at
		if a := s.caller().do("POST", "/login", credentials("alice", newPassword)); a.status != http.StatusOK {
			t.Fatalf("round %d: the new password is gone: %v", round, a)
		}
		if a := s.caller().do("POST", "/login", credentials("alice", password)); a.status != http.StatusUnauthorized {
			t.Fatalf("round %d: the old password is good: %v", round, a)
		}
		s.run(password, "user", "passwd", "alice")
		thief = thief.logIn()
	}
}

// R7: logins and refreshes are under way all the time while the operator disables
// the account. A second later no token of it is good, and no socket open, however
// late it came.
func TestDisablingWinsAllRacesR7(t *testing.T) {
	s := start(t, unhurried...)
	alice := s.signUp("alice")
	for round := range 4 {
		h := newHoarder(alice.logIn())
		h.gather(func() { s.run("", "user", "disable", "alice") })
		h.isOut(t, round)
		if a := s.caller().do("POST", "/login", credentials("alice", password)); !a.is(403, "account_disabled") {
			t.Errorf("round %d: a login: %v", round, a)
		}
		s.run("", "user", "enable", "alice")
	}
}

// R7: the same while the account is deleted, after which nobody is left to
// revoke anything of.
func TestDeletingWinsAllRacesR7(t *testing.T) {
	s := start(t, unhurried...)
	for round := range 4 {
		alice := s.signUp("alice")
		h := newHoarder(alice.logIn())
		h.gather(func() {
			if a := alice.call("DELETE", "/me", ""); a.status != http.StatusNoContent {
				t.Errorf("%v", a)
			}
		})
		h.isOut(t, round)
	}
}

// hoarder gathers all tokens and sockets of an account that can be had.
type hoarder struct {
	*user

	mu      sync.Mutex // guards the rest
	tokens  []string   // access tokens
	refresh []string
	sockets []*peer
}

func newHoarder(u *user) *hoarder { return &hoarder{user: u} }

// gather logs in, refreshes and connects, before, while and after end ends the
// account, until nothing can be had any more.
func (h *hoarder) gather(end func()) {
	h.t.Helper()
	const workers, enough = 3, 6
	var working sync.WaitGroup
	var ended atomic.Bool
	for range workers {
		working.Go(func() {
			for more := true; more || !ended.Load(); {
				more = h.take(h.try(h.t.Context(), "POST", "/login", credentials(h.name, password)))
			}
		})
	}
	defer working.Wait()
	defer ended.Store(true)
	eventually(h.t, "there is something to lose", func() bool { return h.has() >= enough })
	end()
}

func (h *hoarder) has() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.tokens)
}

// take keeps what a login gave, its refresh token's successor, and a socket. It
// tells whether there was anything.
func (h *hoarder) take(a answer, err error) bool {
	if err != nil || a.status != http.StatusOK {
		return false
	}
	h.keep(a)
	if a, err := h.try(h.t.Context(), "POST", "/refresh", toJSON("refresh_token", a.field("refresh_token"))); err == nil && a.status == http.StatusOK {
		h.keep(a)
	}
	if conn, _, _ := h.tryUpgrade(h.t.Context(), "/ws", "Authorization", "Bearer "+a.field("access_token")); conn != nil {
		p := h.reading(conn)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.sockets = append(h.sockets, p)
	}
	return true
}

func (h *hoarder) keep(a answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tokens = append(h.tokens, a.field("access_token"))
	h.refresh = append(h.refresh, a.field("refresh_token"))
}

// isOut fails the test where anything of the hoard is good a second later.
func (h *hoarder) isOut(t *testing.T, round int) {
	t.Helper()
	until := time.Now().Add(time.Second)
	good := func(token string) bool {
		return h.bearing(token).call("GET", "/me", "").status != http.StatusUnauthorized
	}
	for i, token := range append(h.tokens, h.access) {
		for good(token) {
			if time.Now().After(until) {
				t.Fatalf("round %d: access token %d of %d is good", round, i+1, len(h.tokens)+1)
			}
		}
	}
	for i, p := range h.sockets {
		select {
		case <-p.closed:
		case <-time.After(time.Until(until)):
			t.Errorf("round %d: socket %d of %d is open", round, i+1, len(h.sockets))
		}
	}
	for i, token := range append(h.refresh, h.user.refresh) {
		if a := h.spend(token); !a.is(401, "invalid_token") {
			t.Errorf("round %d: refresh token %d is good: %v", round, i+1, a)
		}
	}
	t.Logf("round %d: %d access tokens and %d sockets, none of them good", round, len(h.tokens)+1, len(h.sockets))
}
