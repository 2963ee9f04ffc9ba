package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast/auth"
)

func tokenOptionsOf(t *testing.T) auth.TokenOptions {
	t.Helper()
	return auth.TokenOptions{Issuer: "gatecast", Audience: "gatecast", TTL: time.Hour}
}

// shortToken is alice's of a session, good for ttl.
func (s *server) shortToken(user, session string, ttl time.Duration) string {
	s.t.Helper()
	opts := tokenOptionsOf(s.t)
	opts.TTL = ttl
	token, _, err := s.issuer(opts).Issue(auth.Account{ID: "ID-" + user, Username: user, Role: auth.RoleUser}, session)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// T6: a socket is warned ahead of its token's end, and closed then.
func TestSocketEndsWithItsTokenT6(t *testing.T) {
	s := start(t, "--socket.expiry-notice=1s")
	p := s.dial(s.shortToken("alice", "s", 3*time.Second))
	welcome := p.until("welcome")
	warning := p.until("expiring")
	end, err := time.Parse(time.RFC3339, warning.str("expiresAt"))
	if err != nil || warning.str("expiresAt") != welcome.str("expiresAt") {
		t.Errorf("%v after %v", warning, welcome)
	}
	if left := time.Until(end); left > 1100*time.Millisecond || left < 0 {
		t.Errorf("warned %v ahead", left)
	}
	if code := p.closeCode(); code != 4401 || time.Since(end) < 0 || time.Since(end) > time.Second {
		t.Errorf("closed with %d, %v after the end", code, time.Since(end))
	}
	// Where less is left than the notice, the warning comes at once.
	p = s.dial(s.shortToken("alice", "s", 2*time.Second))
	p.until("expiring")
}

// T6: a newer token of the same user and session keeps the socket, again and
// again.
func TestRefreshKeepsTheSocketT6(t *testing.T) {
	s := start(t, "--socket.expiry-notice=1s", "--auth.access-ttl=2s")
	s.signUp("alice")
	g := s.logIn("alice")
	p := s.connect(g.Access)
	for range 3 {
		before := p.until("expiring").str("expiresAt")
		g = grantOf(t, s.refresh(g.Refresh))
		f := p.ask(fmt.Sprintf(`{"type":"refresh","id":"r","token":%q}`, g.Access))
		if f.str("type") != "refreshed" || f.str("expiresAt") <= before {
			t.Fatalf("%v, before that %s", f, before)
		}
	}
	// The new token's session is what ends it now.
	if a := s.do("POST", "/logout", fmt.Sprintf(`{"refresh_token":%q}`, g.Refresh)); a.status != 204 {
		t.Fatal(a)
	}
	if code := p.closeCode(); code != 4401 {
		t.Errorf("closed with %d", code)
	}
}

// T6: no other token does. Another user's or session's closes the socket, one
// that is no good is an error and changes nothing.
func TestRefreshWithOtherTokensT6(t *testing.T) {
	s := start(t)
	for name, token := range map[string]string{
		"another user's":    s.shortToken("bob", "s", 2*time.Hour),
		"another session's": s.shortToken("alice", "s2", 2*time.Hour),
	} {
		p := s.connect(s.shortToken("alice", "s", time.Hour))
		p.send(fmt.Sprintf(`{"type":"refresh","id":1,"token":%q}`, token))
		if code := p.closeCode(); code != 4401 {
			t.Errorf("%s: closed with %d", name, code)
		}
	}
	wider, _, err := s.issuer(tokenOptionsOf(t)).Issue(auth.Account{ID: "ID-alice", Username: "alice", Role: auth.RoleAdmin}, "s")
	if err != nil {
		t.Fatal(err)
	}
	p := s.connect(s.shortToken("alice", "s", time.Minute))
	for name, row := range map[string]struct{ token, code string }{
		"nonsense":         {`"x"`, "invalid_token"},
		"none":             {`""`, "bad_frame"},
		"a number":         {`1`, "bad_frame"},
		"an older one":     {fmt.Sprintf("%q", s.shortToken("alice", "s", time.Second)), "invalid_token"},
		"one with more":    {fmt.Sprintf("%q", wider), "invalid_token"},
		"longer than 8 KB": {fmt.Sprintf("%q", strings.Repeat(".", 10_000)), "invalid_token"},
	} {
		if f := p.ask(fmt.Sprintf(`{"type":"refresh","id":%q,"token":%s}`, name, row.token)); f.str("code") != row.code {
			t.Errorf("%s: %v", name, f)
		}
	}
	if f := p.ask(fmt.Sprintf(`{"type":"refresh","id":"good","token":%q}`, s.shortToken("alice", "s", time.Hour))); f.str("type") != "refreshed" {
		t.Errorf("%v", f)
	}
}
