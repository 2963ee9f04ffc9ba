package main

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const password = "correct horse battery"

// grant is what a login or a refresh answers.
type grant struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func grantOf(t *testing.T, a answer) (g grant) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &g); err != nil || a.status != http.StatusOK || g.Access == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return g
}

// logIn opens one more session of a user that has signed up.
func (s *server) logIn(username string, header ...string) grant {
	s.t.Helper()
	return grantOf(s.t, s.do("POST", "/login", fmt.Sprintf(`{"username":%q,"password":%q}`, username, password), header...))
}

func (s *server) refresh(token string) answer {
	s.t.Helper()
	return s.do("POST", "/refresh", fmt.Sprintf(`{"refresh_token":%q}`, token))
}

// withToken is a request by the bearer of a token.
func (s *server) withToken(token, method, path, body string) answer {
	s.t.Helper()
	return s.do(method, path, body, "Authorization", "Bearer "+token)
}

// refused tells whether an answer is a problem of that status and code.
func refused(a answer, status int, code string) bool {
	return a.status == status && a.field("code") == code && a.header.Get("Content-Type") == "application/problem+json"
}

// R1: refresh tokens rotate. One that comes back after the grace ends the
// session, the newest token and the sockets with it, and no other session.
func TestReuseEndsTheFamilyR1(t *testing.T) {
	s := start(t, "--auth.refresh-grace=0s")
	s.signUp("alice")
	first, other := s.logIn("alice"), s.logIn("alice")
	second := grantOf(t, s.refresh(first.Refresh))
	third := grantOf(t, s.refresh(second.Refresh))
	if first.Refresh == second.Refresh || second.Refresh == third.Refresh {
		t.Fatal("a refresh token does not rotate")
	}
	tab := s.connect(third.Access)
	if a := s.refresh(first.Refresh); !refused(a, 401, "invalid_token") {
		t.Errorf("the first one again: %d %s", a.status, a.body)
	}
	if a := s.refresh(third.Refresh); !refused(a, 401, "invalid_token") {
		t.Errorf("the newest one lives: %d %s", a.status, a.body)
	}
	if a := s.get(third.Access, "/me"); !refused(a, 401, "invalid_token") {
		t.Errorf("its access token lives: %d %s", a.status, a.body)
	}
	if code := tab.closeCode(); code != 4401 {
		t.Errorf("its socket closed with %d", code)
	}
	grantOf(t, s.refresh(other.Refresh))
	if !s.logged("a refresh token was used again") {
		t.Error("the log does not tell")
	}
}

// R1: a used token logs nobody out everywhere: it ends its own session and no other.
func TestReuseAtLogoutR1(t *testing.T) {
	s := start(t, "--auth.refresh-grace=0s")
	s.signUp("alice")
	first, other := s.logIn("alice"), s.logIn("alice")
	second := grantOf(t, s.refresh(first.Refresh))
	if a := s.do("POST", "/logout", fmt.Sprintf(`{"refresh_token":%q,"all":true}`, first.Refresh)); !refused(a, 401, "invalid_token") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.get(second.Access, "/me"); a.status != 401 {
		t.Errorf("its own session lives: %d", a.status)
	}
	if a := s.get(other.Access, "/me"); a.status != 200 {
		t.Errorf("another session has ended: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/logout", fmt.Sprintf(`{"refresh_token":%q,"all":true}`, other.Refresh)); a.status != 204 {
		t.Errorf("by a good token: %d %s", a.status, a.body)
	}
}

// Nobody can end a session who has not had a token of it.
func TestForgedRefreshTokensEndNothing(t *testing.T) {
	s := start(t, "--auth.refresh-grace=0s")
	s.signUp("alice")
	g := s.logIn("alice")
	claims := strings.Split(g.Access, ".")[1]
	for name, token := range map[string]string{
		"nothing": "", "short": "x", "long": strings.Repeat("A", 10_000), "another family": strings.Repeat("A", 78),
		"an access token": g.Access, "part of one": (claims + claims)[:78], "lower case": strings.ToLower(g.Refresh),
	} {
		a := s.refresh(token)
		if want := map[bool]string{true: "no_token", false: "invalid_token"}[token == ""]; !refused(a, 401, want) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := s.get(g.Refresh, "/me"); !refused(a, 401, "invalid_token") {
		t.Errorf("a refresh token is an access token: %d %s", a.status, a.body)
	}
	grantOf(t, s.refresh(g.Refresh))
}

// R2: of 50 calls at once one rotates, and all get the same successor.
func TestOneSuccessorR2(t *testing.T) {
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			s := start(t, storeFlags(t, driver)...)
			s.signUp("alice")
			g := s.logIn("alice")
			var mu sync.Mutex
			successors := map[string]int{}
			var calls sync.WaitGroup
			for range 50 {
				calls.Go(func() {
					a := s.refresh(g.Refresh)
					mu.Lock()
					defer mu.Unlock()
					successors[fmt.Sprint(a.status, a.field("refresh_token"))]++
				})
			}
			calls.Wait()
			if len(successors) != 1 {
				t.Fatalf("%d different answers: %v", len(successors), successors)
			}
			next := grantOf(t, s.refresh(g.Refresh)) // within the grace
			if successors["200"+next.Refresh]+successors["200 "+next.Refresh] != 50 {
				t.Errorf("later it is another one")
			}
			last := grantOf(t, s.refresh(next.Refresh))
			// What it would have answered is spent: a late call gets what is good now.
			if again := grantOf(t, s.refresh(g.Refresh)); again.Refresh != last.Refresh {
				t.Error("after two rotations it is not the newest one")
			}
			s.connect(last.Access)
		})
	}
}

// R3: the database holds nothing that lets anyone in.
func TestDatabaseLetsNobodyInR3(t *testing.T) {
	s := start(t)
	s.signUp("alice")
	g := s.logIn("alice")
	next := grantOf(t, s.refresh(g.Refresh))
	ticket := s.withToken(next.Access, "POST", "/ws/ticket", "").field("ticket")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "gatecast.db*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	hashed := false
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, secret := range map[string]string{
			"password": password, "refresh token": g.Refresh, "its successor": next.Refresh, "what changes of it": next.Refresh[26:],
			"the family": g.Refresh[:26], "access token": next.Access, "ticket": ticket,
		} {
			if secret == "" || strings.Contains(string(data), secret) {
				t.Errorf("%s holds the %s", filepath.Base(file), name)
			}
		}
		sum := sha256.Sum256([]byte(next.Refresh))
		hashed = hashed || strings.Contains(string(data), string(sum[:]))
	}
	if !hashed {
		t.Error("not even the hash is there: this test looks in the wrong place")
	}
}

// R5, R6: a page's refresh token is in a cookie that no script reads, and no
// other site's page can use it.
func TestCookieSessionR5R6(t *testing.T) {
	s := start(t, "--http.trusted-proxies=127.0.0.1", "--http.origins=https://app.example,http://localhost:5173")
	s.signUp("alice")
	body := fmt.Sprintf(`{"username":"alice","password":%q,"use_cookie":true}`, password)
	for _, row := range []struct {
		name, host, proto, want string
	}{
		{"https", "chat.example", "https", "__Host-gatecast; Path=/; HttpOnly; Secure; SameSite=Strict"},
		{"localhost", "localhost:3000", "http", "gatecast; Path=/; HttpOnly; SameSite=Strict"},
		{"127.0.0.1", "127.0.0.1:3000", "http", "gatecast; Path=/; HttpOnly; SameSite=Strict"},
	} {
		home := []string{"Host", row.host, "X-Forwarded-Proto", row.proto, "Origin", row.proto + "://" + row.host}
		a := s.do("POST", "/login", body, home...)
		g := grantOf(t, a)
		cookie := oneCookie(t, a)
		shape := strings.Join(slices.DeleteFunc([]string{cookie.Name, "Path=" + cookie.Path,
			word(cookie.HttpOnly, "HttpOnly"), word(cookie.Secure, "Secure"), word(cookie.SameSite == http.SameSiteStrictMode, "SameSite=Strict")},
			func(s string) bool { return s == "" }), "; ")
		if shape != row.want || cookie.Domain != "" || cookie.MaxAge < 6*24*3600 || cookie.MaxAge > 7*24*3600 {
			t.Errorf("%s: %+v", row.name, cookie)
		}
		if g.Refresh != "" || strings.Contains(a.body, cookie.Value) {
			t.Errorf("%s: the body holds it too: %s", row.name, a.body)
		}
		with := append([]string{"Cookie", cookie.Name + "=" + cookie.Value}, home[:4]...)
		for origin, code := range map[string]string{
			"https://evil.example": "foreign_origin", "null": "foreign_origin", "": "cookie_alone",
			row.proto + "://" + row.host + ".evil.example": "foreign_origin",
		} {
			for _, path := range []string{"/refresh", "/logout"} {
				if a := s.do("POST", path, "", append(slices.Clone(with), header("Origin", origin)...)...); !refused(a, 403, code) || len(a.header.Values("Set-Cookie")) > 0 {
					t.Errorf("%s: %s from %q: %d %s", row.name, path, origin, a.status, a.body)
				}
			}
		}
		// A form of another site cannot send JSON, and has its Origin.
		form := s.do("POST", "/refresh", "a=b", append(with, "Origin", "https://evil.example", "Content-Type", "application/x-www-form-urlencoded")...)
		if form.status != 415 && form.status != 403 {
			t.Errorf("%s: a form: %d %s", row.name, form.status, form.body)
		}
		a = s.do("POST", "/refresh", "", append(with, home[4:]...)...)
		next := grantOf(t, a)
		if renewed := oneCookie(t, a); renewed.Value == cookie.Value || next.Refresh != "" {
			t.Errorf("%s: refreshed to %+v, %s", row.name, renewed, a.body)
		} else {
			with[1] = renewed.Name + "=" + renewed.Value
		}
		tab := s.connect(next.Access)
		a = s.do("POST", "/logout", "", append(with, home[4:]...)...)
		if a.status != 204 || oneCookie(t, a).MaxAge >= 0 {
			t.Errorf("%s: logout: %d %v", row.name, a.status, a.header)
		}
		if code := tab.closeCode(); code != 4401 {
			t.Errorf("%s: closed with %d", row.name, code)
		}
		a = s.do("POST", "/refresh", "", append(with, home[4:]...)...)
		if !refused(a, 401, "invalid_token") || oneCookie(t, a).MaxAge >= 0 {
			t.Errorf("%s: after the logout: %d %s", row.name, a.status, a.body)
		}
	}
	if a := s.do("POST", "/login", body, "Host", "chat.example", "Origin", "http://chat.example"); !refused(a, 400, "https_required") {
		t.Errorf("over plain http: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/login", body, "Host", "localhost", "Origin", "https://app.example"); !refused(a, 400, "https_required") {
		t.Errorf("by a proxy that calls us localhost: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/login", body, "Host", "chat.example", "X-Forwarded-Host", "localhost", "X-Gatecast", "1"); !refused(a, 400, "https_required") {
		t.Errorf("over plain http with a made-up host: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/login", body, "Host", "localhost", "Origin", "https://evil.example"); !refused(a, 403, "foreign_origin") {
		t.Errorf("a login by another site's page: %d %s", a.status, a.body)
	}
	// A program that keeps cookies has no Origin; a listed origin may be of the same site.
	for _, who := range [][]string{{"X-Gatecast", "1"}, {"Origin", "http://localhost:5173"}} {
		a := s.do("POST", "/login", body, append([]string{"Host", "localhost"}, who...)...)
		cookie := oneCookie(t, a)
		a = s.do("POST", "/refresh", "{}", append([]string{"Host", "localhost", "Cookie", "gatecast=" + cookie.Value}, who...)...)
		grantOf(t, a)
	}
}

func word(set bool, name string) string { return map[bool]string{true: name}[set] }

// header is a header that is not sent where it is empty.
func header(name, value string) []string {
	if value == "" {
		return nil
	}
	return []string{name, value}
}

func oneCookie(t *testing.T, a answer) *http.Cookie {
	t.Helper()
	cookies := (&http.Response{Header: a.header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies: %d %s %v", len(cookies), a.status, a.body, a.header)
	}
	return cookies[0]
}

// R7: whatever ends a session ends its sockets and its access tokens within a
// second, and leaves other sessions and users alone.
func TestWhateverEndsASessionR7(t *testing.T) {
	s := start(t)
	s.signUp("bob")
	bob := s.connect(s.logIn("bob").Access)
	for name, row := range map[string]struct {
		end    func(t *testing.T, here, there grant) answer
		here   bool // the session that asks ends too
		others bool // and the user's others
	}{
		"logout": {func(t *testing.T, here, _ grant) answer { return s.withToken(here.Access, "POST", "/logout", "") }, true, false},
		"logout by refresh token": {func(t *testing.T, here, _ grant) answer {
			return s.do("POST", "/logout", fmt.Sprintf(`{"refresh_token":%q}`, here.Refresh))
		}, true, false},
		"logout of all": {func(t *testing.T, here, _ grant) answer {
			return s.withToken(here.Access, "POST", "/logout", `{"all":true}`)
		}, true, true},
		"another session": {func(t *testing.T, here, there grant) answer {
			return s.withToken(here.Access, "DELETE", "/sessions/"+s.currentSession(there.Access), "")
		}, false, true},
		"a new password": {func(t *testing.T, here, _ grant) answer {
			return s.withToken(here.Access, "PUT", "/me/password", `{"current_password":"correct horse battery","new_password":"battery horse correct"}`)
		}, false, true},
		"the account's end": {func(t *testing.T, here, _ grant) answer { return s.withToken(here.Access, "DELETE", "/me", "") }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			user := "alice" + fmt.Sprint(len(name))
			s.signUp(user)
			here, there := s.logIn(user), s.logIn(user)
			sockets := map[*peer]bool{s.connect(here.Access): row.here, s.connect(there.Access): row.others, s.connect(there.Access): row.others}
			began := time.Now()
			if a := row.end(t, here, there); a.status != http.StatusNoContent {
				t.Fatalf("%d %s", a.status, a.body)
			}
			for g, ends := range map[grant]bool{here: row.here, there: row.others} {
				if a := s.get(g.Access, "/me"); ends != refused(a, 401, "invalid_token") {
					t.Errorf("ends %v, and /me answers %d %s", ends, a.status, a.body)
				}
				if conn, a := s.upgrade("/ws", "Authorization", "Bearer "+g.Access); ends != (conn == nil) {
					t.Errorf("ends %v, and the gate answers %d", ends, a.status)
				} else if conn != nil {
					newPeer(t, conn).leave()
				}
			}
			for p, ends := range sockets {
				if !ends {
					p.ask(`{"type":"ping","id":"alive"}`)
				} else if code := p.closeCode(); code != 4401 {
					t.Errorf("closed with %d", code)
				}
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("it took %v", took)
			}
			if a := s.refresh(there.Refresh); row.others != (a.status == 401) {
				t.Errorf("the others' refresh token answers %d", a.status)
			}
			if a := s.refresh(here.Refresh); row.here != (a.status == 401) {
				t.Errorf("its refresh token answers %d", a.status)
			}
		})
	}
	bob.ask(`{"type":"ping","id":"alive"}`)
}

// currentSession is the ID of the session that a token is of.
func (s *server) currentSession(token string) string {
	s.t.Helper()
	for _, session := range s.sessions(token) {
		if session["current"] == true {
			return session.str("id")
		}
	}
	s.t.Fatal("no session is the current one")
	return ""
}

func (s *server) sessions(token string) []frame {
	s.t.Helper()
	var body struct{ Sessions []frame }
	a := s.get(token, "/sessions")
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != 200 {
		s.t.Fatalf("%d %s", a.status, a.body)
	}
	return body.Sessions
}

// R7: on every node.
func TestRevocationOnAnotherNodeR7(t *testing.T) {
	flags := append(storeFlags(t, "postgres"), "--auth.hmac-secret=7n2T0Gq1kXw9ZcVb4mLr8sPd5fHj6aYe")
	one, two := start(t, flags...), start(t, flags...)
	one.signUp("alice")
	g := one.logIn("alice")
	tab := two.connect(g.Access)
	began := time.Now()
	if a := one.withToken(g.Access, "POST", "/logout", ""); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if code := tab.closeCode(); code != 4401 || time.Since(began) > time.Second {
		t.Errorf("closed with %d after %v", code, time.Since(began))
	}
	if a := two.get(g.Access, "/me"); !refused(a, 401, "invalid_token") {
		t.Errorf("%d %s", a.status, a.body)
	}
	// A node that starts later knows too.
	three := start(t, flags...)
	if a := three.get(g.Access, "/me"); !refused(a, 401, "invalid_token") {
		t.Errorf("a new node: %d %s", a.status, a.body)
	}
	// A ticket of one node is good at another, once.
	g = one.logIn("alice")
	ticket := one.withToken(g.Access, "POST", "/ws/ticket", "").field("ticket")
	conn, a := two.upgrade("/ws?ticket=" + ticket)
	if conn == nil {
		t.Fatalf("the ticket at another node: %d %s", a.status, a.body)
	}
	newPeer(t, conn).leave()
	if conn, a := one.upgrade("/ws?ticket=" + ticket); conn != nil || a.status != 401 {
		t.Errorf("the ticket again: %d", a.status)
	}
}

// R8: a user sees their sessions and ends one; nobody else's.
func TestSessionsListR8(t *testing.T) {
	s := start(t, "--http.trusted-proxies=127.0.0.1")
	s.signUp("alice")
	s.signUp("bob")
	phone := s.logIn("alice", "User-Agent", "Phone\u200b ✓"+strings.Repeat("x", 500), "X-Forwarded-For", "192.0.2.7")
	desk := s.logIn("alice", "User-Agent", "Desk", "X-Forwarded-For", "2001:db8::1")
	list := s.sessions(desk.Access)
	if len(list) != 3 { // signing up has logged in too
		t.Fatalf("%v", list)
	}
	var seen []string
	for _, session := range list {
		for _, name := range []string{"created_at", "last_used_at", "expires_at"} {
			if at, err := time.Parse(time.RFC3339, session.str(name)); err != nil || at.Location() != time.UTC {
				t.Errorf("%s is %v", name, session[name])
			}
		}
		seen = append(seen, fmt.Sprintf("%.7s %s %v", session.str("device"), session.str("address"), session["current"]))
		if len(session.str("device")) > 200 {
			t.Errorf("the device is %d bytes long", len(session.str("device")))
		}
	}
	if fmt.Sprint(seen[:2]) != "[Desk 2001:db8::1 true Phone ✓ 192.0.2.7 false]" {
		t.Errorf("%q", seen)
	}
	bob := s.logIn("bob")
	id := s.currentSession(phone.Access)
	for token, status := range map[string]int{bob.Access: 404, desk.Access: 204} {
		for _, wrong := range []string{"nobody", "..", "%00", strings.Repeat("x", 1000)} {
			if a := s.withToken(token, "DELETE", "/sessions/"+wrong, ""); a.status != 404 {
				t.Errorf("%.20q: %d %s", wrong, a.status, a.body)
			}
		}
		if status == 404 {
			if a := s.withToken(token, "DELETE", "/sessions/"+id, ""); !refused(a, 404, "not_found") {
				t.Errorf("another's: %d %s", a.status, a.body)
			}
		}
	}
	if a := s.get(phone.Access, "/me"); a.status != 200 {
		t.Errorf("the session is gone: %d", a.status)
	}
	if a := s.withToken(desk.Access, "DELETE", "/sessions/"+id, ""); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.get(phone.Access, "/me"); a.status != 401 {
		t.Errorf("the session is there: %d", a.status)
	}
	if a := s.withToken(desk.Access, "DELETE", "/sessions/"+id, ""); a.status != 404 {
		t.Errorf("again: %d %s", a.status, a.body)
	}
	if list := s.sessions(desk.Access); len(list) != 2 {
		t.Errorf("%v", list)
	}
}

// An account has a bounded number of sessions.
func TestSessionsAreBounded(t *testing.T) {
	s := start(t, "--auth.sessions-per-user=2")
	first := s.signUp("alice")
	tab := s.connect(first)
	s.logIn("alice")
	last := s.logIn("alice")
	if code := tab.closeCode(); code != 4401 {
		t.Errorf("closed with %d", code)
	}
	if list := s.sessions(last.Access); len(list) != 2 {
		t.Errorf("%v", list)
	}
}

// PUT /me/password asks for the old one, and for a good new one.
func TestChangePassword(t *testing.T) {
	s := start(t)
	token := s.signUp("alice")
	for body, code := range map[string]string{
		`{"current_password":"wrong horse battery","new_password":"battery horse correct"}`: "bad_credentials",
		`{"current_password":"correct horse battery","new_password":"short"}`:               "invalid_new_password",
		`{"current_password":"","new_password":"battery horse correct"}`:                    "invalid_current_password",
		`{"current_password":"correct horse battery"}`:                                      "invalid_new_password",
		`{"new_password":"battery horse correct","username":"bob"}`:                         "bad_body",
	} {
		if a := s.withToken(token, "PUT", "/me/password", body); a.field("code") != code {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if a := s.withToken(token, "PUT", "/me/password", `{"current_password":"correct horse battery","new_password":"battery horse correct"}`); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := s.do("POST", "/login", `{"username":"alice","password":"correct horse battery"}`); a.status != 401 {
		t.Errorf("the old one: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/login", `{"username":"alice","password":"battery horse correct"}`); a.status != 200 {
		t.Errorf("the new one: %d %s", a.status, a.body)
	}
}

// Tokens that come from no login have no sessions, and say so.
func TestTokensWithoutASession(t *testing.T) {
	s := start(t)
	token, _, err := s.issuer(tokenOptionsOf(t)).IssueService("service:feed", "feed", "service", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []string{"GET /sessions", "DELETE /sessions/x", "POST /logout", "PUT /me/password", "DELETE /me"} {
		method, path, _ := strings.Cut(call, " ")
		if a := s.withToken(token, method, path, ""); !refused(a, 403, "no_session") {
			t.Errorf("%s: %d %s", call, a.status, a.body)
		}
	}
	s.connect(token)
}

// What an older server left behind does no harm: its sessions could not be used.
func TestOldSessionsDoNoHarm(t *testing.T) {
	s := start(t)
	s.signUp("alice")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "gatecast.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `DELETE FROM sessions`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s = startIn(t, s.dir)
	s.connect(s.logIn("alice").Access)
}
