package auth

import (
	"crypto/ed25519"
	"encoding/base64"
	"time"
)

// maxJWKSAge is how long others may keep the published keys at most.
const maxJWKSAge = 5 * time.Minute

// JWKS is a published set of keys (RFC 7517, 5).
type JWKS struct {
	Keys []JWK `json:"keys"`
}

// JWK is a public Ed25519 key (RFC 8037, 2). It has no member that could hold
// what is private.
type JWK struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
}

// JWKS is every key that verifies or is going to, the oldest first. A shared
// secret is not published: its set is empty.
func (s *KeySet) JWKS() JWKS {
	set := JWKS{Keys: []JWK{}}
	current, now := s.current.Load(), s.opts.Now()
	for i := range current.keys {
		key := &current.keys[i]
		public, ok := key.public.(ed25519.PublicKey)
		if !ok || key.isRetired(now) {
			continue
		}
		set.Keys = append(set.Keys, JWK{
			KeyType: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(public),
			ID: key.id, Use: "sig", Algorithm: key.method.Alg(),
		})
	}
	return set
}

// JWKSMaxAge is how long others may keep what JWKS says: 5 minutes, or less where
// a new key would sign before they ask again.
func (s *KeySet) JWKSMaxAge() time.Duration { return s.opts.jwksMaxAge() }

// jwksMaxAge leaves a server the time that it takes to find a new key.
func (o KeyOptions) jwksMaxAge() time.Duration {
	return max(0, min(maxJWKSAge, o.PublishAhead-o.Poll)).Truncate(time.Second)
}

// overlap is how long a key verifies after it has stopped to sign: until its last
// token has ended, with room for clocks that differ, and for others that do not
// know yet that another key signs.
func (o KeyOptions) overlap() time.Duration { return o.LongestTTL + leeway + o.jwksMaxAge() }
