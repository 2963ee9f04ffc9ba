package main

import (
	"net/http"
	"strings"
	"testing"
)

// O5: production does not start with what is a mistake there, and names all of
// it.
func TestProductionRefusesToStartO5(t *testing.T) {
	none := func(string) string { return "" }
	dir := t.TempDir()
	err := run(t.Context(), []string{"gatecast", "--env=production", "--port=0", "--data-dir=" + dir, "--http.origins=http://app.example",
		"--auth.hmac-secret=changeme-changeme-changeme-changeme", "--limits.login.rate=0"}, none, newLogs())
	if err == nil {
		t.Fatal("it started, and ended well")
	}
	for _, key := range []string{"http.origins", "auth.hmac_secret", "limits.login.rate", "auth.registration", "namespaces"} {
		if !strings.Contains(err.Error(), key+": ") && !strings.Contains(err.Error(), key+".") {
			t.Errorf("the error lacks %s: %v", key, err)
		}
	}
	if strings.Contains(err.Error(), "changeme-changeme") {
		t.Errorf("the error shows the secret: %v", err)
	}
}

// A closed registration lets nobody sign up, and those who have an account in.
func TestRegistrationCanBeClosed(t *testing.T) {
	open := start(t)
	open.signUp("alice")
	if err := open.stop(); err != nil {
		t.Fatal(err)
	}
	s := startIn(t, open.dir, "--env=production", "--auth.registration=closed", "--namespaces={}",
		"--limits.handshakes.rate=10", "--limits.login.rate=1", "--limits.login-account.rate=1", "--limits.login-failures-account.rate=1",
		"--limits.login-failures.rate=1", "--limits.messages.rate=10", "--limits.bytes.rate=100000")
	for _, username := range []string{"alice", "bob"} {
		a := s.do("POST", "/register", credentials(username, "correct horse battery"))
		if a.status != http.StatusForbidden || a.field("code") != "registration_closed" || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d %v %s", username, a.status, a.header, a.body)
		}
	}
	if a := s.do("POST", "/login", credentials("alice", "correct horse battery")); a.status != http.StatusOK {
		t.Errorf("logging in: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/login", credentials("bob", "correct horse battery")); a.status != http.StatusUnauthorized {
		t.Errorf("an account that was never made: %d %s", a.status, a.body)
	}
}
