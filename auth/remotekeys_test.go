package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatecast/gatecast/auth"
)

// keyHost answers every request for keys; it is a http.RoundTripper.
type keyHost struct {
	mu    sync.Mutex
	body  []byte
	fails error
	takes time.Duration
	calls int
}

func (h *keyHost) RoundTrip(request *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.calls++
	body, fails, takes := h.body, h.fails, h.takes
	h.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	if fails != nil {
		return nil, fails
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Request: request}, nil
}

func (h *keyHost) set(change func(*keyHost)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

// called tells how often keys were fetched since it was last asked.
func (h *keyHost) called() (n int) {
	h.set(func(h *keyHost) { n, h.calls = h.calls, 0 })
	return n
}

// remote is a Verifier that trusts an issuer whose keys host gives, fetching
// until the test ends. All of it runs on the bubble's clock.
func remote(t *testing.T, host http.RoundTripper, logs io.Writer) *auth.Verifier {
	t.Helper()
	issuers, err := auth.NewIssuers([]auth.TrustedIssuer{
		{Name: "sso", Issuer: foreignIss, Audience: foreignAud, JWKSURL: "https://sso.example.com/keys?code=canary", UserPrefix: "sso:"},
	}, auth.IssuersOptions{Transport: host, Logger: slog.New(slog.NewTextHandler(logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	issuers.Start()
	t.Cleanup(issuers.Close)
	synctest.Wait()
	verifier, _ := ownVerifier(t)
	verifier.Trust(issuers)
	return verifier
}

func named(kid string, key any) jose.JSONWebKey { return jose.JSONWebKey{KeyID: kid, Key: key} }

// Keys are fetched at the start, every hour, and when a token names one that is
// not there; then one that is gone is not good any more. J11
func TestKeysRotateJ11(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, next := edKeys(t), edKeys(t)
		host := &keyHost{body: keySet(t, named("old", k.ed.Public()))}
		verifier := remote(t, host, io.Discard)
		valid := func(key any, kid string) bool {
			_, err := verifier.Verify(t.Context(), sign(t, "EdDSA", key, goodClaims(), map[string]any{"kid": kid}))
			return err == nil
		}
		if !valid(k.ed, "old") || valid(next.ed, "old") || host.called() != 1 {
			t.Error("the first key")
		}
		host.set(func(h *keyHost) { h.body = keySet(t, named("old", k.ed.Public()), named("new", next.ed.Public())) })
		if !valid(next.ed, "new") || !valid(k.ed, "old") || host.called() != 1 {
			t.Error("the next key beside the first")
		}
		host.set(func(h *keyHost) { h.body = keySet(t, named("new", next.ed.Public())) })
		if !valid(k.ed, "old") || host.called() != 0 {
			t.Error("the first key, before anybody has heard that it is gone")
		}
		time.Sleep(time.Hour + time.Second)
		if valid(k.ed, "old") || !valid(next.ed, "new") {
			t.Error("the first key, an hour later")
		}
		time.Sleep(time.Hour + time.Second)
		if n := host.called(); n != 3 { // one an hour, and one for the old key
			t.Errorf("%d fetches in two hours", n)
		}
	})
}

// A flood of made-up key names costs a fetch a minute, whether the issuer
// answers or not.
func TestUnknownKidsCostOneFetchAMinute(t *testing.T) {
	for name, fails := range map[string]error{"the issuer answers": nil, "the issuer is down": errors.New("down")} {
		synctest.Test(t, func(t *testing.T) {
			k := edKeys(t)
			host := &keyHost{body: keySet(t, named("key", k.ed.Public())), fails: fails}
			verifier := remote(t, host, io.Discard)
			host.called() // the one at the start
			const minutes, perMinute = 30, 60
			for i := range minutes * perMinute {
				time.Sleep(time.Minute / perMinute)
				token := sign(t, "EdDSA", k.ed, goodClaims(), map[string]any{"kid": fmt.Sprint("made-up-", i)})
				want := auth.ErrInvalidToken
				if fails != nil {
					want = auth.ErrIssuerUnavailable
				}
				if _, err := verifier.Verify(t.Context(), token); !errors.Is(err, want) {
					t.Fatal(err)
				}
			}
			if n := host.called(); n < minutes-1 || n > minutes {
				t.Errorf("%s: %d fetches in %d minutes", name, n, minutes)
			}
		})
	}
}

// All who come while a fetch is under way wait for it, and only as long as they
// may.
func TestOneFetchForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, next := edKeys(t), edKeys(t)
		host := &keyHost{body: keySet(t, named("old", k.ed.Public()))}
		verifier := remote(t, host, io.Discard)
		host.called()
		host.set(func(h *keyHost) { h.body, h.takes = keySet(t, named("new", next.ed.Public())), 2*time.Second })

		token := sign(t, "EdDSA", next.ed, goodClaims(), map[string]any{"kid": "new"})
		start := time.Now()
		var wg sync.WaitGroup
		verify := func(patience time.Duration, good bool, within time.Duration) {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, err := verifier.Verify(ctx, token)
				if took := time.Since(start); (err == nil) != good || took != within {
					t.Errorf("patience of %v: %v after %v", patience, err, took)
				}
			})
		}
		for range 100 {
			verify(10*time.Second, true, 2*time.Second)
		}
		verify(time.Second, false, time.Second)
		wg.Wait()
		if n := host.called(); n != 1 {
			t.Errorf("%d fetches", n)
		}
		// Within the minute nobody waits.
		made := sign(t, "EdDSA", next.ed, goodClaims(), map[string]any{"kid": "made-up"})
		before := time.Now()
		if _, err := verifier.Verify(t.Context(), made); err == nil || time.Since(before) != 0 || host.called() != 0 {
			t.Errorf("%v after %v", err, time.Since(before))
		}
	})
}

// An issuer that is down lets in whom its last keys vouch for, for a day, and
// then nobody; when it is back, its users are.
func TestLastKeysAreGoodForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := edKeys(t)
		host := &keyHost{body: keySet(t, named("key", k.ed.Public()))}
		var logs bytes.Buffer // written by the fetching goroutine, read when it sleeps
		verifier := remote(t, host, &logs)
		valid := func() bool {
			_, err := verifier.Verify(t.Context(), sign(t, "EdDSA", k.ed, goodClaims(), map[string]any{"kid": "key"}))
			synctest.Wait()
			return err == nil
		}
		host.set(func(h *keyHost) { h.fails = errors.New("connection refused") })
		for hour := range 24 {
			if !valid() {
				t.Fatalf("refused after %d hours", hour)
			}
			time.Sleep(time.Hour)
		}
		if !valid() {
			t.Error("refused after a day")
		}
		time.Sleep(time.Second)
		if valid() {
			t.Error("let in after more than a day")
		}
		time.Sleep(time.Hour)
		if valid() {
			t.Error("let in long after")
		}
		synctest.Wait()
		if n := host.called(); n < 23*60 || n > 25*60+1 {
			t.Errorf("%d fetches in 25 hours, 24 of them failing", n)
		}
		host.set(func(h *keyHost) { h.fails = nil })
		time.Sleep(time.Minute + time.Second)
		if !valid() {
			t.Error("refused when it is back")
		}
		synctest.Wait()
		text := logs.String()
		for _, want := range []string{"level=WARN", "level=ERROR", "connection refused", "issuer=sso"} {
			if !strings.Contains(text, want) {
				t.Errorf("the log lacks %s", want)
			}
		}
		if n := strings.Count(text, "\n"); n != 4 {
			t.Errorf("%d lines for up, down, stale, up:\n%s", n, text)
		}
		if strings.Contains(text, "canary") {
			t.Errorf("the log shows the URL:\n%s", text)
		}
	})
}

// A server that starts while the issuer is down lets its users in as soon as it
// is up.
func TestIssuerIsDownAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := edKeys(t)
		host := &keyHost{body: keySet(t, named("key", k.ed.Public())), fails: errors.New("down")}
		verifier := remote(t, host, io.Discard)
		for _, kid := range []any{"key", nil} {
			if _, err := verifier.Verify(t.Context(), sign(t, "EdDSA", k.ed, goodClaims(), map[string]any{"kid": kid})); !errors.Is(err, auth.ErrIssuerUnavailable) {
				t.Errorf("without keys: %v", err)
			}
		}
		host.set(func(h *keyHost) { h.fails = nil })
		time.Sleep(2 * time.Minute)
		if _, err := verifier.Verify(t.Context(), sign(t, "EdDSA", k.ed, goodClaims(), map[string]any{"kid": "key"})); err != nil {
			t.Error(err)
		}
	})
}

// Tokens that come before the first keys wait for them, and leave the
// minute's fetch to those that come later.
func TestTokensWaitForTheFirstKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, next := edKeys(t), edKeys(t)
		host := &keyHost{body: keySet(t, named("old", k.ed.Public())), takes: 2 * time.Second}
		verifier := remote(t, host, io.Discard)
		start := time.Now()
		for range 3 {
			if _, err := verifier.Verify(t.Context(), sign(t, "EdDSA", k.ed, goodClaims(), map[string]any{"kid": "old"})); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != 2*time.Second || host.called() != 1 {
			t.Errorf("the first keys took %v", took)
		}
		host.set(func(h *keyHost) { h.body = keySet(t, named("new", next.ed.Public())) })
		if _, err := verifier.Verify(t.Context(), sign(t, "EdDSA", next.ed, goodClaims(), map[string]any{"kid": "new"})); err != nil {
			t.Error(err)
		}
	})
}

// What is no key set leaves the keys as they are. One without a key that can be
// used takes them away.
func TestBadKeySetsLeaveTheKeysAlone(t *testing.T) {
	k, other := edKeys(t), edKeys(t)
	body := func(body []byte) func(*keyHost) { return func(h *keyHost) { h.body = body } }
	for name, row := range map[string]struct {
		change func(*keyHost)
		good   bool
	}{
		"garbage":               {body([]byte("<html>moved</html>")), true},
		"nothing":               {body(nil), true},
		"null":                  {body([]byte("null")), true},
		"no list":               {body([]byte(`{"keys":{}}`)), true},
		"more behind the set":   {body(append(keySet(t), "{}"...)), true},
		"more than 1 MiB":       {body(append(keySet(t), bytes.Repeat([]byte(" "), 1<<20)...)), true},
		"101 keys":              {body(keySet(t, make101(k)...)), true},
		"too slow":              {func(h *keyHost) { h.body, h.takes = keySet(t), time.Minute }, true},
		"an empty list":         {body([]byte(`{"keys":[]}`)), false},
		"keys that are no use":  {body([]byte(`{"keys":[{"kty":"oct","k":"AAAA","kid":"key"},{"kty":"RSA","kid":"key"},5,{}]}`)), false},
		"the key among others":  {body(append([]byte(`{"keys":[{"kty":"new"},null,[],`), keySet(t, named("key", k.ed.Public()))[len(`{"keys":[`):]...)), true},
		"another key":           {body(keySet(t, named("key", other.ed.Public()))), false},
		"the key for something": {body(keySet(t, jose.JSONWebKey{KeyID: "key", Key: k.ed.Public(), Use: "enc"})), false},
	} {
		synctest.Test(t, func(t *testing.T) {
			host := &keyHost{body: keySet(t, named("key", k.ed.Public()))}
			verifier := remote(t, host, io.Discard)
			host.set(row.change)
			time.Sleep(time.Hour + 10*time.Second)
			host.called()
			_, err := verifier.Verify(t.Context(), sign(t, "EdDSA", k.ed, goodClaims(), map[string]any{"kid": "key"}))
			if (err == nil) != row.good {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// roundTrip is a http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// Only the host that was named says where its keys are.
func TestKeysComeFromTheNamedHostOnly(t *testing.T) {
	k := edKeys(t)
	for location, good := range map[string]bool{
		"/moved":                              true,
		"https://sso.example.com/moved":       true,
		"http://sso.example.com/moved":        false,
		"https://sso.example.com:8443/moved":  false,
		"https://evil.example.com/moved":      false,
		"http://169.254.169.254/moved":        false,
		"https://sso.example.com/keys?code=x": false, // in a circle
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			verifier := remote(t, roundTrip(func(request *http.Request) (*http.Response, error) {
				calls++
				response := &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {location}}, Body: http.NoBody, Request: request}
				if request.URL.Path == "/moved" {
					response.StatusCode, response.Body = http.StatusOK, io.NopCloser(bytes.NewReader(keySet(t, named("key", k.ed.Public()))))
				}
				return response, nil
			}), io.Discard)
			if calls > 4 {
				t.Errorf("%s: %d requests", location, calls)
			}
			_, err := verifier.Verify(t.Context(), sign(t, "EdDSA", k.ed, goodClaims(), map[string]any{"kid": "key"}))
			if (err == nil) != good {
				t.Errorf("%s: %v", location, err)
			}
		})
	}
}

// Who waits for a fetch is not left behind by a stop.
func TestCloseWhileFetching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := edKeys(t)
		host := &keyHost{takes: 3 * time.Second}
		issuers, err := auth.NewIssuers([]auth.TrustedIssuer{{Name: "sso", Issuer: foreignIss, Audience: foreignAud, JWKSURL: "https://sso.example.com"}}, auth.IssuersOptions{Transport: host})
		if err != nil {
			t.Fatal(err)
		}
		issuers.Start()
		verifier, _ := ownVerifier(t)
		verifier.Trust(issuers)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := verifier.Verify(t.Context(), sign(t, "EdDSA", k.ed, goodClaims(), nil)); err == nil {
					t.Error("let in without a key")
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		issuers.Close()
		wg.Wait()
		if _, err := verifier.Verify(t.Context(), sign(t, "EdDSA", k.ed, goodClaims(), nil)); err == nil {
			t.Error("let in after the end")
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the end took %v", took)
		}
	})
}
