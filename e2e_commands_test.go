package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatecast/gatecast/auth"
)

func passwordFile(t *testing.T, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password+"\nnot this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// R7: what an operator does to an account while the server runs, it notices
// within a second.
func TestUserCommandsR7(t *testing.T) {
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			flags := storeFlags(t, driver)
			s := start(t, flags...)
			command := func(args ...string) string {
				t.Helper()
				says, err := gatecast(t, append(append(args, "--data-dir="+s.dir), flags...)...)
				if err != nil {
					t.Fatalf("%v: %v", args, err)
				}
				return says
			}
			if says := command("user", "add", "Alice", "--role=admin", "--password-file="+passwordFile(t, password)); !strings.HasPrefix(says, "alice is admin, with the ID ") {
				t.Errorf("%s", says)
			}
			g := s.logIn("alice")
			if a := s.get(g.Access, "/me"); a.field("role") != "admin" {
				t.Errorf("%d %s", a.status, a.body)
			}
			for _, row := range []struct {
				args []string
				then func()
			}{
				{[]string{"user", "role", "alice", "user"}, nil},
				{[]string{"user", "passwd", "alice", "--password-file=" + passwordFile(t, "battery horse correct")}, func() {
					if a := s.do("POST", "/login", `{"username":"alice","password":"correct horse battery"}`); a.status != 401 {
						t.Errorf("the old password: %d", a.status)
					}
					command("user", "passwd", "alice", "--password-file="+passwordFile(t, password))
				}},
				{[]string{"user", "disable", "ALICE"}, func() {
					if a := s.do("POST", "/login", `{"username":"alice","password":"correct horse battery"}`); !refused(a, 403, "account_disabled") {
						t.Errorf("%d %s", a.status, a.body)
					}
					command("user", "enable", "alice")
				}},
				{[]string{"user", "delete", "alice"}, func() {
					if a := s.do("POST", "/login", `{"username":"alice","password":"correct horse battery"}`); !refused(a, 401, "bad_credentials") {
						t.Errorf("%d %s", a.status, a.body)
					}
				}},
			} {
				tab := s.connect(g.Access)
				command(row.args...)
				began := time.Now()
				if code := tab.closeCode(); code != 4401 || time.Since(began) > time.Second {
					t.Errorf("%v: closed with %d after %v", row.args, code, time.Since(began))
				}
				for _, a := range []answer{s.get(g.Access, "/me"), s.refresh(g.Refresh)} {
					if !refused(a, 401, "invalid_token") {
						t.Errorf("%v: %d %s", row.args, a.status, a.body)
					}
				}
				if row.then != nil {
					row.then()
				}
				if row.args[1] != "delete" {
					g = s.logIn("alice")
				}
			}
		})
	}
}

func TestUserCommandsRefuse(t *testing.T) {
	dir := "--data-dir=" + t.TempDir()
	file := "--password-file=" + passwordFile(t, password)
	if _, err := gatecast(t, "user", "add", "bob", dir, file); err != nil { // no server runs
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"there is an account \"BOB\" already":           {"user", "add", "BOB", dir, file},
		"may hold letters":                              {"user", "add", "a b", dir, file},
		"must be user, service or admin":                {"user", "add", "carol", "--role=king", dir, file},
		"must have 8 characters at least":               {"user", "add", "carol", dir, "--password-file=" + passwordFile(t, "short")},
		"no such file":                                  {"user", "add", "carol", dir, "--password-file=/nowhere"},
		"there is no account \"carol\"":                 {"user", "disable", "carol", dir},
		"role must be user, service or admin":           {"user", "role", "bob", "king", dir},
		"write `gatecast user role NAME ROLE [flags]`":  {"user", "role", "bob", dir},
		"there is no command \"user\"":                  {"user", dir},
		"flag provided but not defined: -password-file": {"user", "disable", "bob", dir, file},
		"is none of subscribe, publish, presence, read": {"token", "--channel=room:1=shout", dir},
		"is neither a channel's name":                   {"token", "--channel=Room=publish", dir},
		"write CHANNEL=ACTION,ACTION":                   {"token", "--channel=room:1", dir},
		"--ttl: 9000h0m0s is not between 1s and":        {"token", "--ttl=9000h", dir},
		"--role: \"king\" is not a role":                {"token", "--role=king", dir},
		"--name: \"a b\" is not a name":                 {"token", "--name=a b", dir},
		"that is a token; name its ID":                  {"token", "revoke", "a.b.c", dir},
	} {
		if says, err := gatecast(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v %s\nwant %s", args, err, says, want)
		}
	}
}

// A backend's token does what its channels say, which no rule need allow, and
// ends when it is revoked.
func TestTokenCommandW5R7(t *testing.T) {
	s := start(t)
	issue := func(args ...string) string {
		t.Helper()
		out, err := gatecast(t, append([]string{"token", "--data-dir=" + s.dir}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	token := issue("--role", "service", "--channel", "prices:*=publish", "--channel=prices:secret=", "--ttl", "24h")
	reader := issue("--role=user", "--name=reader", "--channel=prices:*=subscribe,presence", "--channel=*=")
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		t.Fatal(err)
	}
	if life := claims["exp"].(float64) - claims["iat"].(float64); life != 24*3600 || claims["sub"] != "service:backend" || claims["role"] != "service" || claims["sid"] != nil {
		t.Errorf("%v", claims)
	}
	if a := s.get(token, "/me"); a.status != 200 || a.field("username") != "backend" {
		t.Errorf("/me: %d %s", a.status, a.body)
	}
	ear := s.connect(reader)
	ear.subscribe("prices:btc")
	if a := s.post(token, "prices:btc", `{"data":42}`); a.status != 201 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if f := ear.until("message"); f["data"] != 42.0 || f.str("username") != "backend" {
		t.Errorf("%v", f)
	}
	for channel, status := range map[string]int{"prices:secret": 403, "lobby": 201, "unheard:of": 403, "user:x": 201} {
		if a := s.post(token, channel, `{"data":1}`); a.status != status {
			t.Errorf("%s: %d %s", channel, a.status, a.body)
		}
	}
	for frame, code := range map[string]string{
		`{"type":"publish","id":1,"channel":"prices:btc","data":1}`:   "forbidden",
		`{"type":"subscribe","id":2,"channel":"lobby"}`:               "forbidden",
		`{"type":"history","id":3,"channel":"prices:btc"}`:            "forbidden",
		`{"type":"subscribe","id":4,"channel":"prices:eth","last":1}`: "forbidden",
		`{"type":"subscribe","id":5,"channel":"user:bob"}`:            "forbidden",
		`{"type":"presence","id":6,"channel":"prices:btc"}`:           "",
	} {
		if f := ear.ask(frame); f.str("code") != code {
			t.Errorf("%s: %v", frame, f)
		}
	}
	feed := s.connect(token)
	if says, err := gatecast(t, "token", "revoke", claims["jti"].(string), "--data-dir="+s.dir); err != nil {
		t.Errorf("%v %s", err, says)
	}
	if code := feed.closeCode(); code != 4401 {
		t.Errorf("closed with %d", code)
	}
	if a := s.post(token, "prices:btc", `{"data":42}`); !refused(a, 401, "invalid_token") {
		t.Errorf("%d %s", a.status, a.body)
	}
	ear.ask(`{"type":"ping","id":"alive"}`)
}

// GET /channels lists what a token may subscribe to, all of it and no more, page
// by page too.
func TestChannelsListWithCapabilities(t *testing.T) {
	s := start(t, `--namespaces={"room:vip": {subscribe: [admin], history: {count: 9}}, "live:*": {subscribe: [user]}}`)
	boss := s.tokenAs("boss", "admin")
	for _, channel := range []string{"lobby", "room:1", "room:2", "room:vip", "room:zoo", "user:ID-alice", "user:bob", "live:1"} {
		s.post(boss, channel, `{"data":1}`)
	}
	s.connect(boss).subscribe("room:vip") // it has no rule for publishing
	for name, row := range map[string]struct {
		channels auth.Capabilities
		sees     string
	}{
		"none":                {nil, "lobby room:1 room:2 room:zoo user:ID-alice"},
		"less of a namespace": {auth.Capabilities{"room:2": {"publish"}}, "lobby room:1 room:zoo user:ID-alice"},
		"more":                {auth.Capabilities{"room:vip": {"subscribe"}, "user:bob": {"subscribe"}}, "lobby room:1 room:2 room:vip room:zoo user:ID-alice user:bob"},
		"a closed namespace":  {auth.Capabilities{"room:*": {}, "room:1": {"subscribe"}}, "lobby room:1 user:ID-alice"},
		"an open one":         {auth.Capabilities{"user:*": {"subscribe"}}, "lobby room:1 room:2 room:zoo user:ID-alice user:bob"},
		"nothing":             {auth.Capabilities{"*": {}}, ""},
		"nothing but one":     {auth.Capabilities{"*": {}, "room:2": {"subscribe"}}, "room:2"},
		"everything":          {auth.Capabilities{"*": {"subscribe"}}, "lobby room:1 room:2 room:vip room:zoo user:ID-alice user:bob"},
		"what keeps nothing":  {auth.Capabilities{"live:*": {"subscribe"}, "*": {}}, ""},
	} {
		token, _, err := s.issuer(tokenOptionsOf(t)).IssueService("ID-alice", "alice", "user", row.channels, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		for after, more := "", true; more; {
			var page struct {
				Channels []struct{ Channel string }
				More     bool
			}
			a := s.get(token, "/channels?limit=1&after="+after)
			if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			for _, c := range page.Channels {
				after = c.Channel
				seen = append(seen, after)
			}
			more = page.More
		}
		if got := strings.Join(seen, " "); got != row.sees {
			t.Errorf("%s: sees %q, want %q", name, got, row.sees)
		}
	}
}
