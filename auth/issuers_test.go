package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/gatecast/gatecast/auth"
)

const (
	foreignIss = "https://sso.example.com/realms/main"
	foreignAud = "chat"
)

// privateKeys are one of each kind, and an RSA key that is too small.
type privateKeys struct {
	rsa, small       *rsa.PrivateKey
	p256, p384, p521 *ecdsa.PrivateKey
	ed               ed25519.PrivateKey
}

func newPrivateKeys(t *testing.T) (k privateKeys) {
	t.Helper()
	var errs [6]error
	k.rsa, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	k.small, errs[1] = rsa.GenerateKey(rand.Reader, 1024)
	k.p256, errs[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.p384, errs[3] = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	k.p521, errs[4] = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, k.ed, errs[5] = ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return k
}

// edKeys are privateKeys of the kind that costs nothing to make, and no others.
func edKeys(t *testing.T) (k privateKeys) {
	t.Helper()
	var err error
	if _, k.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return k
}

func keySet(t *testing.T, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t *testing.T, data []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pemOf(t *testing.T, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// ownVerifier checks tokens of iss gatecast, and of nobody else yet.
func ownVerifier(t *testing.T) (*auth.Verifier, *auth.Issuer) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := auth.NewEd25519KeySet(key)
	opts := auth.TokenOptions{Issuer: "gatecast", Audience: "gatecast", TTL: time.Minute}
	verifier := auth.NewVerifier(keys, nil, opts)
	verifier.Remember(100) // what is known of a token changes no answer
	return verifier, auth.NewIssuer(keys, opts)
}

// trusting is a Verifier that trusts an issuer with those keys in a file.
func trusting(t *testing.T, keys []byte, change func(*auth.TrustedIssuer)) *auth.Verifier {
	t.Helper()
	trusted := auth.TrustedIssuer{
		Name: "sso", Issuer: foreignIss, Audience: foreignAud, KeyFile: writeFile(t, keys), UserPrefix: "sso:",
	}
	if change != nil {
		change(&trusted)
	}
	issuers, err := auth.NewIssuers([]auth.TrustedIssuer{trusted}, auth.IssuersOptions{})
	if err != nil {
		t.Fatal(err)
	}
	verifier, _ := ownVerifier(t)
	verifier.Trust(issuers)
	return verifier
}

func goodClaims() jwt.MapClaims {
	now := time.Now().Unix()
	return jwt.MapClaims{"iss": foreignIss, "aud": foreignAud, "sub": "alice", "iat": now, "exp": now + 300}
}

// with is the good claims but for one; nil leaves it out.
func with(name string, value any) jwt.MapClaims {
	claims := goodClaims()
	if value == nil {
		delete(claims, name)
	} else {
		claims[name] = value
	}
	return claims
}

func sign(t *testing.T, alg string, key any, claims jwt.Claims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(alg), claims)
	token.Header["kid"] = "key"
	for name, value := range header {
		if value == nil {
			delete(token.Header, name)
		} else {
			token.Header[name] = value
		}
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// J1, J10: the key's kind says which algorithms are good, and nothing in a
// token does.
func TestForeignAlgorithmsJ1(t *testing.T) {
	k := newPrivateKeys(t)
	rsaPEM := pemOf(t, k.rsa.Public())
	rsaDER, _ := x509.MarshalPKIXPublicKey(k.rsa.Public())
	rsaJWK := jose.JSONWebKey{KeyID: "key", Key: k.rsa.Public()}
	jwk := func(public any, alg, use string) []byte {
		return keySet(t, jose.JSONWebKey{KeyID: "key", Key: public, Algorithm: alg, Use: use})
	}
	secret := []byte(strings.Repeat("s", 64))
	for name, row := range map[string]struct {
		keys   []byte // beside them is a key that nothing here is signed with
		alg    string
		signer any
		good   bool
	}{
		"RS256":                          {jwk(k.rsa.Public(), "", ""), "RS256", k.rsa, true},
		"RS384":                          {jwk(k.rsa.Public(), "", "sig"), "RS384", k.rsa, true},
		"RS512":                          {jwk(k.rsa.Public(), "RS512", "sig"), "RS512", k.rsa, true},
		"PS256":                          {jwk(k.rsa.Public(), "", ""), "PS256", k.rsa, true},
		"PS384":                          {jwk(k.rsa.Public(), "", ""), "PS384", k.rsa, true},
		"PS512":                          {jwk(k.rsa.Public(), "PS512", ""), "PS512", k.rsa, true},
		"ES256":                          {jwk(k.p256.Public(), "", ""), "ES256", k.p256, true},
		"ES384":                          {jwk(k.p384.Public(), "", ""), "ES384", k.p384, true},
		"ES512":                          {jwk(k.p521.Public(), "ES512", ""), "ES512", k.p521, true},
		"EdDSA":                          {jwk(k.ed.Public(), "EdDSA", "sig"), "EdDSA", k.ed, true},
		"another RSA key":                {jwk(k.rsa.Public(), "", ""), "RS256", k.small, false},
		"HS256 with the public PEM":      {jwk(k.rsa.Public(), "", ""), "HS256", rsaPEM, false},
		"HS512 with the public PEM":      {jwk(k.rsa.Public(), "", ""), "HS512", rsaPEM, false},
		"HS256 with the public DER":      {jwk(k.rsa.Public(), "", ""), "HS256", rsaDER, false},
		"HS256 with the modulus":         {jwk(k.rsa.Public(), "", ""), "HS256", k.rsa.N.Bytes(), false},
		"HS256 with nothing":             {jwk(k.rsa.Public(), "", ""), "HS256", []byte{}, false},
		"HS256 with the public Ed25519":  {jwk(k.ed.Public(), "", ""), "HS256", []byte(k.ed.Public().(ed25519.PublicKey)), false},
		"none":                           {jwk(k.rsa.Public(), "", ""), "none", jwt.UnsafeAllowNoneSignatureType, false},
		"an oct key":                     {keySet(t, rsaJWK, jose.JSONWebKey{KeyID: "key", Key: secret}), "HS256", secret, false},
		"an oct key that says RS256":     {keySet(t, rsaJWK, jose.JSONWebKey{KeyID: "key", Key: secret, Algorithm: "RS256"}), "HS256", secret, false},
		"ES256 of an RSA key":            {jwk(k.rsa.Public(), "", ""), "ES256", k.p256, false},
		"ES256 of a P-384 key":           {jwk(k.p384.Public(), "", ""), "ES256", k.p256, false},
		"PS256 of a key for RS256":       {jwk(k.rsa.Public(), "RS256", ""), "PS256", k.rsa, false},
		"RS512 of a key for RS256":       {jwk(k.rsa.Public(), "RS256", ""), "RS512", k.rsa, false},
		"RS256 of a key that says ES256": {jwk(k.rsa.Public(), "ES256", ""), "RS256", k.rsa, false},
		"RS256 of a key that says HS256": {jwk(k.rsa.Public(), "HS256", ""), "RS256", k.rsa, false},
		"a key for encryption":           {jwk(k.rsa.Public(), "", "enc"), "RS256", k.rsa, false},
		"a key for RSA-OAEP":             {jwk(k.rsa.Public(), "RSA-OAEP", ""), "RS256", k.rsa, false},
		"RSA of 1024 bits":               {jwk(k.small.Public(), "", ""), "RS256", k.small, false},
		"a private key in the set":       {jwk(k.rsa, "", ""), "RS256", k.rsa, false},
		"a private Ed25519 key":          {jwk(k.ed, "", ""), "EdDSA", k.ed, false},
	} {
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(row.keys, &set); err != nil {
			t.Fatal(err)
		}
		_, other, _ := ed25519.GenerateKey(rand.Reader)
		set.Keys = append(set.Keys, jose.JSONWebKey{KeyID: "other", Key: other.Public()})
		_, err := trusting(t, keySet(t, set.Keys...), nil).Verify(t.Context(), sign(t, row.alg, row.signer, goodClaims(), nil))
		if (err == nil) != row.good || err != nil && !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// J10: what a token's header may say of its key.
func TestForeignKidMustNameOneKeyJ10(t *testing.T) {
	k := newPrivateKeys(t)
	_, another, _ := ed25519.GenerateKey(rand.Reader)
	one := keySet(t, jose.JSONWebKey{KeyID: "key", Key: k.ed.Public()})
	twoKinds := keySet(t, jose.JSONWebKey{KeyID: "key", Key: k.ed.Public()}, jose.JSONWebKey{KeyID: "key", Key: k.p256.Public()})
	twoOfAKind := keySet(t, jose.JSONWebKey{KeyID: "key", Key: k.ed.Public()}, jose.JSONWebKey{KeyID: "new", Key: another.Public()})
	sameName := keySet(t, jose.JSONWebKey{KeyID: "key", Key: k.ed.Public()}, jose.JSONWebKey{KeyID: "key", Key: another.Public()})
	nameless := keySet(t, jose.JSONWebKey{Key: k.ed.Public()}, jose.JSONWebKey{Key: another.Public()})
	sum, _ := (&jose.JSONWebKey{Key: k.ed.Public()}).Thumbprint(5) // crypto.SHA256
	for name, row := range map[string]struct {
		keys []byte
		kid  any
		good bool
	}{
		"its name":                              {one, "key", true},
		"another name":                          {one, "other", false},
		"a name that climbs":                    {one, "../key", false},
		"no name, one key":                      {one, nil, true},
		"an empty name":                         {one, "", false},
		"a name that is no text":                {one, 1, false},
		"a list of names":                       {one, []string{"key"}, false},
		"one name for two kinds":                {twoKinds, "key", true},
		"no name, one key of the kind":          {twoKinds, nil, true},
		"its name among two of a kind":          {twoOfAKind, "key", true},
		"no name, two of a kind":                {twoOfAKind, nil, false},
		"one name for two of a kind":            {sameName, "key", false},
		"keys without names, no name":           {nameless, nil, false},
		"keys without names, the thumbprint":    {nameless, base64.RawURLEncoding.EncodeToString(sum), true},
		"keys without names, a name of its own": {nameless, "key", false},
	} {
		_, err := trusting(t, row.keys, nil).Verify(t.Context(), sign(t, "EdDSA", k.ed, goodClaims(), map[string]any{"kid": row.kid}))
		if (err == nil) != row.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// J2 to J4, J6 to J8, J10, J12: tokens of an issuer that are nearly right, and
// some that are.
func TestForeignTokensJ2J3J4J6J7J8J10J12(t *testing.T) {
	k := edKeys(t)
	_, evil, _ := ed25519.GenerateKey(rand.Reader)
	evilJWK, _ := json.Marshal(jose.JSONWebKey{Key: evil.Public()})
	verifier := trusting(t, keySet(t, jose.JSONWebKey{KeyID: "key", Key: k.ed.Public()}), nil)
	now := time.Now().Unix()
	theirs := func(claims jwt.MapClaims, header map[string]any) string {
		return sign(t, "EdDSA", k.ed, claims, header)
	}
	valid := theirs(goodClaims(), nil)
	parts := strings.Split(valid, ".")
	// The last character of 64 bytes in base64 has four bits that say nothing.
	altered := valid[:len(valid)-1] + string(map[byte]byte{'A': 'B', 'Q': 'R', 'g': 'h', 'w': 'x'}[valid[len(valid)-1]])
	typ := func(typ any) string { return theirs(goodClaims(), map[string]any{"typ": typ}) }
	header := func(name string, value any) string { return theirs(goodClaims(), map[string]any{name: value}) }

	for name, token := range map[string]string{
		"J2 no exp":                  theirs(with("exp", nil), nil),
		"J2 exp null":                theirs(with("exp", json.RawMessage("null")), nil),
		"J2 exp in quotation marks":  theirs(with("exp", "99999999999"), nil),
		"J2 exp of another spelling": theirs(jwt.MapClaims{"iss": foreignIss, "aud": foreignAud, "sub": "alice", "Exp": now + 300}, nil),
		"J2 exp that no clock tells": theirs(with("exp", 1<<43), nil),
		"J2 expired":                 theirs(with("exp", now-11), nil),
		"J3 no issuer":               theirs(with("iss", nil), nil),
		"J3 issuer with a slash":     theirs(with("iss", foreignIss+"/"), nil),
		"J3 issuers in a list":       theirs(with("iss", []string{foreignIss}), nil),
		"J3 two spellings of iss":    theirs(jwt.MapClaims{"iss": "evil", "Iss": foreignIss, "aud": foreignAud, "sub": "alice", "exp": now + 300}, nil),
		"J3 a spelling that folds":   theirs(jwt.MapClaims{"iss": "evil", "is\u017f": foreignIss, "aud": foreignAud, "sub": "alice", "exp": now + 300}, nil),
		"J3 our issuer":              theirs(with("iss", "gatecast"), nil),
		"J3 no audience":             theirs(with("aud", nil), nil),
		"J3 empty audience":          theirs(with("aud", ""), nil),
		"J3 another audience":        theirs(with("aud", "other"), nil),
		"J3 our own audience":        theirs(with("aud", "gatecast"), nil),
		"J3 two spellings of aud":    theirs(jwt.MapClaims{"iss": foreignIss, "aud": "other", "AUD": foreignAud, "sub": "alice", "exp": now + 300}, nil),
		"J4 a logout token":          typ("logout+jwt"),
		"J4 an empty typ":            typ(""),
		"J4 typ that is no text":     typ(1),
		"J4 an ID token":             theirs(with("at_hash", "x"), nil),
		"J4 an ID token with a code": theirs(with("c_hash", "x"), nil),
		"J6 crit":                    header("crit", []string{"exp"}),
		"J6 crit null":               header("crit", json.RawMessage("null")),
		"J7 iat in the future":       theirs(with("iat", now+60), nil),
		"J7 nbf in the future":       theirs(with("nbf", now+60), nil),
		"J8 altered last character":  altered,
		"J8 padding":                 valid + "==",
		"J8 line break":              parts[0] + "." + parts[1][:8] + "\n" + parts[1][8:] + "." + parts[2],
		"J10 its own jwk":            sign(t, "EdDSA", evil, goodClaims(), map[string]any{"jwk": json.RawMessage(evilJWK)}),
		"J10 its own jku":            sign(t, "EdDSA", evil, goodClaims(), map[string]any{"jku": "https://evil.example/keys", "x5u": "https://evil.example/keys"}),
		"J12 over 8 KiB":             theirs(with("pad", strings.Repeat("x", 9000)), nil),
		"no signature":               parts[0] + "." + parts[1] + ".",
		"two parts":                  parts[0] + "." + parts[1],
		"four parts":                 valid + ".x",
		"claims that are no object":  parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`["`+foreignIss+`"]`)) + "." + parts[2],
	} {
		if claims, err := verifier.Verify(t.Context(), token); !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("%s: %+v %v", name, claims, err)
		}
	}
	for name, token := range map[string]string{
		"as it should be":                  valid,
		"J3 our audience among others":     theirs(with("aud", []string{"other", foreignAud}), nil),
		"J4 at+jwt":                        typ("at+jwt"),
		"J4 application/at+jwt":            typ("application/at+jwt"),
		"J4 another case":                  typ("AT+JWT"),
		"J4 JWT":                           typ("JWT"),
		"J4 no typ":                        typ(nil),
		"J7 no iat":                        theirs(with("iat", nil), nil),
		"J7 iat within the leeway":         theirs(with("iat", now+5), nil),
		"J10 a jwk that is not looked at":  header("jwk", json.RawMessage(evilJWK)),
		"a time with a fraction of second": theirs(with("exp", float64(now)+300.5), nil),
	} {
		if _, err := verifier.Verify(t.Context(), token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// J2, J7: the boundaries of exp and iat, with a clock that stands still.
func TestForeignTokenTimesJ2J7(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := edKeys(t)
		verifier := trusting(t, pemOf(t, k.ed.Public()), nil)
		issued := time.Now().Add(20 * time.Second).Unix()
		token := sign(t, "EdDSA", k.ed, jwt.MapClaims{"iss": foreignIss, "aud": foreignAud, "sub": "a", "iat": issued, "exp": issued + 60}, map[string]any{"kid": nil})
		for second := range int64(100) {
			age := second - 20
			if _, err := verifier.Verify(t.Context(), token); (err == nil) != (age >= -10 && age < 70) {
				t.Errorf("%d s after the issue: %v", age, err)
			}
			time.Sleep(time.Second)
		}
	})
}

// J3: each issuer's tokens are checked with its own keys, and ours with ours.
func TestIssuersAreKeptApartJ3(t *testing.T) {
	a, b := edKeys(t), edKeys(t)
	issuers, err := auth.NewIssuers([]auth.TrustedIssuer{
		{Name: "a", Issuer: "iss-a", Audience: foreignAud, KeyFile: writeFile(t, pemOf(t, a.ed.Public())), UserPrefix: "a:"},
		{Name: "b", Issuer: "iss-b", Audience: foreignAud, KeyFile: writeFile(t, pemOf(t, b.ed.Public())), UserPrefix: "b:"},
	}, auth.IssuersOptions{})
	if err != nil {
		t.Fatal(err)
	}
	issuers.Start()
	defer issuers.Close()
	verifier, own := ownVerifier(t)
	verifier.Trust(issuers)
	signed := func(key any, iss string) string {
		return sign(t, "EdDSA", key, with("iss", iss), map[string]any{"kid": nil})
	}
	for _, row := range []struct{ name, token, subject string }{
		{"a's token", signed(a.ed, "iss-a"), "a:alice"},
		{"b's token", signed(b.ed, "iss-b"), "b:alice"},
		{"a signs for b", signed(a.ed, "iss-b"), ""},
		{"b signs for a", signed(b.ed, "iss-a"), ""},
		{"a signs for us", signed(a.ed, "gatecast"), ""},
		{"a signs for nobody known", signed(a.ed, "iss-c"), ""},
	} {
		subject := ""
		bearer, err := verifier.Verify(t.Context(), row.token)
		if err == nil {
			subject = bearer.Subject()
		}
		if subject != row.subject || (err == nil) != (row.subject != "") {
			t.Errorf("%s: %q %v", row.name, subject, err)
		}
	}
	token, _, err := own.Issue(auth.Account{ID: "alice", Username: "alice", Role: auth.RoleUser}, "session")
	if err != nil {
		t.Fatal(err)
	}
	if bearer, err := verifier.Verify(t.Context(), token); err != nil || bearer.Subject() != "alice" || bearer.Claims().SessionID != "session" {
		t.Errorf("our own token: %+v %v", bearer, err)
	}
}

// What a token says, in our terms.
func TestForeignClaimsBecomeOurs(t *testing.T) {
	k := edKeys(t)
	now := time.Now().Truncate(time.Second).UTC()
	object := map[string]any{
		"azp": "web", "jti": "42", "sid": "their session", "name": "Alice A.", "preferred_username": "alice",
		"realm_access":                  map[string]any{"roles": []string{"offline_access", "service", "admin"}},
		"resource_access":               map[string]any{"chat": map[string]any{"roles": []string{"service"}}},
		"https://chat.example.com/id":   "by-url",
		"https://chat.example.com/caps": map[string]any{"room:1": []string{"subscribe"}, "room:2": []string{}},
		"a.b":                           "literal", "a": map[string]any{"b": "path", "c": "path"},
		"role": "admin", "roles": []any{"user", 5}, "number": 5, "null": nil, "list": []string{"x"}, "bad": map[string]any{"room:1": "subscribe"},
		"holes": map[string]any{"room:1": []any{nil}}, "hole": map[string]any{"room:1": nil}, "numbers": map[string]any{"room:1": []int{1}},
		"odd": "  a\u0000b\nc\u202ed\u2028e  ", "long": strings.Repeat("ü", 100), "blank": " \t ", "pipe": "auth0|1", "slash": "a/b", "umlaut": "ü",
		"longID": strings.Repeat("x", 247), "fits": strings.Repeat("x", 246), "every": "aZ09-_.:@=~",
	}
	claims := goodClaims()
	maps.Copy(claims, object)
	claims["iat"], claims["exp"], claims["aud"] = now.Unix(), now.Unix()+60, []string{"other", foreignAud}
	token := sign(t, "EdDSA", k.ed, claims, nil)
	read := func(names auth.ClaimNames, prefix string) (auth.Claims, error) {
		bearer, err := trusting(t, keySet(t, jose.JSONWebKey{KeyID: "key", Key: k.ed.Public()}), func(i *auth.TrustedIssuer) {
			i.Claims, i.UserPrefix = names, prefix
		}).Verify(t.Context(), token)
		if err != nil {
			return auth.Claims{}, err
		}
		return bearer.Claims(), nil
	}

	got, err := read(auth.ClaimNames{}, "sso:")
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != foreignIss || got.Subject != "sso:alice" || got.Username != "alice" || got.Role != auth.RoleUser ||
		got.Channels != nil || got.ID != "42" || got.ClientID != "web" || got.SessionID != "" || !got.IssuedAt.Equal(now) || !got.ExpiresAt.Equal(now.Add(time.Minute)) {
		t.Errorf("by default: %+v", got)
	}

	for name, row := range map[string]struct {
		names  auth.ClaimNames
		prefix string
		id     string // empty where the token is refused
		user   string
		role   string
	}{
		"no prefix":                     {auth.ClaimNames{}, "", "alice", "alice", "user"},
		"ID in a claim of a URL":        {auth.ClaimNames{UserID: "https://chat.example.com/id"}, "x.", "x.by-url", "alice", "user"},
		"literal before path":           {auth.ClaimNames{UserID: "a.b"}, "", "literal", "alice", "user"},
		"path":                          {auth.ClaimNames{UserID: "a.c"}, "", "path", "alice", "user"},
		"every letter of an ID":         {auth.ClaimNames{UserID: "every"}, "", "aZ09-_.:@=3D~", "alice", "user"},
		"longest ID":                    {auth.ClaimNames{UserID: "fits"}, "sso:", "sso:" + strings.Repeat("x", 246), "alice", "user"},
		"too long an ID":                {auth.ClaimNames{UserID: "longID"}, "sso:", "", "", ""},
		"no such ID":                    {auth.ClaimNames{UserID: "nothing"}, "sso:", "", "", ""},
		"ID at the end of no path":      {auth.ClaimNames{UserID: "sub.x"}, "sso:", "", "", ""},
		"ID is a number":                {auth.ClaimNames{UserID: "number"}, "sso:", "", "", ""},
		"ID is null":                    {auth.ClaimNames{UserID: "null"}, "sso:", "", "", ""},
		"ID is a list":                  {auth.ClaimNames{UserID: "list"}, "sso:", "", "", ""},
		"ID with a pipe":                {auth.ClaimNames{UserID: "pipe"}, "sso:", "sso:auth0=7C1", "alice", "user"},
		"ID with a slash":               {auth.ClaimNames{UserID: "slash"}, "sso:", "sso:a=2Fb", "alice", "user"},
		"ID with an umlaut":             {auth.ClaimNames{UserID: "umlaut"}, "sso:", "sso:=C3=BC", "alice", "user"},
		"name":                          {auth.ClaimNames{Username: "name"}, "", "alice", "Alice A.", "user"},
		"no such name":                  {auth.ClaimNames{Username: "nothing"}, "s:", "s:alice", "s:alice", "user"},
		"name is a number":              {auth.ClaimNames{Username: "number"}, "", "alice", "alice", "user"},
		"name of spaces":                {auth.ClaimNames{Username: "blank"}, "", "alice", "alice", "user"},
		"name with what breaks lines":   {auth.ClaimNames{Username: "odd"}, "", "alice", "abcde", "user"},
		"name that is long":             {auth.ClaimNames{Username: "long"}, "", "alice", strings.Repeat("ü", auth.MaxUsername), "user"},
		"role is text":                  {auth.ClaimNames{Role: "role"}, "", "alice", "alice", "admin"},
		"highest role of a list":        {auth.ClaimNames{Role: "realm_access.roles"}, "", "alice", "alice", "admin"},
		"role by a longer path":         {auth.ClaimNames{Role: "resource_access.chat.roles"}, "", "alice", "alice", "service"},
		"no such role":                  {auth.ClaimNames{Role: "nothing.at.all"}, "", "alice", "alice", "user"},
		"role of another name":          {auth.ClaimNames{Role: "name"}, "", "alice", "alice", "user"},
		"role is an object":             {auth.ClaimNames{Role: "realm_access"}, "", "alice", "alice", "user"},
		"role is null":                  {auth.ClaimNames{Role: "null"}, "", "alice", "alice", "user"},
		"role is a list of mixed kinds": {auth.ClaimNames{Role: "roles"}, "", "alice", "alice", "user"},
		"no such capabilities":          {auth.ClaimNames{Capabilities: "nothing"}, "", "alice", "alice", "user"},
		"capabilities are text":         {auth.ClaimNames{Capabilities: "name"}, "", "", "", ""},
		"capabilities are null":         {auth.ClaimNames{Capabilities: "null"}, "", "", "", ""},
		"capabilities are a list":       {auth.ClaimNames{Capabilities: "list"}, "", "", "", ""},
		"capabilities without lists":    {auth.ClaimNames{Capabilities: "bad"}, "", "", "", ""},
		"capabilities of null":          {auth.ClaimNames{Capabilities: "hole"}, "", "", "", ""},
		"capabilities with null":        {auth.ClaimNames{Capabilities: "holes"}, "", "", "", ""},
		"capabilities of numbers":       {auth.ClaimNames{Capabilities: "numbers"}, "", "", "", ""},
	} {
		got, err := read(row.names, row.prefix)
		if (err == nil) != (row.id != "") || got.Subject != row.id || got.Username != row.user || got.Role != row.role || got.Channels != nil {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}

	got, err = read(auth.ClaimNames{Capabilities: "https://chat.example.com/caps"}, "")
	want := auth.Capabilities{"room:1": {"subscribe"}, "room:2": {}}
	if err != nil || !got.Channels.Equal(want) {
		t.Errorf("capabilities: %v %v", got.Channels, err)
	}
}
