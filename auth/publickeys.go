package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxJWKSetBytes bounds what is read as keys, in bytes.
	maxJWKSetBytes = 1 << 20
	// maxKeys is how many keys a set has at most, those that are no use too.
	maxKeys = 100
	// minRSA is the smallest modulus that is taken, in bits (RFC 7518, 3.3).
	minRSA = 2048
)

var (
	// errUnknownKey: a newer set may have the key.
	errUnknownKey = errors.New("kid names no key of the issuer")
	// errNotOneKey: which key it is cannot be told.
	errNotOneKey = errors.New("more than one key of the issuer fits; kid must name one")
)

// publicKey verifies what somebody else signed.
type publicKey struct {
	id   string   // `kid`; the RFC 7638 thumbprint where the key came without one
	algs []string // the algorithms of its kind; a token's header cannot add to them
	key  any      // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// publicKeys are the keys of an issuer. They do not change after they are made.
type publicKeys []publicKey

// find gives the one key of that id that alg may be used with. An empty id is
// for tokens that name none.
func (keys publicKeys) find(id, alg string) (any, error) {
	var found []publicKey
	for _, key := range keys {
		if (id == "" || key.id == id) && slices.Contains(key.algs, alg) {
			found = append(found, key)
		}
	}
	switch {
	case len(found) == 1:
		return found[0].key, nil
	case len(found) > 1:
		return nil, errNotOneKey
	case slices.ContainsFunc(keys, func(key publicKey) bool { return key.id == id }):
		return nil, fmt.Errorf("the key is not for %s", alg)
	default:
		return nil, errUnknownKey
	}
}

// newPublicKey takes a key that came with an id and an algorithm, or with none.
func newPublicKey(key any, id, alg string) (publicKey, error) {
	algs, err := algorithmsOf(key)
	if err != nil {
		return publicKey{}, err
	}
	if alg != "" && !slices.Contains(algs, alg) {
		return publicKey{}, fmt.Errorf("its alg %q is not one of its kind", alg)
	}
	if alg != "" {
		algs = []string{alg}
	}
	if id == "" {
		sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
		if err != nil {
			return publicKey{}, err
		}
		id = base64.RawURLEncoding.EncodeToString(sum)
	}
	return publicKey{id: id, algs: algs, key: key}, nil
}

// algorithmsOf are what a public key may be used with. There is no secret among
// them, so that no public key can ever be taken for one.
func algorithmsOf(key any) ([]string, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return nil, fmt.Errorf("it is RSA of %d bits; %d are the least", bits, minRSA)
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []string{"ES256"}, nil
		case elliptic.P384():
			return []string{"ES384"}, nil
		case elliptic.P521():
			return []string{"ES512"}, nil
		}
		return nil, errors.New("it is of a curve that is not P-256, P-384 or P-521")
	case ed25519.PublicKey:
		return []string{"EdDSA"}, nil
	default:
		return nil, errors.New("it is not a public key of RSA, EC or Ed25519")
	}
}

// algorithms are all that algorithmsOf can answer.
func algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// parseJWKSet reads a JWK set (RFC 7517, 5). Keys that are no use here are left
// out, as the RFC asks: secrets, private keys, keys for encryption, kinds that
// are not known. What is left may be nothing.
func parseJWKSet(data []byte) (publicKeys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("it is not a JWK set: %w", err)
	}
	if set.Keys == nil {
		return nil, errors.New("it is not a JWK set: there is no list of keys")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the JWK set has %d keys; %d are the most", len(set.Keys), maxKeys)
	}
	var keys publicKeys
	for _, raw := range set.Keys {
		if key, err := parseJWK(raw); err == nil {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func parseJWK(raw json.RawMessage) (publicKey, error) {
	// Private members are looked for first: checking whether they fit is work
	// that whoever wrote the set could make as long as they like.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return publicKey{}, err
	}
	for _, private := range []string{"d", "k", "priv"} {
		if _, has := members[private]; has {
			return publicKey{}, errors.New("it is not a public key")
		}
	}
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(raw, &jwk); err != nil {
		return publicKey{}, err
	}
	if jwk.Use != "" && jwk.Use != "sig" {
		return publicKey{}, errors.New("it is not for signatures")
	}
	return newPublicKey(jwk.Key, jwk.KeyID, jwk.Algorithm)
}

// readPublicKeys reads the keys of an issuer from a file: a JWK set, or public
// keys and certificates in PEM. A certificate only carries its key; its dates
// and who signed it are not looked at.
func readPublicKeys(path string) (publicKeys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := readBounded(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	parse := parsePEM
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		parse = parseJWKSet
	}
	keys, err := parse(data)
	if err == nil && len(keys) == 0 {
		err = errors.New("it holds no public key that can be used; give a JWK set, or public keys or certificates in PEM")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// parsePEM is strict: somebody has put each of these keys there for us.
func parsePEM(data []byte) (publicKeys, error) {
	var keys publicKeys
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return keys, nil
		}
		parsed, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(keys)+1, err)
		}
		key, err := newPublicKey(parsed, "", "")
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(keys)+1, err)
		}
		keys = append(keys, key)
	}
}

func parseBlock(block *pem.Block) (any, error) {
	switch {
	case block.Type == "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("it is a private key, which belongs to the issuer alone; give its public key")
	default:
		return nil, fmt.Errorf("%q is neither a public key nor a certificate", block.Type)
	}
}

// readBounded reads all of r, and fails where that is too much for keys.
func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxJWKSetBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxJWKSetBytes {
		return nil, fmt.Errorf("it is longer than %d bytes", maxJWKSetBytes)
	}
	return data, nil
}
