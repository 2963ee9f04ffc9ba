package attack_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// home is the site that the victim uses; a proxy speaks https for it.
const home = "https://chat.example"

// victim is somebody whose browser keeps the session in a cookie.
type victim struct {
	*user
	cookie string // name=value
}

// atHome is what a browser sends from the site's own page through the proxy.
func atHome(header ...string) []string {
	return append([]string{"Host", "chat.example", "X-Forwarded-Proto", "https", "X-Forwarded-For", "198.51.100.7"}, header...)
}

func newVictim(s *server, name string) *victim {
	s.t.Helper()
	proxy := s.callerAt(proxyAddress)
	u := s.signUp(name)
	u.caller = proxy
	a := proxy.do("POST", "/login", toJSON("username", name, "password", password, "use_cookie", true), atHome("Origin", home)...)
	u = u.with(a)
	return &victim{u, cookieOf(s.t, a)}
}

func cookieOf(t *testing.T, a answer) string {
	t.Helper()
	cookies := (&http.Response{Header: a.header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies: %v", len(cookies), a)
	}
	return cookies[0].Name + "=" + cookies[0].Value
}

// isIn fails the test where the victim's session has ended, or was touched.
func (v *victim) isIn() {
	v.t.Helper()
	a := v.do("POST", "/refresh", "", atHome("Origin", home, "Cookie", v.cookie)...)
	if a.status != http.StatusOK {
		v.t.Fatalf("the victim's session is gone: %v", a)
	}
	v.cookie = cookieOf(v.t, a)
}

// R6: a page of another site has the victim's browser send a form, or a request
// that needs no preflight, to every route that goes by the cookie.
func TestCrossSiteFormsR6(t *testing.T) {
	s := start(t, "--http.trusted-proxies="+proxyAddress, "--limits.login.burst=1000", "--limits.refresh.burst=1000")
	v := newVictim(s, "alice")
	login := toJSON("username", "mallory", "password", password, "use_cookie", true)
	bodies := map[string][2]string{ // content type, body
		"nothing":                {"", ""},
		"urlencoded":             {"application/x-www-form-urlencoded", "username=mallory&password=x&use_cookie=true&all=true"},
		"multipart":              {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"all\"\r\n\r\ntrue\r\n--x--\r\n"},
		"JSON as text":           {"text/plain", login},
		"JSON as text, form":     {"text/plain", `{"all":true,"x":"="}`},
		"JSON without a type":    {"", login},
		"JSON for another type":  {"text/plain; application/json", login},
		"JSON as a form":         {"application/x-www-form-urlencoded", login},
		"JSON with its own type": {"application/json", login}, // needs a preflight, which is refused
		"an empty object":        {"application/json", "{}"},
	}
	origins := map[string][]string{
		"evil":                {"Origin", "https://evil.example"},
		"null":                {"Origin", "null"},
		"a sister site":       {"Origin", "https://evil.chat.example"},
		"a site named alike":  {"Origin", "https://chat.example.evil.example"},
		"our site over http":  {"Origin", "http://chat.example"},
		"our site's port":     {"Origin", "https://chat.example:8443"},
		"upper case":          {"Origin", "HTTPS://CHAT.EXAMPLE"},
		"two in one":          {"Origin", home + ", https://evil.example"},
		"absent":              nil,
		"absent, and Referer": {"Referer", home + "/"},
		"evil, and X-Gatecast": {"Origin", "https://evil.example",
			"X-Gatecast", "1"},
	}
	for _, path := range []string{"/login", "/refresh", "/logout"} {
		for bodyName, body := range bodies {
			for originName, origin := range origins {
				header := atHome(append(slices.Clone(origin), "Cookie", v.cookie, "Content-Type", body[0])...)
				a := v.do("POST", path, body[1], header...)
				refused := a.status == 415 || a.is(403, "foreign_origin") || a.is(403, "cookie_alone") || a.status == 400
				if !refused || len(a.header.Values("Set-Cookie")) > 0 || a.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s, %s, origin %s: %v, cookies %q", path, bodyName, originName, a, a.header.Values("Set-Cookie"))
				}
			}
		}
	}
	if a := v.do("OPTIONS", "/refresh", "", atHome("Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-gatecast")...); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("the preflight is granted: %v", a.header)
	}
	v.isIn()
}

// R5: other hosts of the same domain, and plain http, can put cookies into the
// victim's browser. They cannot have a __Host- one, and the others are not looked
// at over https.
func TestTossedCookiesR5(t *testing.T) {
	s := start(t, "--http.trusted-proxies="+proxyAddress)
	v := newVictim(s, "alice")
	mallory := newVictim(s, "mallory")
	name, value, _ := strings.Cut(v.cookie, "=")
	_, evil, _ := strings.Cut(mallory.cookie, "=")
	for what, row := range map[string]struct {
		cookie, host, proto string
		status              int
	}{
		"the local name, over https":      {"gatecast=" + evil, "chat.example", "https", 401},
		"the prefix in lower case":        {"__host-gatecast=" + evil, "chat.example", "https", 401},
		"the prefix of another kind":      {"__Secure-gatecast=" + evil, "chat.example", "https", 401},
		"behind a space that is none":     {"\u2003" + name + "=" + evil, "chat.example", "https", 401},
		"a cookie without a name":         {"=" + name + "=" + evil, "chat.example", "https", 401},
		"the prefix, over http":           {name + "=" + value, "chat.example", "http", 401},
		"the prefix, on localhost":        {name + "=" + value, "localhost", "http", 401},
		"the local name, elsewhere":       {"gatecast=" + value, "chat.example", "http", 401},
		"a host that begins as localhost": {"gatecast=" + value, "localhost.evil.example", "http", 401},
		"a host that ends as it":          {"gatecast=" + value, "notlocalhost", "http", 401},
		"an address that is not its":      {"gatecast=" + value, "128.0.0.1", "http", 401},
	} {
		origin := row.proto + "://" + row.host
		a := v.do("POST", "/refresh", "", "Host", row.host, "X-Forwarded-Proto", row.proto, "Origin", origin, "Cookie", row.cookie)
		if !a.is(row.status, "no_token") {
			t.Errorf("%s: %v", what, a)
		}
	}
	// Of two with one name the victim's own is first: a browser sends those of the
	// longer path, and then the older, first.
	a := v.do("POST", "/refresh", "", atHome("Origin", home, "Cookie", v.cookie+"; "+name+"="+evil)...)
	if a.status != http.StatusOK || !strings.HasPrefix(cookieOf(t, a), name) {
		t.Errorf("two of one name: %v", a)
	}
	v.cookie = cookieOf(t, a)
	if me := v.bearing(a.field("access_token")).call("GET", "/me", ""); me.field("username") != "alice" {
		t.Errorf("two of one name lead to %v", me)
	}
	v.isIn()
	mallory.isIn()
}

// R5: a cookie that may travel in the clear is for localhost. Who says so of
// another host, with a header of theirs, gets none.
func TestClaimsToBeLocalhostR5(t *testing.T) {
	s := start(t, "--limits.login.burst=100")
	s.signUp("mallory")
	mallory := s.caller()
	login := toJSON("username", "mallory", "password", password, "use_cookie", true)
	for _, header := range [][]string{
		{"X-Forwarded-Host", "localhost"}, {"X-Forwarded-Host", "localhost, chat.example"}, {"X-Host", "localhost"}, {"Forwarded", "host=localhost"},
		{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Proto", "https", "X-Forwarded-Host", "localhost"}, {"X-Forwarded-Ssl", "on"}, {"X-Url-Scheme", "https"},
	} {
		a := mallory.do("POST", "/login", login, append(header, "Host", "chat.example", "X-Gatecast", "1")...)
		if !a.is(400, "https_required") || len(a.header.Values("Set-Cookie")) > 0 {
			t.Errorf("%v: %v, cookies %q", header, a, a.header.Values("Set-Cookie"))
		}
	}
	for _, host := range []string{"localhost.evil.example", "evil-localhost", "127.0.0.1.evil.example", "128.0.0.1", "0x7f000001", "2130706433", "[::2]", "localhost."} {
		a := mallory.raw(fmt.Sprintf("POST /login HTTP/1.1\r\nHost: %s\r\nX-Gatecast: 1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", host, len(login), login))
		if a.status != 400 || len(a.header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s: %v, cookies %q", host, a, a.header.Values("Set-Cookie"))
		}
	}
}

// W1, R6: what is our own origin follows from Host, whatever odd there is in it.
func TestOddHostsW1R6(t *testing.T) {
	s := start(t)
	mallory := s.signUp("mallory")
	for host, origin := range map[string]string{
		"chat.example":                           "http://chat.example.evil.example",
		"chat.example:80":                        "http://chat.example:8080",
		"evil.example#chat.example":              "http://evil.example",
		"evil.example/chat.example":              "http://evil.example",
		"chat.example, evil.example":             "http://evil.example",
		"chat.example\r\nHost: evil.example":     "http://evil.example",
		"chat.example\r\nX-Forwarded-Host: evil": "http://evil",
		"":                                       "http://",
	} {
		request := "GET /ws HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
		if a := mallory.raw(fmt.Sprintf(request, host, origin, mallory.access)); a.status != 403 && a.status != 400 {
			t.Errorf("host %q, origin %q: %v", host, origin, a)
		}
	}
	if a := mallory.raw(fmt.Sprintf("GET /ws HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nOrigin: http://evil.example\r\nAuthorization: Bearer %s\r\n\r\n", mallory.access)); a.status == 101 {
		t.Errorf("two origins: %v", a)
	}
}
