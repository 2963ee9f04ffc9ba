package attack_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Tests of package ratelimit show the limiters alone what the server is shown here.
var attackKeys = flag.Int("attack.keys", 20_000, "how many usernames and addresses TestLimiterKeysL9 shows")

// L9: usernames and addresses are shown without end, through a trusted proxy, as a
// botnet with IPv6 could. What remembers them is bounded, and a bucket that is used
// up stays so.
func TestLimiterKeysL9(t *testing.T) {
	s := start(t, "--http.trusted-proxies="+proxyAddress, "--limits.keys=5000", "--limits.register.rate=0.001")
	h, proxy := s.honest(), s.callerAt(proxyAddress)
	victim := func() answer { return proxy.raw(posted("/register", "{}", "X-Forwarded-For: 2001:db8::1")) }
	for range 10 { // limits.register.burst
		victim()
	}
	if a := victim(); !a.is(429, "rate_limited") {
		t.Fatalf("%v", a)
	}
	var shown atomic.Int64
	next := func() string {
		n := shown.Add(1)
		if n > int64(*attackKeys) {
			return ""
		}
		from := fmt.Sprintf("X-Forwarded-For: 2001:db8:%x:%x::%x", n>>16, n&0xffff, n)
		switch n % 4 {
		case 0:
			return posted("/register", "{}", from)
		case 1:
			return posted("/refresh", "{}", from)
		case 2:
			return "GET /ws HTTP/1.1\r\nHost: x\r\n" + from + "\r\n\r\n"
		default: // asks for a guess, and shows no password, so that no hash is made
			return posted("/login", credentials(fmt.Sprint("user", n), ""), from)
		}
	}
	met := h.siege("keys", 64, func(context.Context) *tally {
		var met tally
		var showing sync.WaitGroup
		for range 4 {
			showing.Go(func() { proxy.show(&met, next) })
		}
		showing.Wait() // until all have been shown, however long that takes
		return &met
	})
	met.only(t, "400", "401", "426", "429")
	if a := victim(); !a.is(429, "rate_limited") {
		t.Errorf("a flood of others has given the victim another bucket: %v", a)
	}
}

// posted is a request as text.
func posted(path, body string, header ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, strings.Join(header, "\r\n"), len(body), body)
}

// show sends what next gives, many at a time, until that is nothing.
func (c *caller) show(met *tally, next func() string) {
	conn := c.reach(c.t.Context(), met)
	if conn == nil {
		return
	}
	defer func() { _ = conn.Close() }()
	const atOnce = 50
	from := bufio.NewReader(conn)
	for {
		var batch strings.Builder
		sent := 0
		for request := next(); request != ""; request = next() {
			batch.WriteString(request)
			if sent++; sent == atOnce {
				break
			}
		}
		if sent == 0 {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, batch.String()); err != nil {
			met.add(err.Error())
			return
		}
		for range sent {
			a, err := readAnswer(from)
			if err != nil {
				met.add(err.Error())
				return
			}
			met.add(fmt.Sprint(a.status))
		}
	}
}

// T2: tickets are asked for without end and never used, from a page whose origin is
// as long as a header may be.
func TestTicketFloodT2(t *testing.T) {
	for name, row := range map[string]struct {
		flags, met []string
	}{
		"within the limits":    {nil, []string{"200", "429"}},
		"as many as one likes": {[]string{"--limits.messages.rate=1000000", "--limits.messages.burst=1000000", "--limits.keys=20000"}, []string{"200", "503"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, row.flags...)
			h, attackers := s.honest(), s.mallories(3)
			met := h.siege("tickets, "+name, 48, func(ctx context.Context) *tally {
				var met tally
				swarm(ctx, len(attackers), func(i int) {
					attackers[i].hammer(ctx, &met, posted("/ws/ticket", "", "Authorization: Bearer "+attackers[i].access, "Origin: https://"+strings.Repeat("x", 12_000)))
				})
				return &met
			})
			met.only(t, row.met...)
		})
	}
}

// R2: refresh tokens are spent as fast as they come, and so are made-up ones, at
// both routes that take them; from one address each, and as from a botnet, which
// the limits of addresses do not slow.
func TestRefreshAndLogoutFloodR2(t *testing.T) {
	madeUp := toJSON("refresh_token", strings.Repeat("A", 78))
	for name, flags := range map[string][]string{"from four addresses": nil, "from everywhere": {"--limits.refresh.rate=0"}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, flags...)
			h, attackers := s.honest(), s.mallories(4)
			met := h.siege("refreshes and logouts "+name, 48, func(ctx context.Context) *tally {
				var met tally
				swarm(ctx, 2*len(attackers), func(i int) {
					switch u := attackers[i/2]; {
					case i%2 == 0:
						u.refreshOn(ctx, &met)
					case i%4 == 1:
						u.hammer(ctx, &met, posted("/refresh", madeUp, "X: x"))
					default:
						u.hammer(ctx, &met, posted("/logout", madeUp, "X: x"))
					}
				})
				return &met
			})
			met.only(t, "200", "401", "429")
		})
	}
}

// refreshOn spends the refresh token and keeps its successor; the user is this
// goroutine's alone.
func (u *user) refreshOn(ctx context.Context, met *tally) {
	a, err := u.try(ctx, "POST", "/refresh", toJSON("refresh_token", u.refresh))
	switch {
	case err == nil && a.status == http.StatusOK:
		u.refresh = a.field("refresh_token")
		fallthrough
	case err == nil:
		met.add(fmt.Sprint(a.status))
	case ctx.Err() == nil:
		met.add(err.Error())
	}
}

// R7, R8: one account logs in again and again, and out of every other session. It
// has as many sessions as it may, and what was revoked is forgotten with its token.
func TestLoggingInForeverR7R8(t *testing.T) {
	const sessions = 10
	s := start(t, fmt.Sprint("--auth.sessions-per-user=", sessions))
	h, mallory := s.honest(), s.signUp("mallory")
	first := mallory.connect()
	var logins atomic.Int64
	met := h.siege("logins and logouts", hashMemory, func(ctx context.Context) *tally {
		var met tally
		swarm(ctx, 4, func(int) {
			n := logins.Add(1)
			u := *mallory
			u.caller = s.callerAt(fmt.Sprintf("127.2.%d.%d", n/200%250, 1+n%200)) // nobody is slowed by limits.login
			a, err := u.try(ctx, "POST", "/login", credentials(u.name, password))
			if err == nil && a.status == 200 && n%2 == 0 {
				a, err = u.try(ctx, "POST", "/logout", "", "Authorization", "Bearer "+a.field("access_token"))
			}
			u.http.CloseIdleConnections()
			if err == nil {
				met.add(fmt.Sprint(a.status, " ", a.field("code")))
			} else if ctx.Err() == nil {
				met.add(err.Error())
			}
		})
		return &met
	})
	met.only(t, "200 ", "204 ", "401 invalid_token", "503 busy") // 401: a newer login has ended the session already
	for range sessions + 1 {                                     // a slow machine may not have come that far
		u := *mallory
		u.caller = s.caller()
		u.logIn()
	}
	if code := first.closeCode(); code != 4401 {
		t.Errorf("the first session's socket is closed with %d", code)
	}
	last := *mallory
	last.caller = s.caller()
	list := last.logIn().call("GET", "/sessions", "")
	if n := strings.Count(list.body, `"id"`); n > sessions {
		t.Errorf("%d sessions", n)
	}
}
