package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatecast/gatecast/auth"
)

// signingKey is the server's key, and its id.
func (s *server) signingKey() (ed25519.PrivateKey, string) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "keys", "*.pem"))
	if err != nil || len(files) != 1 {
		s.t.Fatalf("keys: %v %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		s.t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	_, kid, _ := strings.Cut(filepath.Base(files[0]), "-") // behind the time
	return key.(ed25519.PrivateKey), strings.TrimSuffix(kid, ".pem")
}

// J5: what a token holds, as RFC 9068, 2.2 has it.
func TestTokenClaimsJ5(t *testing.T) {
	s := start(t, "--auth.access-ttl=5m")
	token := s.signUp("alice")
	me := s.do("GET", "/me", "", "Authorization", "Bearer "+token)
	parsed, parts, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil || len(parts) != 3 {
		t.Fatal(err)
	}
	if parsed.Header["alg"] != "EdDSA" || parsed.Header["typ"] != "at+jwt" || parsed.Header["kid"] == "" {
		t.Errorf("header %v", parsed.Header)
	}
	claims := parsed.Claims.(jwt.MapClaims)
	for name, want := range map[string]any{"iss": "gatecast", "sub": me.field("user_id"), "client_id": "gatecast", "preferred_username": "alice", "role": "user"} {
		if claims[name] != want {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
	if aud, _ := claims.GetAudience(); len(aud) != 1 || aud[0] != "gatecast" {
		t.Errorf("aud is %v", aud)
	}
	if claims["jti"] == nil || claims["sid"] == nil {
		t.Errorf("jti or sid is missing: %v", claims)
	}
	if life := claims["exp"].(float64) - claims["iat"].(float64); life != 300 {
		t.Errorf("the token lives %v s, want 300", life)
	}
}

// J1 to J4, J6 to J8, J10, J12: tokens that are nearly right. Each is refused
// at both doors, as invalid and not for another reason.
func TestForgedTokensAreRefusedJ1J2J3J4J6J7J8J10J12(t *testing.T) {
	s := start(t)
	key, kid := s.signingKey()
	public := key.Public().(ed25519.PublicKey)
	publicDER, _ := x509.MarshalPKIXPublicKey(public)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, _ := ed25519.GenerateKey(rand.Reader)

	now := time.Now().Unix()
	good := jwt.MapClaims{
		"iss": "gatecast", "aud": "gatecast", "sub": "ID-alice", "client_id": "gatecast", "jti": "1",
		"iat": now, "exp": now + 300, "preferred_username": "alice", "role": "user",
	}
	with := func(name string, value any) jwt.MapClaims {
		claims := maps.Clone(good)
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
		return claims
	}
	sign := func(method jwt.SigningMethod, signer any, claims jwt.Claims, header map[string]any) string {
		token := jwt.NewWithClaims(method, claims)
		token.Header["typ"], token.Header["kid"] = "at+jwt", kid
		maps.Copy(token.Header, header)
		signed, err := token.SignedString(signer)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	ours := func(claims jwt.MapClaims, header map[string]any) string {
		return sign(jwt.SigningMethodEdDSA, key, claims, header)
	}
	valid := ours(good, nil)
	// The last character of 64 bytes in base64 has four bits that say nothing.
	lastChar := map[byte]byte{'A': 'B', 'Q': 'R', 'g': 'h', 'w': 'x'}[valid[len(valid)-1]]
	altered := valid[:len(valid)-1] + string(lastChar)
	parts := strings.Split(valid, ".")
	header := func(h string) string { return base64.RawURLEncoding.EncodeToString([]byte(h)) }

	for name, token := range map[string]string{
		"J1 none":                       sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good, nil),
		"J1 None without a signature":   header(`{"alg":"None","typ":"at+jwt","kid":"`+kid+`"}`) + "." + parts[1] + ".",
		"J1 HS256 with the public key":  sign(jwt.SigningMethodHS256, []byte(public), good, nil),
		"J1 HS256 with the public PEM":  sign(jwt.SigningMethodHS256, publicPEM, good, nil),
		"J1 HS384 with the public key":  sign(jwt.SigningMethodHS384, []byte(public), good, nil),
		"J1 HS256 with nothing":         sign(jwt.SigningMethodHS256, []byte{}, good, nil),
		"J1 RS256":                      sign(jwt.SigningMethodRS256, rsaKey, good, nil),
		"J1 another Ed25519 key":        sign(jwt.SigningMethodEdDSA, otherKey, good, nil),
		"J2 no exp":                     ours(with("exp", nil), nil),
		"J2 exp in quotation marks":     ours(with("exp", fmt.Sprint(now+300)), nil),
		"J2 exp null":                   ours(with("exp", json.RawMessage("null")), nil),
		"J2 expired":                    ours(with("exp", now-11), nil),
		"J3 another issuer":             ours(with("iss", "evil"), nil),
		"J3 no issuer":                  ours(with("iss", nil), nil),
		"J3 issuers in an array":        ours(with("iss", []string{"gatecast"}), nil),
		"J3 another audience":           ours(with("aud", "evil"), nil),
		"J3 no audience":                ours(with("aud", nil), nil),
		"J3 other audiences":            ours(with("aud", []string{"evil", "worse"}), nil),
		"J4 an ID token":                ours(good, map[string]any{"typ": "JWT"}),
		"J4 no typ":                     ours(good, map[string]any{"typ": ""}),
		"J5 no sub":                     ours(with("sub", nil), nil),
		"J5 no jti":                     ours(with("jti", nil), nil),
		"J5 no client_id":               ours(with("client_id", nil), nil),
		"J5 no iat":                     ours(with("iat", nil), nil),
		"J6 crit":                       ours(good, map[string]any{"crit": []string{"exp"}}),
		"J7 iat in the future":          ours(with("iat", now+60), nil),
		"J7 nbf in the future":          ours(with("nbf", now+60), nil),
		"J8 altered last character":     altered,
		"J8 padding":                    valid + "==",
		"J8 line break":                 parts[0] + "." + parts[1] + "." + parts[2][:10] + "\t" + parts[2][10:],
		"J10 unknown kid":               ours(good, map[string]any{"kid": "another"}),
		"J10 kid that climbs":           ours(good, map[string]any{"kid": "../../etc/passwd"}),
		"J10 no kid":                    ours(good, map[string]any{"kid": nil}),
		"J10 kid that is no text":       ours(good, map[string]any{"kid": 1}),
		"J10 its own key":               sign(jwt.SigningMethodEdDSA, otherKey, good, map[string]any{"jwk": map[string]string{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(otherKey.Public().(ed25519.PublicKey))}}),
		"J12 over 8 KiB":                ours(with("pad", strings.Repeat("x", 9000)), nil),
		"two parts":                     parts[0] + "." + parts[1],
		"four parts":                    valid + "." + parts[2],
		"another payload under the sig": parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"root"}`)) + "." + parts[2],
	} {
		bearer := []string{"Authorization", "Bearer " + token}
		if a := s.do("GET", "/me", "", bearer...); a.status != 401 || a.field("code") != "invalid_token" {
			t.Errorf("%s: GET /me answers %d %s", name, a.status, a.body)
		}
		if conn, a := s.upgrade("/ws", bearer...); conn != nil || a.status != 401 || a.field("code") != "invalid_token" {
			t.Errorf("%s: GET /ws answers %d %s", name, a.status, a.body)
		}
	}

	for name, token := range map[string]string{
		"as it should be":              valid,
		"J3 our audience among others": ours(with("aud", []string{"other", "gatecast"}), nil),
		"J7 iat within the leeway":     ours(with("iat", now+5), nil),
	} {
		conn, a := s.upgrade("/ws", "Authorization", "Bearer "+token)
		if conn == nil {
			t.Fatalf("%s: refused with %d %s", name, a.status, a.body)
		}
		newPeer(t, conn).leave()
	}
}

// J2, J7: the boundaries of exp and iat, with a clock that stands still.
func TestTokenTimesJ2J7(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	keys := auth.NewEd25519KeySet(key)
	at := time.Unix(1_700_000_000, 0)
	opts := auth.TokenOptions{Issuer: "i", Audience: "a", TTL: time.Minute, Now: func() time.Time { return at }}
	token, _, err := auth.NewIssuer(keys, opts).Issue(auth.Account{ID: "1", Username: "alice"}, "s")
	if err != nil {
		t.Fatal(err)
	}
	for seconds, valid := range map[int]bool{-11: false, -9: true, 0: true, 59: true, 69: true, 71: false} {
		then := opts
		then.Now = func() time.Time { return at.Add(time.Duration(seconds) * time.Second) }
		if _, err := auth.NewVerifier(keys, nil, then).Verify(t.Context(), token); (err == nil) != valid {
			t.Errorf("%d s after the issue: %v", seconds, err)
		}
	}
}

// J9: tokens of a shared secret, and no start with a weak one.
func TestHMACSecretJ9(t *testing.T) {
	secret := strings.Repeat("0123456789abcdef", 2)
	s := start(t, "--auth.hmac-secret="+secret)
	token := s.signUp("alice")
	if !strings.Contains(token, ".") {
		t.Fatal(token)
	}
	s.connect(token).leave()
	header, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if !strings.Contains(string(header), `"HS256"`) {
		t.Errorf("header %s", header)
	}
	for _, weak := range []string{"", "secret", strings.Repeat("x", 31)} {
		if _, err := auth.NewHMACKeySet([]byte(weak)); err == nil {
			t.Errorf("a secret of %d bytes is taken", len(weak))
		}
		err := run(t.Context(), []string{"gatecast", "--data-dir=" + t.TempDir(), "--auth.hmac-secret=" + weak}, func(string) string { return "" }, newLogs())
		if err == nil || !strings.Contains(err.Error(), "auth.hmac_secret") {
			t.Errorf("a start with a secret of %d bytes: %v", len(weak), err)
		}
	}
}

// The key outlives a restart, and so do tokens; nobody else may read it.
func TestSigningKeyIsKept(t *testing.T) {
	dir := t.TempDir()
	first := startIn(t, dir)
	token := first.signUp("alice")
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := startIn(t, dir)
	if a := second.do("GET", "/me", "", "Authorization", "Bearer "+token); a.status != 200 {
		t.Errorf("after a restart: %d %s", a.status, a.body)
	}
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "keys", "*.pem"))
	info, err := os.Stat(files[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
	if err := os.Chmod(files[0], 0o644); err != nil {
		t.Fatal(err)
	}
	err = run(t.Context(), []string{"gatecast", "--data-dir=" + dir}, func(string) string { return "" }, newLogs())
	if err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
}
