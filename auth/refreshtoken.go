package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
)

// A refresh token is two texts in one: what names its family, and what changes
// with each use. Both are random and 128 bits or more. Whoever shows the family
// with a second part that is not good now has a token that was stolen, or that a
// thief has used.
const (
	familyChars = 26 // of rand.Text
	secretChars = 52 // of 256 bits in base32
	seedBytes   = 32
)

type refreshToken struct{ text string }

// newRefreshToken begins a family.
func newRefreshToken() refreshToken { return refreshToken{rand.Text() + rand.Text() + rand.Text()} }

// parseRefreshToken takes whatever a client shows.
func parseRefreshToken(text string) (refreshToken, error) {
	if len(text) != familyChars+secretChars {
		return refreshToken{}, fmt.Errorf("%w: it is no refresh token", ErrInvalidToken)
	}
	return refreshToken{text}, nil
}

func (t refreshToken) hash() Hash   { return hashOf(t.text) }
func (t refreshToken) family() Hash { return hashOf(t.text[:familyChars]) }

// newSeed makes what the successor of a token comes from.
func newSeed() []byte {
	seed := make([]byte, seedBytes)
	_, _ = rand.Read(seed) // never fails (crypto/rand)
	return seed
}

// successor is the token that follows t, the same for the same seed, so that
// nothing but the seed must be kept to give it out twice. Neither the seed nor t
// tells anything of it without the other.
func (t refreshToken) successor(seed []byte) refreshToken {
	mac := hmac.New(sha256.New, seed)
	mac.Write([]byte(t.text))
	return refreshToken{t.text[:familyChars] + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil))}
}
