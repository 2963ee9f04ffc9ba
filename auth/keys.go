package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	keyFileMode = 0o600
	keyDirMode  = 0o700
	keySuffix   = ".pem"
	// minHMACSecret is the size of SHA-256's output (RFC 7518, 3.2).
	minHMACSecret = 32
)

// Key signs tokens, and verifies those that it signed.
type Key struct {
	id      string
	method  jwt.SigningMethod
	private any // what method.Sign takes
	public  any // what method.Verify takes: a typed key, never bytes from a token
}

// ID is the key's `kid`.
func (k Key) ID() string { return k.id }

// KeySet is the keys that tokens are verified with, one of which signs. All
// are of one algorithm. It does not change after it is made.
type KeySet struct {
	signer Key
	byID   map[string]Key
}

// NewHMACKeySet signs and verifies with HS256 and a shared secret of at least
// 32 bytes.
func NewHMACKeySet(secret []byte) (*KeySet, error) {
	if len(secret) < minHMACSecret {
		return nil, fmt.Errorf("auth: an HMAC secret has %d bytes; give %d random ones at least", len(secret), minHMACSecret)
	}
	// The id must be the same for all who share the secret, and must not help
	// to guess it: it is a hash of a hash.
	inner := sha256.Sum256(append([]byte("gatecast hmac kid\x00"), secret...))
	outer := sha256.Sum256(inner[:])
	return newKeySet(Key{
		id:     base64.RawURLEncoding.EncodeToString(outer[:16]),
		method: jwt.SigningMethodHS256, private: secret, public: secret,
	}), nil
}

// NewEd25519KeySet signs and verifies with EdDSA.
func NewEd25519KeySet(private ed25519.PrivateKey) *KeySet {
	public := private.Public().(ed25519.PublicKey)
	return newKeySet(Key{id: thumbprint(public), method: jwt.SigningMethodEdDSA, private: private, public: public})
}

func newKeySet(k Key) *KeySet { return &KeySet{signer: k, byID: map[string]Key{k.id: k}} }

// LoadKeySet reads the Ed25519 key that lies in dir as PKCS #8 in PEM, and
// makes it at the first start. It refuses a key file that others can read.
func LoadKeySet(dir string) (*KeySet, error) {
	if err := os.MkdirAll(dir, keyDirMode); err != nil {
		return nil, fmt.Errorf("auth: folder for the signing key: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+keySuffix))
	if err != nil {
		return nil, fmt.Errorf("auth: signing key: %w", err)
	}
	switch len(files) {
	case 0:
		return makeKey(dir)
	case 1:
		return readKey(files[0])
	default:
		return nil, fmt.Errorf("auth: %s holds %d keys; leave the one that signs", dir, len(files))
	}
}

func makeKey(dir string) (*KeySet, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("auth: making the signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("auth: encoding the signing key: %w", err)
	}
	set := NewEd25519KeySet(private)
	path := filepath.Join(dir, set.signer.id+keySuffix)
	if err := writeNew(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, fmt.Errorf("auth: keeping the signing key: %w", err)
	}
	return set, nil
}

// writeNew writes a file that appears whole or not at all, so that a crash in
// the middle leaves no half key to stumble over at the next start.
func writeNew(path string, data []byte) (err error) {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, keyFileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func readKey(path string) (*KeySet, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("auth: signing key: %w", err)
	}
	// Windows has no such bits and shows 0666 for every file.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("auth: signing key %s can be read by others (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("auth: signing key: %w", err)
	}
	block, rest := pem.Decode(data)
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("auth: signing key %s is not one PEM block", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("auth: signing key %s: %w", path, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("auth: signing key %s is %T; it must be Ed25519", path, parsed)
	}
	return NewEd25519KeySet(private), nil
}

// thumbprint is the key's RFC 7638 (and RFC 8037) SHA-256 thumbprint.
func thumbprint(public ed25519.PublicKey) string {
	member := `{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}`
	sum := sha256.Sum256([]byte(member))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
