package attack_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// caller is somebody with an address.
type caller struct {
	t       *testing.T
	s       *server
	address string
	http    *http.Client
}

// caller comes from an address of their own: all of 127.0.0.0/8 is this machine.
func (s *server) caller() *caller {
	n := s.addresses.Add(1)
	return s.callerAt(fmt.Sprintf("127.1.%d.%d", n/200, 1+n%200))
}

func (s *server) callerAt(address string) *caller {
	c := &caller{t: s.t, s: s, address: address}
	transport := &http.Transport{DialContext: c.dialContext, MaxIdleConnsPerHost: 100}
	c.http = &http.Client{Transport: transport, Timeout: patience}
	s.t.Cleanup(transport.CloseIdleConnections)
	return c
}

func (c *caller) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.address)}, Timeout: patience}
	return dialer.DialContext(ctx, network, addr)
}

// dial opens a connection that the caller closes, at the end of the test at the
// latest.
func (c *caller) dial() net.Conn {
	c.t.Helper()
	conn, err := c.dialContext(c.t.Context(), "tcp", c.s.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// answer is a response, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// field is a member of the JSON body.
func (a answer) field(name string) string {
	var body map[string]any
	_ = json.Unmarshal([]byte(a.body), &body)
	if body[name] == nil {
		return ""
	}
	return fmt.Sprint(body[name])
}

// is tells whether it is a problem of that status and code, and nothing but that.
func (a answer) is(status int, code string) bool {
	return a.status == status && a.field("code") == code && a.header.Get("Content-Type") == "application/problem+json"
}

// do sends a request and gives the answer; header is name, value, name, value.
func (c *caller) do(method, path, body string, header ...string) answer {
	c.t.Helper()
	a, err := c.try(c.t.Context(), method, path, body, header...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// try is do for those who cannot fail the test.
func (c *caller) try(ctx context.Context, method, path, body string, header ...string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+c.s.addr+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		switch name, value := header[i], header[i+1]; {
		case name == "Host":
			request.Host = value
		case name == "Content-Type" && value == "":
			request.Header.Del(name)
		default:
			request.Header.Set(name, value)
		}
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(data)}, err
}

// raw sends text as it is and reads one response.
func (c *caller) raw(text string) answer {
	c.t.Helper()
	conn := c.dial()
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, text); err != nil {
		c.t.Fatal(err)
	}
	a, err := readAnswer(bufio.NewReader(conn))
	if err != nil {
		c.t.Fatalf("%.60q: %v", text, err)
	}
	return a
}

func readAnswer(from *bufio.Reader) (answer, error) {
	response, err := http.ReadResponse(from, nil)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return answer{response.StatusCode, response.Header, string(data)}, err
}

const (
	password      = "correct horse battery"
	wrongPassword = "wrong horse battery"
)

// toJSON is text of pairs: name, value, name, value.
func toJSON(pairs ...any) string {
	object := make(map[string]any)
	for i := 0; i < len(pairs); i += 2 {
		object[pairs[i].(string)] = pairs[i+1]
	}
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func credentials(username, password string) string {
	return toJSON("username", username, "password", password)
}

// user is somebody who has logged in, from an address of their own.
type user struct {
	*caller
	name, id        string
	access, refresh string
}

// signUp makes an account and logs in to it.
func (s *server) signUp(name string) *user {
	s.t.Helper()
	c := s.caller()
	a := c.do("POST", "/register", credentials(name, password))
	if a.status != http.StatusCreated {
		s.t.Fatalf("signing up %s: %v", name, a)
	}
	u := &user{caller: c, name: name, id: a.field("user_id")}
	return u.logIn()
}

// logIn opens one more session of the user's.
func (u *user) logIn() *user {
	u.t.Helper()
	a := u.do("POST", "/login", credentials(u.name, password))
	if a.status != http.StatusOK {
		u.t.Fatalf("logging in %s: %v", u.name, a)
	}
	return u.with(a)
}

// with is the user with what a login or a refresh has answered.
func (u *user) with(a answer) *user {
	u.t.Helper()
	if a.status != http.StatusOK || a.field("access_token") == "" {
		u.t.Fatalf("%s is not given a token: %v", u.name, a)
	}
	next := *u
	next.access, next.refresh = a.field("access_token"), a.field("refresh_token")
	return &next
}

// bearing is the user with another access token.
func (u *user) bearing(token string) *user {
	next := *u
	next.access = token
	return &next
}

// call sends a request with the access token.
func (u *user) call(method, path, body string, header ...string) answer {
	u.t.Helper()
	return u.do(method, path, body, append(slices.Clone(header), "Authorization", "Bearer "+u.access)...)
}

// spend shows a refresh token at POST /refresh.
func (c *caller) spend(refresh string) answer {
	c.t.Helper()
	return c.do("POST", "/refresh", toJSON("refresh_token", refresh))
}
