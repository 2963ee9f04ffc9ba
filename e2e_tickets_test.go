package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func (s *server) ticket(token string, header ...string) string {
	s.t.Helper()
	a := s.do("POST", "/ws/ticket", "", append(header, "Authorization", "Bearer "+token)...)
	if a.status != http.StatusOK || len(a.field("ticket")) < 26 || a.field("expires_in") == "" || a.header.Get("Cache-Control") != "no-store" {
		s.t.Fatalf("%d %s", a.status, a.body)
	}
	return a.field("ticket")
}

// T2: a ticket lets one socket in, from the origin that asked for it.
func TestTicketsT2(t *testing.T) {
	s := start(t, "--http.origins=https://app.example,https://other.example")
	alice := s.token("alice")
	const app, other = "https://app.example", "https://other.example"
	try := func(ticket string, header ...string) (status int, code string) {
		conn, a := s.upgrade("/ws?ticket="+ticket, header...)
		if conn != nil {
			p := newPeer(t, conn)
			if f := p.until("welcome"); f.str("username") != "alice" {
				t.Errorf("%v", f)
			}
			p.leave()
		}
		return a.status, a.field("code")
	}
	for name, row := range map[string]struct {
		asked, shown string
		status       int
	}{
		"the same origin":                   {app, app, 101},
		"no page":                           {"", "", 101},
		"another origin":                    {app, other, 401},
		"an origin that is not listed":      {app, "https://evil.example", 403},
		"asked by a page, shown by none":    {app, "", 401},
		"asked by none, shown by a page":    {"", app, 401},
		"asked by an origin unlisted, used": {"https://evil.example", app, 401},
	} {
		ticket := s.ticket(alice, header("Origin", row.asked)...)
		if status, _ := try(ticket, header("Origin", row.shown)...); status != row.status {
			t.Errorf("%s: %d", name, status)
		}
		if row.status == 403 {
			continue // refused at the origin: nobody looked at the ticket
		}
		if status, code := try(ticket, header("Origin", row.asked)...); row.asked != "https://evil.example" && (status != 401 || code != "invalid_ticket") {
			t.Errorf("%s: again %d %s", name, status, code)
		}
	}
	for name, row := range map[string]struct {
		ticket, code string
		header       []string
	}{
		"nonsense":               {"x", "invalid_ticket", nil},
		"a token as a ticket":    {alice, "invalid_ticket", nil},
		"with a token":           {s.ticket(alice), "many_tokens", []string{"Authorization", "Bearer " + alice}},
		"with a cookie":          {"x", "invalid_ticket", []string{"Cookie", "gatecast=x"}},
		"with a bearer protocol": {s.ticket(alice), "many_tokens", []string{"Sec-WebSocket-Protocol", "gatecast.v1, bearer." + alice}},
		"empty":                  {"", "no_token", nil},
	} {
		if _, code := try(row.ticket, row.header...); code != row.code {
			t.Errorf("%s: %s", name, code)
		}
	}
	if a := s.do("POST", "/ws/ticket", ""); !refused(a, 401, "no_token") {
		t.Errorf("without a token: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/ws/ticket?ticket="+s.ticket(alice), ""); !refused(a, 401, "no_token") {
		t.Errorf("a ticket for a ticket: %d %s", a.status, a.body)
	}
}

// T2: of a hundred at once one gets in.
func TestOneSocketATicketT2(t *testing.T) {
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			s := start(t, storeFlags(t, driver)...)
			ticket := s.ticket(s.token("alice"))
			var in, out atomic.Int32
			var calls sync.WaitGroup
			for range 100 {
				calls.Go(func() {
					conn, a := s.upgrade("/ws?ticket=" + ticket)
					if conn != nil {
						in.Add(1)
						newPeer(t, conn)
					} else if refused(a, 401, "invalid_ticket") || a.status == 401 {
						out.Add(1)
					}
				})
			}
			calls.Wait()
			if in.Load() != 1 || out.Load() != 99 {
				t.Errorf("%d got in, %d were refused", in.Load(), out.Load())
			}
		})
	}
}

// T2: a ticket ends with its session, and its socket with the token. How long it
// is good is tested where a clock can be moved, in auth/tickets_test.go.
func TestTicketsEndWithTheirSessionT2(t *testing.T) {
	s := start(t)
	s.signUp("alice")
	g := s.logIn("alice")
	ticket := s.ticket(g.Access)
	if a := s.withToken(g.Access, "POST", "/logout", ""); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if conn, a := s.upgrade("/ws?ticket=" + ticket); conn != nil || a.field("code") != "invalid_ticket" {
		t.Errorf("after the logout: %d %s", a.status, a.body)
	}
	// The socket lives no longer than the token that the ticket was asked for with.
	ticket = s.ticket(s.shortToken("bob", "s", 2*time.Second))
	conn, a := s.upgrade("/ws?ticket=" + ticket)
	if conn == nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if code := newPeer(t, conn).closeCode(); code != 4401 {
		t.Errorf("closed with %d", code)
	}
}
