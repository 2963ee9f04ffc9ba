package attack_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// H6: a proxy and this server must not disagree about where a request ends, or
// one client's bytes become another's request. What is ambiguous is refused and the
// connection closed; a body that nobody read is not taken for a request.
func TestSmuggledRequestsH6(t *testing.T) {
	s := start(t)
	mallory := s.caller()
	const inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, head := range map[string]string{
		"length and chunked":      "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunked and length":      "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
		"two lengths":             "Content-Length: 0\r\nContent-Length: 36\r\n\r\n",
		"two lengths, turned":     "Content-Length: 36\r\nContent-Length: 0\r\n\r\n",
		"lengths in a list":       "Content-Length: 0, 36\r\n\r\n",
		"a length with a sign":    "Content-Length: +0\r\n\r\n",
		"a length with a space":   "Content-Length : 0\r\n\r\n",
		"an unknown coding":       "Transfer-Encoding: xchunked\r\n\r\n",
		"chunked twice over":      "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"chunked, then something": "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"a space before a colon":  "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"a control character":     "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"a NUL":                   "X: a\x00b\r\n\r\n",
		"a bare CR":               "X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a negative chunk":        "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
		"a huge chunk":            "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n",
		"a chunk with a bare LF":  "Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n0\r\n\r\n",
		"two hosts":               "Host: y\r\n\r\n",
	} {
		for _, path := range []string{"/login", "/refresh", "/nowhere"} {
			if answers := mallory.answersTo("POST " + path + " HTTP/1.1\r\nHost: x\r\n" + head + inner); len(answers) != 1 || answers[0].status/100 != 4 {
				t.Errorf("%s at %s: %v", name, path, answers)
			}
		}
	}
	for _, call := range []string{"POST /login", "POST /refresh", "PUT /me/password", "POST /ws/ticket", "GET /me", "GET /healthz", "GET /ws", "DELETE /sessions/x", "POST /channels/lobby/messages", "POST /nowhere", "GET /client/gatecast.js"} {
		for name, body := range map[string]string{
			"a length": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(inner), inner),
			"chunks":   fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(inner), inner),
		} {
			answers := mallory.answersTo(call + " HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n" + body + "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if len(answers) != 2 || answers[1].status != http.StatusOK {
				t.Errorf("%s with a body of %s: %d answers: %v", call, name, len(answers), answers)
			}
		}
	}
}

// answersTo sends text, says that nothing follows, and gives all that comes back.
func (c *caller) answersTo(text string) (answers []answer) {
	c.t.Helper()
	conn := c.dial()
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, text); err != nil {
		c.t.Fatal(err)
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	from := bufio.NewReader(conn)
	for {
		a, err := readAnswer(from)
		if err != nil {
			return answers
		}
		answers = append(answers, a)
	}
}

// H6: JSON that two readers would understand in two ways. There is one reader
// here, and it minds the last of two fields, in the check and in what follows it.
func TestAmbiguousJSONH6R6(t *testing.T) {
	s := start(t, "--limits.login.burst=1000", "--limits.login-account.burst=1000", "--limits.login-failures-account.burst=1000", "--limits.register.burst=1000")
	s.signUp("alice")
	mallory := s.caller()
	foreign := []string{"Origin", "https://evil.example"}
	for body, cookie := range map[string]bool{
		`{"username":"alice","password":"%s","use_cookie":true,"use_cookie":false}`: false,
		`{"username":"alice","password":"%s","use_cookie":false,"use_cookie":true}`: true,
		`{"username":"alice","password":"%s","USE_COOKIE":true}`:                    true,
		`{"username":"alice","password":"%s","use_cookie":false,"Use_Cookie":true}`: true,
		`{"username":"alice","password":"%s","use\u005fcookie":true}`:               true,
	} {
		a := mallory.do("POST", "/login", fmt.Sprintf(body, password), foreign...)
		if cookie != a.is(403, "foreign_origin") || len(a.header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s: %v", body, a)
		}
	}
	for _, body := range []string{
		`{"username":["alice"],"password":"x"}`, `{"username":{"$ne":null},"password":{"$ne":null}}`, `{"username":null,"password":null}`, `{"username":"alice","password":true}`,
		`{"username":1e999999,"password":"x"}`, `{"username":123,"password":"x"}`, `{"username":"alice","password":"x"}x`, `{"username":"alice","password":"x",}`,
		`{"username":"alice","password":"x","extra":1}`, `{'username':'alice','password':'x'}`, "\xef\xbb\xbf" + `{"username":"alice","password":"x"}`, `[]`, `null`, `{}`, ``, ` `,
		`{"username":"alice\u0000","password":""}`, strings.Repeat(`{"a":`, 2000) + `1` + strings.Repeat(`}`, 2000),
	} {
		for _, path := range []string{"/login", "/register"} {
			if a := mallory.do("POST", path, body, "Content-Type", "application/json"); a.status != 400 || a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %.60s: %v", path, body, a)
			}
		}
	}
}

// P9: names with bytes that mean something elsewhere are refused or mean
// themselves; none is cut short at them.
func TestOddNamesP9(t *testing.T) {
	s := start(t, "--limits.login.burst=1000", "--limits.register.burst=1000")
	s.signUp("alice")
	mallory := s.caller()
	for _, name := range []string{
		`alice\u0000`, `\u0000alice`, `alice\u0000mallory`, `alice\n`, `alice\r\nSet-Cookie: a=b`, `alice\u200b`, `alice\u202e`, `alice\ud800`, "alice\xff", "al\xc0\xafice", `alice `, ` alice`, `\u0430lice\u0000`,
	} {
		body := fmt.Sprintf(`{"username":"%s","password":%q}`, name, password)
		if a := mallory.do("POST", "/register", body); !a.is(400, "invalid_username") {
			t.Errorf("%q signs up: %v", name, a)
		}
		if a := mallory.do("POST", "/login", body); a.status == http.StatusOK {
			t.Errorf("%q logs in: %v", name, a)
		}
	}
	for _, ending := range []string{`\u0000`, `\u0000x`, ` `, `\n`} {
		if a := mallory.do("POST", "/login", fmt.Sprintf(`{"username":"alice","password":"%s%s"}`, password, ending)); a.status == http.StatusOK {
			t.Errorf("the password and %q: %v", ending, a)
		}
	}
	// What a device says of itself is shown to its owner, and is no header.
	alice := s.signUp("alice2")
	a := alice.raw(fmt.Sprintf("POST /login HTTP/1.1\r\nHost: x\r\nUser-Agent: a\xff\xfe<script>\xe2\x80\xaeb\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(credentials("alice2", password)), credentials("alice2", password)))
	list := alice.with(a).call("GET", "/sessions", "")
	if list.status != 200 || !strings.Contains(list.body, `"device":"a\u003cscript\u003eb"`) {
		t.Errorf("%v", list)
	}
}
