package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestRegisterLoginMe(t *testing.T) {
	s := start(t)
	body := `{"username":"Alice","password":"correct horse battery"}`
	created := s.do("POST", "/register", body)
	if created.status != http.StatusCreated || created.field("username") != "alice" || created.field("user_id") == "" || created.field("role") != "user" {
		t.Fatalf("register: %d %s", created.status, created.body)
	}
	login := s.do("POST", "/login", body)
	if login.status != http.StatusOK || login.field("token_type") != "Bearer" || login.field("expires_in") != "900" ||
		login.field("access_token") == "" || login.field("refresh_token") == "" {
		t.Fatalf("login: %d %s", login.status, login.body)
	}
	if login.header.Get("Cache-Control") != "no-store" { // H5
		t.Errorf("tokens may be cached: %v", login.header)
	}
	me := s.do("GET", "/me", "", "Authorization", "Bearer "+login.field("access_token"))
	if me.status != http.StatusOK || me.body != created.body {
		t.Fatalf("me: %d %s, want %s", me.status, me.body, created.body)
	}
	wrong := s.do("POST", "/login", strings.Replace(body, "horse", "donkey", 1))
	nobody := s.do("POST", "/login", strings.Replace(body, "Alice", "Nobody", 1))
	if wrong.status != http.StatusUnauthorized || nobody.status != http.StatusUnauthorized || wrong.field("detail") != nobody.field("detail") { // P7
		t.Errorf("a wrong password reads %s, an unknown user %s", wrong.body, nobody.body)
	}
}

// P9: one name in other case, width or composition is one account or a 400.
// P1, P2, P6: what is asked of a password, and nothing else.
func TestRegisterInputP1P2P6P9(t *testing.T) {
	s := start(t)
	if a := s.do("POST", "/register", `{"username":"nguyễn.văn","password":"correct horse battery"}`); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, row := range []struct {
		name, username, password string
		status                   int
		code                     string
	}{
		{"other case", "NGUYỄN.văn", "correct horse battery", 409, "username_taken"},
		{"other composition", "nguye\u0302\u0303n.va\u0306n", "correct horse battery", 409, "username_taken"},
		{"other width", "ｎｇｕｙễｎ.ｖăｎ", "correct horse battery", 409, "username_taken"},
		{"a space", "nguyễn văn", "correct horse battery", 400, "invalid_username"},
		{"a control character", "nguyen\u0000", "correct horse battery", 400, "invalid_username"},
		{"mixed directions", "abc\u05d0", "correct horse battery", 400, "invalid_username"},
		{"an empty name", "", "correct horse battery", 400, "invalid_username"},
		{"64 characters", strings.Repeat("n", 64), "correct horse battery", 201, ""},
		{"65 characters", strings.Repeat("n", 65), "correct horse battery", 400, "invalid_username"},
		{"a huge name", strings.Repeat("n", 10_000), "correct horse battery", 400, "invalid_username"},
		{"an empty password", "bob", "", 400, "invalid_password"},
		{"7 characters", "bob", "vnhsirq", 400, "invalid_password"},
		{"8 characters, lower case only", "bob8", "vnhsirqe", 201, ""},
		{"64 characters of Vietnamese", "bob64", strings.Repeat("ắ", 64), 201, ""},
		{"1024 bytes", "bob1024", strings.Repeat("x", 1024), 201, ""},
		{"1025 bytes", "bob", strings.Repeat("x", 1025), 400, "invalid_password"},
		{"a control character in the password", "bob", "correct\u0007horse", 400, "invalid_password"},
	} {
		body, _ := json.Marshal(map[string]string{"username": row.username, "password": row.password})
		if a := s.do("POST", "/register", string(body)); a.status != row.status || a.field("code") != row.code {
			t.Errorf("%s: %d %s, want %d %s", row.name, a.status, a.body, row.status, row.code)
		}
	}
	// Nothing is cut off, and both spellings of a password are one.
	for _, row := range []struct {
		username, password string
		status             int
	}{
		{"bob1024", strings.Repeat("x", 1024), 200},
		{"bob1024", strings.Repeat("x", 1023) + "y", 401},
		{"BOB64", strings.Repeat("a\u0306\u0301", 64), 200},
		{"bob8", "", 400},
		{"", "password", 400},
	} {
		body, _ := json.Marshal(map[string]string{"username": row.username, "password": row.password})
		if a := s.do("POST", "/login", string(body)); a.status != row.status {
			t.Errorf("login %s: %d %s, want %d", row.username, a.status, a.body, row.status)
		}
	}
}

// H1, H2, H6: each refusal is problem+json, says what was wrong, and shows
// nothing of the inside.
func TestRefusalsAreProblemsH1H2H6(t *testing.T) {
	s := start(t)
	megabyte := `{"username":"` + strings.Repeat("x", 1<<20) + `","password":"x"}`
	for _, row := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     string
	}{
		{"malformed JSON", "POST", "/login", `{"username":`, nil, 400, "bad_body"},
		{"not JSON", "POST", "/login", `username=alice`, nil, 400, "bad_body"},
		{"an array", "POST", "/login", `[]`, nil, 400, "bad_body"},
		{"wrong type", "POST", "/login", `{"username":1,"password":"x"}`, nil, 400, "bad_body"},
		{"unknown field", "POST", "/login", `{"username":"a","password":"b","admin":true}`, nil, 400, "bad_body"},
		{"trailing data", "POST", "/login", `{"username":"a","password":"b"} {}`, nil, 400, "bad_body"},
		{"no body", "POST", "/login", ``, []string{"Content-Type", "application/json"}, 400, "bad_body"},
		{"no content type", "POST", "/login", `{}`, []string{"Content-Type", ""}, 415, "media_type"},
		{"a form", "POST", "/login", `username=a`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "media_type"},
		{"a login body of 1 MB", "POST", "/login", megabyte, nil, 413, "too_large"},
		{"no such path", "GET", "/nowhere", "", nil, 404, "not_found"},
		{"a path with markup", "GET", "/<script>alert(1)</script>", "", nil, 404, "not_found"},
		{"a folder", "GET", "/client", "", nil, 403, "forbidden"},
		{"above the folder", "GET", "/client/..%2f..%2fgo.mod", "", nil, 404, "not_found"},
		{"wrong method", "GET", "/login", "", nil, 405, "method_not_allowed"},
		{"wrong method on a read", "POST", "/me", `{}`, nil, 405, "method_not_allowed"},
		{"no token", "GET", "/me", "", nil, 401, "no_token"},
		{"another scheme", "GET", "/me", "", []string{"Authorization", "Basic YTpi"}, 401, "no_token"},
		{"bad token", "GET", "/me", "", []string{"Authorization", "Bearer nonsense"}, 401, "invalid_token"},
		{"large headers", "GET", "/me", "", []string{"X-Large", strings.Repeat("x", 20_000)}, 431, "headers_too_large"},
		{"token of a user that does not exist", "GET", "/me", "", []string{"Authorization", "Bearer " + s.token("ghost")}, 401, "invalid_token"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := s.do(row.method, row.path, row.body, row.header...)
			if a.status != row.status || a.field("code") != row.code || a.field("status") != fmt.Sprint(row.status) {
				t.Errorf("%d %.300s, want %d %s", a.status, a.body, row.status, row.code)
			}
			if got := a.header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q", got)
			}
			if a.field("detail") == "" || a.field("type") != "urn:gatecast:error:"+row.code {
				t.Errorf("the problem does not explain itself: %s", a.body)
			}
			for _, inside := range []string{"goroutine", ".go:", "sql", "json:", "<script>"} {
				if strings.Contains(a.body, inside) {
					t.Errorf("shows %q: %s", inside, a.body)
				}
			}
			challenge := map[string]string{"no_token": "Bearer", "invalid_token": `Bearer error="invalid_token"`}[row.code]
			if got := a.header.Get("WWW-Authenticate"); got != challenge {
				t.Errorf("challenge %q, want %q", got, challenge)
			}
			if row.status == 405 && a.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

// H1: what Fiber or fasthttp would answer by themselves is a problem as well,
// and stands in the log.
func TestRequestsThatAreNoneH1(t *testing.T) {
	s := start(t)
	for sent, want := range map[string]struct {
		status int
		code   string
	}{
		"FOO / HTTP/1.1\r\nHost: x\r\n\r\n":               {501, "unknown_method"},
		"GET /me HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n": {400, "bad_request"},
	} {
		conn := s.rawConn()
		if _, err := conn.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		a := readAnswer(t, conn, "GET")
		if a.status != want.status || a.field("code") != want.code || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q: %d %v %s", sent, a.status, a.header, a.body)
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("X-Request-ID") != a.field("request_id") {
			t.Errorf("%q: headers %v", sent, a.header)
		}
		if id := a.field("request_id"); id == "" || !s.logged(id) {
			t.Errorf("%q: its id %q is not in the log", sent, id)
		}
	}
}

// A client that resets its connection is no error of the server's.
func TestResetsAreNoErrors(t *testing.T) {
	s := start(t)
	for _, sent := range []string{"", "GET /me HTT", "POST /login HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"} {
		for range 5 {
			conn := s.rawConn().(*net.TCPConn)
			_, _ = conn.Write([]byte(sent))
			_ = conn.SetLinger(0)
			_ = conn.Close()
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if s.logged(`"level":"ERROR"`) {
		t.Errorf("%s", s.logs)
	}
}

// C7: a request that does not arrive is not waited for longer than
// http.read_timeout.
func TestSlowRequestIsClosedC7(t *testing.T) {
	s := start(t, "--http.read-timeout=300ms")
	for _, sent := range []string{"", "GET /me HTTP/1.1\r\nHost: x\r\n", "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"} {
		conn := s.rawConn()
		if _, err := conn.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 4096)
		for {
			if _, err := conn.Read(buffer); err != nil {
				if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
					t.Errorf("after %q the connection stays open", sent)
				}
				break
			}
		}
	}
}

// H3: only listed origins may read answers.
func TestCORSH3(t *testing.T) {
	s := start(t, "--http.origins=https://app.example,http://localhost:5173")
	for origin, allowed := range map[string]bool{
		"https://app.example": true, "http://localhost:5173": true,
		"https://evil.example": false, "null": false, "https://app.example.evil.example": false,
		"https://evilapp.example": false, "http://app.example": false, "https://app.example:8443": false,
	} {
		for _, a := range []answer{
			s.do("GET", "/healthz", "", "Origin", origin),
			s.do("OPTIONS", "/login", "", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type"),
		} {
			got := a.header.Get("Access-Control-Allow-Origin")
			if allowed && got != origin || !allowed && got != "" {
				t.Errorf("origin %s: allowed %q", origin, got)
			}
			if !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin") {
				t.Errorf("origin %s: Vary is %q", origin, a.header.Values("Vary"))
			}
			if given := a.header.Get("Access-Control-Allow-Credentials") == "true"; given != allowed {
				t.Errorf("origin %s: with cookies is %v", origin, given)
			}
		}
	}
}

// H5: headers that every answer has.
func TestSecurityHeadersH5(t *testing.T) {
	s := start(t, "--http.trusted-proxies=127.0.0.1")
	for _, path := range []string{"/", "/healthz", "/me", "/nowhere", "/client/gatecast.js"} {
		a := s.do("GET", path, "", "X-Forwarded-Proto", "https")
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000",
		} {
			if got := a.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", path, header, got, want)
			}
		}
		if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
	if a := s.do("GET", "/", ""); a.header.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS over plain HTTP")
	}
}

func TestHealthAndReady(t *testing.T) {
	s := start(t)
	if a := s.do("GET", "/healthz", ""); a.status != 200 || a.field("status") != "ok" {
		t.Errorf("healthz: %d %s", a.status, a.body)
	}
	if a := s.do("GET", "/readyz", ""); a.status != 200 || a.field("status") != "ready" {
		t.Errorf("readyz: %d %s", a.status, a.body)
	}
}
