package auth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/gatecast/gatecast/auth"
)

func decode(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// J11: the published set holds public members only, in a stable order.
func TestPublishedKeysArePublicJ11(t *testing.T) {
	r := newRing(t)
	r.load()
	r.rotate()
	text, err := json.Marshal(r.load().JWKS())
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%s: %v", text, err)
	}
	for _, key := range set.Keys {
		for name, want := range map[string]string{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA"} {
			if key[name] != want {
				t.Errorf("%s is %q, want %q", name, key[name], want)
			}
		}
		if len(key) != 6 || len(decode(t, key["x"])) != ed25519.PublicKeySize || len(decode(t, key["kid"])) != 32 {
			t.Errorf("%v", key)
		}
	}
	for range 10 {
		if again, _ := json.Marshal(r.load().JWKS()); !slices.Equal(again, text) {
			t.Errorf("%s became %s", text, again)
		}
	}
}

// J11: a secret is not published.
func TestSecretIsNotPublishedJ11(t *testing.T) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewHMACKeySet(secret)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := json.Marshal(keys.JWKS()); string(text) != `{"keys":[]}` {
		t.Errorf("%s", text)
	}
	keys.Watch(t.Context()) // has nothing to watch, and returns
}

// Nobody keeps the set for so long that a new key signs unseen.
func TestPublishedKeysAreKeptForLessThanTheyArePublishedAhead(t *testing.T) {
	for _, row := range []struct{ ahead, poll, want time.Duration }{
		{10 * time.Minute, 2 * time.Second, 5 * time.Minute},
		{5 * time.Minute, 2 * time.Second, 4*time.Minute + 58*time.Second},
		{time.Second, 100 * time.Millisecond, 0},
		{time.Second, 2 * time.Second, 0},
		{0, 0, 5 * time.Minute}, // the defaults
	} {
		keys, err := auth.LoadKeySet(t.TempDir(), auth.KeyOptions{PublishAhead: row.ahead, Poll: row.poll})
		if err != nil {
			t.Fatal(err)
		}
		if got := keys.JWKSMaxAge(); got != row.want {
			t.Errorf("published %v ahead, looked at every %v: kept for %v, want %v", row.ahead, row.poll, got, row.want)
		}
	}
}
