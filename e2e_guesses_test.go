package main

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// behindProxy lets a test come from any address.
const behindProxy = "--http.trusted-proxies=127.0.0.1"

// loginFrom tries a password from an address.
func (s *server) loginFrom(address, username, password string) answer {
	s.t.Helper()
	return s.do("POST", "/login", credentials(username, password), "X-Forwarded-For", address)
}

const (
	rightPassword = "correct horse battery"
	wrongPassword = "wrong horse battery"
)

// P8: attackers at many addresses use up what an account may be guessed at. The
// owner gets in from another address, as often as they like, and an account that
// does not exist answers the same all along.
func TestAttackersDoNotLockTheOwnerOutP8(t *testing.T) {
	s := start(t, behindProxy, "--limits.login-failures-account.rate=0.001", "--limits.login-failures-account.burst=8", "--limits.login-strict.rate=0.001")
	s.signUp("alice")
	s.signUp("bob")
	passed := 0
	for i := range 20 {
		address := fmt.Sprintf("203.0.113.%d", i%5)
		known := s.loginFrom(address, "alice", wrongPassword)
		unknown := s.loginFrom(address, []string{"nobody", "NOBODY"}[i%2], wrongPassword) // one account in two spellings
		switch {
		case known.status != unknown.status || known.field("detail") != unknown.field("detail"):
			t.Errorf("guess %d reads %s, at an account that does not exist %s", i+1, known.body, unknown.body)
		case known.status == http.StatusUnauthorized:
			passed++
		case known.status != http.StatusTooManyRequests || known.field("code") != "rate_limited" || known.header.Get("Retry-After") == "":
			t.Errorf("guess %d: %d %v %s", i+1, known.status, known.header, known.body)
		}
	}
	// Eight wrong ones ring the alarm; these addresses have no first try left.
	if passed != 8 {
		t.Errorf("%d guesses were looked at, want 8", passed)
	}
	for range 5 {
		if a := s.loginFrom("198.51.100.1", "alice", rightPassword); a.status != http.StatusOK {
			t.Fatalf("the owner from another address: %d %s", a.status, a.body)
		}
	}
	// A stranger's new address has one guess, and the next is an hour away.
	for i, want := range []int{401, 429, 429} {
		if a := s.loginFrom("198.51.100.2", "alice", wrongPassword); a.status != want {
			t.Errorf("guess %d from a new address: %d %s, want %d", i+1, a.status, a.body, want)
		}
	}
	if a := s.loginFrom("203.0.113.1", "bob", rightPassword); a.status != http.StatusOK {
		t.Errorf("another account: %d %s", a.status, a.body)
	}
	if a := s.loginFrom("203.0.113.1", "alice", rightPassword); a.status != http.StatusTooManyRequests {
		t.Errorf("the right password among an attacker's guesses: %d %s", a.status, a.body)
	}
}

// P8: guesses spread over many accounts and addresses slow down too, and logging
// in to an account of one's own in between gains nothing.
func TestSpraySlowsDownP8(t *testing.T) {
	s := start(t, behindProxy, "--limits.login-failures.rate=0.001", "--limits.login-failures.burst=10", "--limits.login-strict.rate=0.001")
	s.signUp("alice")
	s.signUp("mallory")
	const addresses = 4
	passed, inBetween := 0, 0
	for i := range 60 {
		address := fmt.Sprintf("203.0.113.%d", i%addresses)
		if a := s.loginFrom(address, fmt.Sprint("user", i), wrongPassword); a.status == http.StatusUnauthorized {
			passed++
		} else if a.status != http.StatusTooManyRequests || a.field("code") != "rate_limited" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if i < 15 && s.loginFrom(address, "mallory", rightPassword).status == http.StatusOK {
			inBetween++
		}
	}
	if passed != 10 || inBetween == 0 {
		t.Errorf("%d of 60 guesses were looked at, and %d right logins in between; want 10, and some", passed, inBetween)
	}
	for range 3 {
		if a := s.loginFrom("198.51.100.1", "alice", rightPassword); a.status != http.StatusOK {
			t.Errorf("someone else: %d %s", a.status, a.body)
		}
	}
}

// P8, L1, L2, L3: a refusal says how long to wait and of which limit it is, costs
// nothing, and who waits that long is let in.
func TestWaitForAnotherGuessP8L1L2L3(t *testing.T) {
	for name, row := range map[string]struct {
		flags          []string
		free           int // guesses before the refusal
		policy, fields string
	}{
		"account and address": {[]string{"--limits.login-account.rate=1", "--limits.login-account.burst=2"}, 2, `"login";q=2;w=2`, `"login";r=0;t=1`},
		"alarm of an account": {[]string{"--limits.login-failures-account.rate=0.001", "--limits.login-failures-account.burst=2", "--limits.login-strict.rate=1"}, 2, `"login";q=1;w=1`, `"login";r=0;t=1`},
		"alarm of all":        {[]string{"--limits.login-failures.rate=0.001", "--limits.login-failures.burst=2", "--limits.login-strict.rate=1"}, 2, `"login";q=1;w=1`, `"login";r=0;t=1`},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, append(row.flags, behindProxy, "--auth.hash-slots=1")...)
			s.signUp("alice")
			var refused answer
			for range 20 {
				if refused = s.loginFrom("203.0.113.1", "alice", wrongPassword); refused.status == http.StatusTooManyRequests {
					break
				}
			}
			told := time.Now()
			wait, err := strconv.Atoi(refused.header.Get("Retry-After"))
			if err != nil || wait != 1 || refused.header.Get("RateLimit-Policy") != row.policy || refused.header.Get("RateLimit") != row.fields {
				t.Fatalf("%d %v %s", refused.status, refused.header, refused.body)
			}
			// Trying meanwhile costs nothing, so the wait can be watched.
			for s.loginFrom("203.0.113.1", "alice", rightPassword).status == http.StatusTooManyRequests {
				if time.Since(told) > time.Duration(wait)*time.Second && s.loginFrom("203.0.113.1", "alice", rightPassword).status == http.StatusTooManyRequests {
					t.Fatal("refused after the wait that was told")
				}
			}
		})
	}
}

// A right password, a name that is missing and a server that is busy are no
// guesses.
func TestWhatIsNoGuessCostsNothing(t *testing.T) {
	s := start(t, "--limits.login-account.rate=0.001", "--limits.login-account.burst=1")
	s.signUp("alice")
	for range 5 {
		for _, row := range []struct {
			username, password string
			status             int
		}{
			{"alice", rightPassword, 200}, {"alice", "", 400}, {"", rightPassword, 400}, {"alice", "control\u0007", 400},
		} {
			if a := s.do("POST", "/login", credentials(row.username, row.password)); a.status != row.status {
				t.Errorf("%q, %q: %d %s", row.username, row.password, a.status, a.body)
			}
		}
	}
	for i, want := range []int{401, 429} {
		if a := s.do("POST", "/login", credentials("alice", wrongPassword)); a.status != want {
			t.Errorf("guess %d: %d %s", i+1, a.status, a.body)
		}
	}
}
