package attack_test

import (
	"fmt"
	"net/http"
	"testing"
)

// proxyAddress is where a trusted proxy is, in tests that have one.
const proxyAddress = "127.0.0.9"

// tryToLogIn tries wrong passwords, each with another header, and counts those
// that were looked at.
func tryToLogIn(c *caller, tries int, header func(i int) []string) (looked int) {
	c.t.Helper()
	for i := range tries {
		switch a := c.do("POST", "/login", credentials(fmt.Sprint("user", i), wrongPassword), header(i)...); {
		case a.is(401, "bad_credentials"):
			looked++
		case !a.is(429, "rate_limited") || a.header.Get("Retry-After") == "":
			c.t.Errorf("try %d: %v %v", i, a, a.header)
		}
	}
	return looked
}

// L11: with no proxy to trust, nobody's headers make another address of theirs.
func TestForgedAddressesL11(t *testing.T) {
	s := start(t, "--limits.login.rate=0.001")
	mallory := s.caller()
	looked := tryToLogIn(mallory, 60, func(i int) []string {
		address := fmt.Sprintf("203.0.113.%d", i)
		name := []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"}[i%6]
		if name == "Forwarded" {
			address = "for=" + address
		}
		return []string{name, address}
	})
	if looked != 10 { // limits.login.burst
		t.Errorf("%d of 60 logins of one address were looked at", looked)
	}
	if a := s.caller().do("POST", "/login", credentials("nobody", wrongPassword)); !a.is(401, "bad_credentials") {
		t.Errorf("another address: %v", a)
	}
}

// L11: behind a trusted proxy, what a client writes itself stands on the left, and
// the proxy's own word on the right.
func TestSpoofedLeftmostAddressL11(t *testing.T) {
	s := start(t, "--limits.login.rate=0.001", "--http.trusted-proxies="+proxyAddress)
	proxy := s.callerAt(proxyAddress)
	looked := tryToLogIn(proxy, 60, func(i int) []string {
		left := []string{fmt.Sprintf("198.51.100.%d", i), "127.0.0.1", proxyAddress, "nonsense, 192.0.2.1", fmt.Sprintf("::%x", i), "127.0.0.1, " + proxyAddress}[i%6]
		return []string{"X-Forwarded-For", left + ", 203.0.113.7"}
	})
	if looked != 10 {
		t.Errorf("%d of 60 logins of one address were looked at", looked)
	}
	if a := proxy.do("POST", "/login", credentials("nobody", wrongPassword), "X-Forwarded-For", "203.0.113.7, 203.0.113.8"); !a.is(401, "bad_credentials") {
		t.Errorf("the victim who was named on the left: %v", a)
	}
	// Who comes past the proxy is no proxy, whatever it writes.
	past := s.caller()
	if looked := tryToLogIn(past, 30, func(i int) []string {
		return []string{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d", 10+i)}
	}); looked != 10 {
		t.Errorf("%d of 30 logins past the proxy were looked at", looked)
	}
}

// L10: a home or a server has a whole /64 of addresses, which are one.
func TestOneAttackerInManyIPv6AddressesL10(t *testing.T) {
	s := start(t, "--limits.login.rate=0.001", "--http.trusted-proxies="+proxyAddress)
	looked := tryToLogIn(s.callerAt(proxyAddress), 60, func(i int) []string {
		return []string{"X-Forwarded-For", fmt.Sprintf("2001:db8:1:2:%x::%x", i, 7*i)}
	})
	if looked != 10 {
		t.Errorf("%d of 60 logins of one /64 were looked at", looked)
	}
}

// P8: a botnet tries a common password at many accounts, each from an address of
// its own. It is slowed to what all may guess wrong together and one first try an
// address; whoever knows their password gets in.
func TestPasswordSprayP8(t *testing.T) {
	s := start(t, "--http.trusted-proxies="+proxyAddress, "--limits.login-failures.rate=0.001", "--limits.login-failures.burst=20", "--limits.login-strict.rate=0.001")
	s.signUp("alice")
	proxy := s.callerAt(proxyAddress)
	const addresses, tries = 15, 150
	looked := tryToLogIn(proxy, tries, func(i int) []string {
		return []string{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i%addresses)}
	})
	if looked > 20+addresses {
		t.Errorf("%d of %d guesses were looked at, want %d at most", looked, tries, 20+addresses)
	}
	for i := range 5 {
		if a := proxy.do("POST", "/login", credentials("alice", password), "X-Forwarded-For", "198.51.100.1"); a.status != http.StatusOK {
			t.Errorf("alice, login %d: %v", i+1, a)
		}
	}
	t.Logf("%d guesses from %d addresses: %d were looked at", tries, addresses, looked)
}

// P8: many addresses guess at one account. Its owner gets in; a neighbour of an
// attacker's address waits with it.
func TestManyGuessAtOneAccountP8(t *testing.T) {
	s := start(t, "--http.trusted-proxies="+proxyAddress, "--limits.login-strict.rate=0.001")
	s.signUp("alice")
	s.signUp("bob")
	proxy := s.callerAt(proxyAddress)
	looked := 0
	for i := range 80 {
		address := fmt.Sprintf("203.0.113.%d", i%4)
		if a := proxy.do("POST", "/login", credentials("alice", wrongPassword), "X-Forwarded-For", address); a.is(401, "bad_credentials") {
			looked++
		}
	}
	if looked > 20 { // limits.login_account.burst from each of four addresses, and limits.login_failures_account.burst
		t.Errorf("%d of 80 guesses were looked at", looked)
	}
	if a := proxy.do("POST", "/login", credentials("alice", password), "X-Forwarded-For", "198.51.100.1"); a.status != http.StatusOK {
		t.Errorf("the owner: %v", a)
	}
	if a := proxy.do("POST", "/login", credentials("bob", password), "X-Forwarded-For", "198.51.100.2"); a.status != http.StatusOK {
		t.Errorf("another account: %v", a)
	}
}

// P7: what a login answers does not tell which accounts there are, and which of
// them are disabled.
func TestWhoHasAnAccountIsNotToldP7(t *testing.T) {
	s := start(t)
	s.signUp("alice")
	s.signUp("bob")
	s.run("", "user", "disable", "bob")
	seen := make(map[string]bool)
	for _, name := range []string{"alice", "bob", "nobody", "no one"} {
		a := s.caller().do("POST", "/login", credentials(name, wrongPassword))
		for _, name := range []string{"X-Request-Id", "Date", "Ratelimit"} { // they tell of the time
			a.header.Del(name)
		}
		seen[fmt.Sprint(a.status, a.field("code"), a.field("detail"), len(a.body), a.header)] = true
	}
	if len(seen) != 1 {
		t.Errorf("wrong passwords are answered in %d ways: %v", len(seen), seen)
	}
	// Signing up does tell that a name is taken. It cannot be asked often.
	mallory, told := s.caller(), 0
	for range 40 {
		if a := mallory.do("POST", "/register", credentials("alice", password)); a.is(409, "username_taken") {
			told++
		}
	}
	if told > 12 {
		t.Errorf("an address was told of %d names at once", told)
	}
}
