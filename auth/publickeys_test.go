package auth_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatecast/gatecast/auth"
)

// The keys of an issuer in a file, in every form.
func TestIssuerKeysAreReadInEveryForm(t *testing.T) {
	k := newPrivateKeys(t)
	rsaPKCS1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)})
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, k.p256.Public(), k.p256)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, row := range map[string]struct {
		file   []byte
		alg    string
		signer any
	}{
		"RSA":                      {pemOf(t, k.rsa.Public()), "PS256", k.rsa},
		"RSA, the old form":        {rsaPKCS1, "RS256", k.rsa},
		"EC":                       {pemOf(t, k.p384.Public()), "ES384", k.p384},
		"Ed25519":                  {pemOf(t, k.ed.Public()), "EdDSA", k.ed},
		"a certificate":            {certificate, "ES256", k.p256},
		"words around it":          {append([]byte("the key of our backend\n"), pemOf(t, k.ed.Public())...), "EdDSA", k.ed},
		"several, and one fits":    {bytes.Join([][]byte{pemOf(t, k.ed.Public()), certificate, rsaPKCS1}, nil), "ES256", k.p256},
		"a JWK set":                {keySet(t, jose.JSONWebKey{Key: k.ed.Public()}), "EdDSA", k.ed},
		"a JWK set behind a break": {append([]byte("\n"), keySet(t, jose.JSONWebKey{Key: k.ed.Public()})...), "EdDSA", k.ed},
	} {
		token := sign(t, row.alg, row.signer, goodClaims(), map[string]any{"kid": nil})
		if _, err := trusting(t, row.file, nil).Verify(t.Context(), token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key file that is no use stops the start and says why.
func TestBadKeyFiles(t *testing.T) {
	k := newPrivateKeys(t)
	private, err := x509.MarshalPKCS8PrivateKey(k.ed)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, data []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
	}
	for want, file := range map[string][]byte{
		"holds no public key":         []byte("nothing\n"),
		"private key":                 block("PRIVATE KEY", private),
		"RSA of 1024 bits":            pemOf(t, k.small.Public()),
		"neither a public key":        block("X509 CRL", []byte("x")),
		"key 2: x509":                 append(pemOf(t, k.ed.Public()), block("CERTIFICATE", []byte("x"))...),
		"key 1: asn1":                 block("PUBLIC KEY", []byte("x")),
		"not a JWK set":               []byte(`{"keys":`),
		"there is no list":            []byte(`{"jwks_uri":"https://sso.example.com"}`),
		"no public key that can be":   keySet(t, jose.JSONWebKey{Key: []byte(strings.Repeat("s", 64))}),
		"longer than 1048576 bytes":   bytes.Repeat([]byte("x"), 1<<20+1),
		"101 keys; 100 are the most":  keySet(t, make101(k)...),
		"invalid character 'x' after": append(keySet(t, jose.JSONWebKey{Key: k.ed.Public()}), 'x'),
	} {
		_, err := auth.NewIssuers([]auth.TrustedIssuer{{Name: "sso", Issuer: "i", Audience: "a", KeyFile: writeFile(t, file)}}, auth.IssuersOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "sso") {
			t.Errorf("want %q: %v", want, err)
		}
	}
	for want, trusted := range map[string]auth.TrustedIssuer{
		"no such file":  {Name: "sso", Issuer: "i", Audience: "a", KeyFile: filepath.Join(t.TempDir(), "none")},
		"must be named": {Name: "sso", Issuer: "i", JWKSURL: "https://sso.example.com"},
		"its iss":       {Name: "sso", Audience: "a", JWKSURL: "https://sso.example.com"},
	} {
		if _, err := auth.NewIssuers([]auth.TrustedIssuer{trusted}, auth.IssuersOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	twice := auth.TrustedIssuer{Name: "sso", Issuer: "i", Audience: "a", JWKSURL: "https://sso.example.com"}
	if _, err := auth.NewIssuers([]auth.TrustedIssuer{twice, twice}, auth.IssuersOptions{}); err == nil {
		t.Error("two of one iss are taken")
	}
}

func make101(k privateKeys) []jose.JSONWebKey {
	keys := make([]jose.JSONWebKey, 101)
	for i := range keys {
		keys[i] = jose.JSONWebKey{Key: k.ed.Public()}
	}
	return keys
}
