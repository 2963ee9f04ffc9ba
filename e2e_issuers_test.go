package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// trust is the flag that has a server trust the provider, with its keys at url.
func (p *provider) trust(url, audience string) string {
	p.t.Helper()
	list, err := json.Marshal([]map[string]any{{
		"name": "sso", "issuer": p.issuer, "audience": audience, "jwks_url": url,
		"claims": map[string]any{"role": "realm_access.roles"},
	}})
	if err != nil {
		p.t.Fatal(err)
	}
	return "--auth.issuers=" + string(list)
}

// admitted tells whether both doors let a token in; it fails where they differ.
func (s *server) admitted(token string) bool {
	s.t.Helper()
	bearer := []string{"Authorization", "Bearer " + token}
	rest := s.do("GET", "/me", "", bearer...)
	conn, socket := s.upgrade("/ws", bearer...)
	if conn != nil {
		newPeer(s.t, conn).leave()
	}
	if (rest.status == http.StatusOK) != (conn != nil) {
		s.t.Errorf("GET /me answers %d %s, GET /ws %d %s", rest.status, rest.body, socket.status, socket.body)
	}
	if !slices.Contains([]string{"200", "401invalid_token", "503issuer_unavailable"}, fmt.Sprint(rest.status)+rest.field("code")) {
		s.t.Errorf("GET /me answers %d %s", rest.status, rest.body)
	}
	return rest.status == http.StatusOK
}

// A person logs in at a provider, and talks here; a backend of theirs gets its
// token there too.
func TestTokensOfAProvider(t *testing.T) {
	p := newProvider(t)
	p.up()
	s := start(t, p.trust(p.keysURL(), "gatecast"))
	person, backend := p.logIn(appClient).Access, p.clientToken(backendClient)

	me := s.do("GET", "/me", "", "Authorization", "Bearer "+person)
	if want := `{"user_id":"sso:` + personID + `","username":"` + personName + `","role":"user"}`; me.status != 200 || me.body != want {
		t.Errorf("GET /me answers %d %s, want %s", me.status, me.body, want)
	}
	me = s.do("GET", "/me", "", "Authorization", "Bearer "+backend)
	if me.field("user_id") != "sso:backend" || me.field("username") != "sso:backend" || me.field("role") != "service" {
		t.Errorf("GET /me of the backend answers %d %s", me.status, me.body)
	}

	socket := s.dial(person)
	if hello := socket.until("welcome"); hello.str("userId") != "sso:"+personID || hello.str("username") != personName {
		t.Errorf("welcome %v", hello)
	}
	own := "user:sso:" + personID
	if f := socket.ask(`{"type":"subscribe","id":1,"channel":"` + own + `"}`); f.str("type") != "subscribed" {
		t.Errorf("their own channel: %v", f)
	}
	if f := socket.ask(`{"type":"subscribe","id":2,"channel":"user:` + personID + `"}`); f.str("code") != "forbidden" {
		t.Errorf("the channel of the account here that has their ID there: %v", f)
	}
	publish := func(token string) answer {
		return s.do("POST", "/channels/"+own+"/messages", `{"data":"hello"}`, "Authorization", "Bearer "+token)
	}
	if a := publish(person); a.status != http.StatusForbidden {
		t.Errorf("a user publishes like a service: %d %s", a.status, a.body)
	}
	if a := publish(backend); a.status/100 != 2 {
		t.Errorf("the backend publishes: %d %s", a.status, a.body)
	}
	if f := socket.until("message"); f.str("channel") != own || f.str("userId") != "sso:backend" {
		t.Errorf("got %v", f)
	}
	socket.leave()

	if token := s.signUp("alice"); !s.admitted(token) {
		t.Error("an account here is not let in any more")
	}
}

// J3, J4: what the provider signs for others is not for us.
func TestOtherTokensOfAProviderJ3J4(t *testing.T) {
	p := newProvider(t)
	p.up()
	s := start(t, p.trust(p.keysURL(), "gatecast"))
	app, wiki := p.logIn(appClient), p.logIn(wikiClient)
	for name, token := range map[string]string{
		"an ID token":                        app.ID,
		"another application's ID token":     wiki.ID,
		"another application's access token": wiki.Access,
		"another backend's access token":     p.clientToken(wikiBackendClient),
		"an altered access token":            app.Access[:len(app.Access)-10] + "AAAAAAAAAA",
	} {
		if s.admitted(token) {
			t.Errorf("%s is let in", name)
		}
	}
	if !s.admitted(app.Access) {
		t.Error("the application's access token is refused")
	}
	other := start(t, p.trust(p.keysURL(), "another-api"))
	if other.admitted(app.Access) {
		t.Error("a server of another audience lets it in")
	}
	if stranger := start(t); stranger.admitted(app.Access) {
		t.Error("a server that trusts nobody lets it in")
	}
}

// J11: the provider's next key is known as soon as a token names it.
func TestProviderRotatesItsKeyJ11(t *testing.T) {
	p := newProvider(t)
	p.up()
	s := start(t, p.trust(p.keysURL(), "gatecast"))
	before := p.logIn(appClient).Access
	if !s.admitted(before) {
		t.Fatal("refused with the first key")
	}
	p.storage.rotate(t, newECKey)
	after := p.logIn(appClient).Access
	if !s.admitted(after) || !s.admitted(before) {
		t.Error("refused with the second key, or with the first beside it")
	}
}

// A provider that is down stops nothing. Its users are let in when there are
// keys, and not before.
func TestProviderIsDown(t *testing.T) {
	p := newProvider(t)
	p.up()
	url, token := p.keysURL(), p.logIn(appClient).Access
	p.down()

	s := start(t, p.trust(url, "gatecast"))
	eventually(t, "the server says that there are no keys", func() bool {
		return s.logged("keys cannot be fetched; none of its tokens is good")
	})
	if account := s.signUp("alice"); !s.admitted(account) {
		t.Error("accounts here are not let in while the provider is down")
	}
	p.up()
	if !s.admitted(token) {
		t.Error("refused when the provider is back")
	}
	p.down()
	if !s.admitted(token) {
		t.Error("refused when the provider is down, with keys still there")
	}
	if strings.Contains(s.logs.String(), token[len(token)-20:]) { // T5
		t.Error("the log has a token")
	}
}

// A host that answers anything but a key set lets nobody in, and holds up
// nobody else.
func TestKeyHostsThatFail(t *testing.T) {
	p := newProvider(t)
	p.up()
	keysURL, token := p.keysURL(), p.logIn(appClient).Access
	_, keys := p.do("GET", keysURL, nil)
	for name, handler := range map[string]http.HandlerFunc{
		"garbage": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>It works!</html>") },
		"404":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound); _, _ = w.Write(keys) },
		"10 MB": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append(bytes.Repeat([]byte(" "), 10<<20), keys...))
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, keysURL, http.StatusFound) },
		"half":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys[:len(keys)/2]) },
		"a hang-up":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"silence":    func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"silence in the middle": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(keys[:10])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			host := httptest.NewServer(handler)
			defer host.Close()
			s := start(t, p.trust(host.URL, "gatecast"), "--http.request-timeout=500ms")
			begun := time.Now()
			if s.admitted(token) {
				t.Error("let in")
			}
			if took := time.Since(begun); took > 4*time.Second {
				t.Errorf("both refusals took %v", took)
			}
			s.connect(s.token("alice")).leave()
			if err := s.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A slow host is waited for.
func TestSlowKeyHost(t *testing.T) {
	p := newProvider(t)
	p.up()
	token := p.logIn(appClient).Access
	_, keys := p.do("GET", p.keysURL(), nil)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(300 * time.Millisecond):
			_, _ = w.Write(keys)
		case <-r.Context().Done():
		}
	}))
	defer host.Close()
	s := start(t, p.trust(host.URL, "gatecast"))
	if !s.admitted(token) {
		t.Error("refused")
	}
}
