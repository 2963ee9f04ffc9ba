package auth

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// minHMACSecret is the size of SHA-256's output (RFC 7518, 3.2).
const minHMACSecret = 32

// Key signs tokens, and verifies those that it signed.
type Key struct {
	id      string
	method  jwt.SigningMethod
	private any // what method.Sign takes
	public  any // what method.Verify takes: a typed key, never bytes from a token
}

func newHMACKey(secret []byte) (Key, error) {
	if len(secret) < minHMACSecret {
		return Key{}, fmt.Errorf("auth: an HMAC secret has %d bytes; give %d random ones at least", len(secret), minHMACSecret)
	}
	// The id must be the same for all who share the secret, and must not help
	// to guess it: it is a hash of a hash.
	inner := sha256.Sum256(append([]byte("gatecast hmac kid\x00"), secret...))
	outer := sha256.Sum256(inner[:])
	return Key{
		id:     base64.RawURLEncoding.EncodeToString(outer[:16]),
		method: jwt.SigningMethodHS256, private: secret, public: secret,
	}, nil
}

func newEd25519Key(private ed25519.PrivateKey) Key {
	public := private.Public().(ed25519.PublicKey)
	return Key{id: thumbprint(public), method: jwt.SigningMethodEdDSA, private: private, public: public}
}

// thumbprint is the key's RFC 7638 (and RFC 8037) SHA-256 thumbprint.
func thumbprint(public ed25519.PublicKey) string {
	member := `{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}`
	sum := sha256.Sum256([]byte(member))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
