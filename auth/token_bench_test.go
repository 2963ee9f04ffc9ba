package auth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"github.com/gatecast/gatecast/auth"
)

var benchTokens = auth.TokenOptions{Issuer: "gatecast", Audience: "gatecast", TTL: time.Hour}

func BenchmarkVerify(b *testing.B) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkVerify(b, auth.NewEd25519KeySet(private), 0)
}

// A token that has been seen before.
func BenchmarkVerifyAgain(b *testing.B) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkVerify(b, auth.NewEd25519KeySet(private), 100)
}

// With three keys, as in the middle of a rotation.
func BenchmarkVerifyWithAFolder(b *testing.B) {
	r := newRing(b)
	r.load()
	for range 2 {
		r.now = r.now.Add(time.Hour)
		r.rotate()
	}
	opts := r.options()
	opts.Now = nil
	keys, err := auth.LoadKeySet(r.dir, opts)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkVerify(b, keys, 0)
}

// What a look at the folder costs, which a server takes every Poll.
func BenchmarkReadTheFolder(b *testing.B) {
	r := newRing(b)
	r.load()
	r.rotate()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := auth.ListKeys(r.dir, r.options()); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkVerify(b *testing.B, keys *auth.KeySet, remember int) {
	b.Helper()
	token, _, err := auth.NewIssuer(keys, benchTokens).Issue(auth.Account{ID: "1", Username: "alice", Role: auth.RoleUser}, "session")
	if err != nil {
		b.Fatal(err)
	}
	verifier := auth.NewVerifier(keys, nil, benchTokens)
	verifier.Remember(remember)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verifier.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIssue(b *testing.B) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	issuer := auth.NewIssuer(auth.NewEd25519KeySet(private), benchTokens)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := issuer.Issue(auth.Account{ID: "1", Username: "alice", Role: auth.RoleUser}, "session"); err != nil {
			b.Fatal(err)
		}
	}
}
