package auth_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatecast/gatecast/auth"
)

// fuzzKey is one key for all runs, or seeds that were found would mean nothing.
func fuzzKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

// No text is a token but those that were issued, to the last bit.
func FuzzVerify(f *testing.F) {
	keys := auth.NewEd25519KeySet(fuzzKey())
	now := time.Unix(1_800_000_000, 0)
	opts := auth.TokenOptions{Issuer: "here", Audience: "here", TTL: time.Hour, Now: func() time.Time { return now }}
	verifier := auth.NewVerifier(keys, nil, opts)
	verifier.Remember(1)
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	// As Issuer makes them, but for an ID that is the same in all processes.
	text := header(`{"alg":"EdDSA","kid":"`+keys.JWKS().Keys[0].ID+`","typ":"at+jwt"}`) + "." +
		header(`{"iss":"here","exp":1800003600,"aud":["here"],"sub":"1","client_id":"gatecast","iat":1800000000,"jti":"1","preferred_username":"alice","role":"user"}`)
	issued := text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(fuzzKey(), []byte(text)))
	parts := strings.Split(issued, ".")
	for _, seed := range []string{
		issued, issued + "=", issued + ".", parts[0] + "." + parts[1] + ".", "..", "", parts[0], header(`{"alg":"none"}`) + "." + parts[1] + ".",
		header(`{"alg":"EdDSA","typ":"at+jwt","kid":null}`) + "." + parts[1] + "." + parts[2], parts[1] + "." + parts[1] + "." + parts[2],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		_, err := verifier.Verify(t.Context(), token)
		if (err == nil) != (token == issued) || err != nil && !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("%q: %v", token, err)
		}
	})
}

// Whatever a trusted issuer signs, what comes of it is bounded and of our own
// words: an ID that can stand in a channel's name, and one of our roles.
func FuzzForeignClaims(f *testing.F) {
	key := fuzzKey()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "EdDSA"}}})
	if err != nil {
		f.Fatal(err)
	}
	file := filepath.Join(f.TempDir(), "keys.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		f.Fatal(err)
	}
	issuers, err := auth.NewIssuers([]auth.TrustedIssuer{{
		Name: "sso", Issuer: foreignIss, Audience: foreignAud, KeyFile: file, UserPrefix: "sso:",
		Claims: auth.ClaimNames{Role: "realm.roles", Capabilities: "channels"},
	}}, auth.IssuersOptions{})
	if err != nil {
		f.Fatal(err)
	}
	verifier := auth.NewVerifier(auth.NewEd25519KeySet(key), nil, auth.TokenOptions{Issuer: "here", Audience: "here", TTL: time.Hour})
	verifier.Trust(issuers)
	for _, seed := range []string{
		`{"sub":"auth0|1","exp":9000000000,"realm":{"roles":["admin"]},"channels":{"room:1":["subscribe"]}}`,
		`{"sub":"a","exp":"9000000000"}`, `{"sub":"a","exp":9e99}`, `{"sub":1,"exp":9000000000}`, `{"sub":"\u0000","exp":9000000000,"name":"\u202e"}`,
		`{"sub":"a","exp":9000000000,"channels":null}`, `{"sub":"a","SUB":"b","exp":9000000000,"iat":-1}`, `{"sub":"a","exp":9000000000,"nbf":9000000000}`, `[]`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if object := map[string]any{}; json.Unmarshal(payload, &object) == nil { // so that it gets past the first door
			object["iss"], object["aud"] = foreignIss, foreignAud
			payload, _ = json.Marshal(object)
		}
		signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","typ":"JWT","kid":"k"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
		token := signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed)))
		bearer, err := verifier.Verify(t.Context(), token)
		if err != nil {
			if !errors.Is(err, auth.ErrInvalidToken) {
				t.Errorf("%s: %v", payload, err)
			}
			return
		}
		claims := bearer.Claims()
		odd := strings.Trim(claims.Subject, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@=~")
		if !strings.HasPrefix(claims.Subject, "sso:") || claims.Subject == "sso:" || len(claims.Subject) > 250 || odd != "" {
			t.Errorf("%s: the ID is %q", payload, claims.Subject)
		}
		if !auth.IsRole(claims.Role) || claims.SessionID != "" || claims.ExpiresAt.IsZero() || claims.Username == "" || len(claims.Username) > 4*auth.MaxUsername+len(claims.Subject) {
			t.Errorf("%s: %+v", payload, claims)
		}
	})
}
