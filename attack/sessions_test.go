package attack_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// R1, R7: a thief has copied a refresh token. Whoever of the two uses it first,
// the other's use tells: the session ends for both, with its access tokens and
// sockets, and no other session does.
func TestStolenRefreshTokenR1R7(t *testing.T) {
	for name, thiefIsFirst := range map[string]bool{"the thief is first": true, "the owner is first": false} {
		t.Run(name, func(t *testing.T) {
			s := start(t, "--auth.refresh-grace=0s")
			owner := s.signUp("alice")
			elsewhere, bob := owner.logIn(), s.signUp("bob")
			thief := *owner
			thief.caller = s.caller()

			first, second := owner, &thief
			if thiefIsFirst {
				first, second = second, first
			}
			first = first.with(first.spend(owner.refresh))
			theirs := first.connect()
			others := []*peer{elsewhere.connect(), bob.connect()}
			if a := second.spend(owner.refresh); !a.is(401, "invalid_token") {
				t.Errorf("the second to use it: %v", a)
			}
			if code := theirs.closeCode(); code != 4401 {
				t.Errorf("the first one's socket is closed with %d", code)
			}
			for who, u := range map[string]*user{"the first": first, "the owner of before": owner} {
				if a := u.call("GET", "/me", ""); !a.is(401, "invalid_token") {
					t.Errorf("%s is still in: %v", who, a)
				}
				if a := u.call("POST", "/ws/ticket", ""); !a.is(401, "invalid_token") {
					t.Errorf("%s is given a ticket: %v", who, a)
				}
			}
			if a := first.spend(first.refresh); !a.is(401, "invalid_token") {
				t.Errorf("the newest refresh token lives: %v", a)
			}
			for _, p := range others {
				p.isAlive()
			}
			elsewhere.with(elsewhere.spend(elsewhere.refresh))
			owner.logIn()
		})
	}
}

// R2: within the grace a thief gets the owner's successor, and nothing more: the
// next use by either tells.
func TestGraceGivesAThiefOneSuccessorR1R2(t *testing.T) {
	s := start(t) // with the grace of 10 s
	owner := s.signUp("alice")
	next := owner.with(owner.spend(owner.refresh))
	thief := owner.with(owner.spend(owner.refresh))
	if thief.refresh != next.refresh {
		t.Fatal("one token has two successors")
	}
	if a := s.caller().spend(owner.refresh[:26] + strings.Repeat("A", 52)); !a.is(401, "invalid_token") { // an older one, or one that is made up
		t.Errorf("a token that never was: %v", a)
	}
	if a := next.spend(next.refresh); !a.is(401, "invalid_token") {
		t.Errorf("the session goes on: %v", a)
	}
}

// R8: nobody reaches the session of somebody else, however its ID is written, and
// no ID that is none means all.
func TestSessionsOfOthersR8(t *testing.T) {
	s := start(t, "--limits.messages.burst=100")
	alice, mallory := s.signUp("alice"), s.signUp("mallory")
	tab := alice.connect()
	var id string
	for part := range strings.SplitSeq(alice.call("GET", "/sessions", "").body, `"`) {
		if len(part) == 26 {
			id = part
		}
	}
	if id == "" {
		t.Fatal("alice has no session")
	}
	for _, path := range []string{
		id, id + "%00", "%00" + id, strings.ToLower(id), "%2e%2e%2f" + id, "..%2f" + id, id + "?account_id=" + alice.id, id + ";x", "*", "%25", "%", "''", "'%20OR%20'1'='1",
		"%20", "%09", "null", "0", id + "," + id, strings.Repeat("A", 8000),
	} {
		if a := mallory.do("DELETE", "/sessions/x", "", "Authorization", "Bearer "+mallory.access); !a.is(404, "not_found") {
			t.Fatalf("%v", a)
		}
		a := mallory.raw(fmt.Sprintf("DELETE /sessions/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, mallory.access))
		if a.status != 404 {
			t.Errorf("%.60s: %v", path, a)
		}
	}
	if a := mallory.call("DELETE", "/sessions/", ""); a.status != 405 && a.status != 404 {
		t.Errorf("no ID at all: %v", a)
	}
	tab.isAlive()
	mallory.connect()
	alice.with(alice.spend(alice.refresh))
}

// A refresh renews what there is: fields that ask for more are refused, and so is
// a body that hides them.
func TestAskingForMoreAtRefreshH6(t *testing.T) {
	s := start(t)
	mallory := s.signUp("mallory")
	for _, field := range []string{
		`"role":"admin"`, `"scope":"admin"`, `"channels":{"*":["publish","subscribe"]}`, `"sub":"root"`, `"user_id":"root"`, `"username":"alice"`, `"sid":"x"`,
		`"grant_type":"refresh_token"`, `"expires_in":99999999`, `"use_cookie":true`, `"__proto__":{"role":"admin"}`, `"client_id":"gatecast-service"`,
	} {
		a := mallory.do("POST", "/refresh", fmt.Sprintf(`{"refresh_token":%q,%s}`, mallory.refresh, field))
		if !a.is(400, "bad_body") {
			t.Errorf("%s: %v", field, a)
		}
	}
	for name, body := range map[string]string{
		"a list": `[{"refresh_token":"` + mallory.refresh + `"}]`, "two objects": `{"refresh_token":"` + mallory.refresh + `"}{"role":"admin"}`,
		"text": `"` + mallory.refresh + `"`, "a list of tokens": `{"refresh_token":["` + mallory.refresh + `"]}`,
	} {
		if a := mallory.do("POST", "/refresh", body); !a.is(400, "bad_body") {
			t.Errorf("%s: %v", name, a)
		}
	}
	if a := mallory.do("POST", "/refresh?role=admin&scope=admin", toJSON("refresh_token", mallory.refresh), "X-Role", "admin", "Authorization", "Bearer "+mallory.access); a.status != http.StatusOK {
		t.Errorf("what stands beside is not looked at: %v", a)
	} else if next := mallory.with(a); next.call("GET", "/me", "").field("role") != "user" {
		t.Error("it was")
	}
}

// Whom a request is about is in its token: no body, query or header of any route
// says otherwise.
func TestActingForSomebodyElseW5(t *testing.T) {
	s := start(t)
	alice, mallory := s.signUp("alice"), s.signUp("mallory")
	for _, row := range []struct{ method, path, body string }{
		{"PUT", "/me/password", toJSON("current_password", password, "new_password", "battery horse correct", "user_id", alice.id)},
		{"PUT", "/me/password", toJSON("current_password", password, "new_password", "battery horse correct", "username", "alice")},
		{"POST", "/logout", toJSON("all", true, "user_id", alice.id)},
		{"POST", "/logout", toJSON("all", true, "username", "alice")},
		{"POST", "/channels/room:1/messages", toJSON("data", 1, "userId", alice.id)},
		{"POST", "/channels/room:1/messages", toJSON("data", 1, "user_id", alice.id, "username", "alice")},
		{"POST", "/channels/room:1/messages", toJSON("data", 1, "clientId", "x", "seq", 1000)},
		{"POST", "/register", toJSON("username", "eve", "password", password, "role", "admin")},
		{"POST", "/login", toJSON("username", "mallory", "password", password, "role", "admin")},
	} {
		if a := mallory.call(row.method, row.path, row.body, "X-User", "alice", "X-Forwarded-User", "alice"); !a.is(400, "bad_body") {
			t.Errorf("%s %s %s: %v", row.method, row.path, row.body, a)
		}
	}
	if a := mallory.call("GET", "/me?user_id="+alice.id, ""); a.field("username") != "mallory" {
		t.Errorf("%v", a)
	}
	alice.logIn()
}
