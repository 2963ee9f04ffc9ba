package attack_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"hash"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// forger is mallory, who has a good token and would like it to say more.
type forger struct {
	*user
	inside *peer // a socket of hers, at which tokens can be shown too
	header map[string]any
	claims map[string]any
}

func newForger(t *testing.T, s *server) *forger {
	t.Helper()
	f := &forger{user: s.signUp("mallory")}
	f.inside = f.connect()
	parts := strings.Split(f.access, ".")
	for i, into := range []*map[string]any{&f.header, &f.claims} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	f.claims["role"] = "admin"
	f.claims["exp"] = f.claims["exp"].(float64) + 3600
	return f
}

// forge is a token with another header; what sign makes of it is the signature.
func (f *forger) forge(sign func(input []byte) []byte, header ...any) string {
	changed := maps.Clone(f.header)
	for i := 0; i < len(header); i += 2 {
		changed[header[i].(string)] = header[i+1]
	}
	input := encode(changed) + "." + encode(f.claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input)))
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func unsigned([]byte) []byte { return nil }

func signedBy(key ed25519.PrivateKey) func([]byte) []byte {
	return func(input []byte) []byte { return ed25519.Sign(key, input) }
}

func secretOf(newHash func() hash.Hash, secret []byte) func([]byte) []byte {
	return func(input []byte) []byte {
		mac := hmac.New(newHash, secret)
		mac.Write(input)
		return mac.Sum(nil)
	}
}

// isRefused shows a token at every door there is.
func (f *forger) isRefused(name, token string) {
	f.t.Helper()
	forged := f.s.caller()
	if a := forged.do("GET", "/me", "", "Authorization", "Bearer "+token); !a.is(401, "invalid_token") {
		f.t.Errorf("%s: GET /me answers %v", name, a)
	}
	if a := forged.do("POST", "/ws/ticket", "", "Authorization", "Bearer "+token); !a.is(401, "invalid_token") {
		f.t.Errorf("%s: POST /ws/ticket answers %v", name, a)
	}
	if a := forged.do("POST", "/logout", "", "Authorization", "Bearer "+token); !a.is(401, "invalid_token") {
		f.t.Errorf("%s: POST /logout answers %v", name, a)
	}
	if conn, a := forged.upgrade("/ws", "Authorization", "Bearer "+token); conn != nil || a.field("code") != "invalid_token" {
		f.t.Errorf("%s: the gate answers %v", name, a)
	}
	if conn, a := forged.upgrade("/ws", "Sec-WebSocket-Protocol", "gatecast.v1, bearer."+token); conn != nil || a.status/100 != 4 {
		f.t.Errorf("%s: the gate answers %v to the subprotocol", name, a)
	}
	if reply := f.inside.ask("refresh", "token", token); reply.str("code") != "invalid_token" {
		f.t.Errorf("%s: a socket answers %v", name, reply)
	}
}

// The control: the same forgery with the server's own key is good, so the others
// fail for what they are about.
func TestWhoHasTheKeyCanForge(t *testing.T) {
	s := start(t)
	f := newForger(t, s)
	files, err := filepath.Glob(filepath.Join(s.dir, "keys", "*.pem"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	forged := f.bearing(f.forge(signedBy(key.(ed25519.PrivateKey))))
	if a := forged.call("POST", "/channels/user:somebody/messages", `{"data":1}`); a.status != http.StatusCreated {
		t.Errorf("an admin's token: %v", a)
	}
	if a := f.call("POST", "/channels/user:somebody/messages", `{"data":1}`); !a.is(403, "forbidden") {
		t.Errorf("a user's token: %v", a)
	}
}

// J1: algorithm confusion. The public key is published; were its bytes taken for
// a secret, anybody could sign.
func TestPublicKeyAsSecretJ1(t *testing.T) {
	s := start(t, "--limits.messages.burst=100")
	f := newForger(t, s)
	var set struct{ Keys []map[string]string }
	a := f.do("GET", "/.well-known/jwks.json", "")
	if err := json.Unmarshal([]byte(a.body), &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("%v", a)
	}
	raw, err := base64.RawURLEncoding.DecodeString(set.Keys[0]["x"])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(raw))
	if err != nil {
		t.Fatal(err)
	}
	jwk, _ := json.Marshal(set.Keys[0])
	secrets := map[string][]byte{
		"raw bytes": raw, "base64": []byte(set.Keys[0]["x"]), "DER": der, "JWK": jwk, "set": []byte(a.body), "nothing": nil,
		"PEM":                    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"PEM without a line end": []byte(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))),
	}
	for name, secret := range secrets {
		f.isRefused(name, f.forge(secretOf(sha256.New, secret), "alg", "HS256"))
	}
	f.isRefused("HS384", f.forge(secretOf(sha512.New384, raw), "alg", "HS384"))
	f.isRefused("HS512", f.forge(secretOf(sha512.New, raw), "alg", "HS512"))
	f.isRefused("under EdDSA's name", f.forge(secretOf(sha256.New, raw)))
	f.inside.isAlive()
}

// J1: a token that says that it needs no signature.
func TestUnsignedTokensJ1(t *testing.T) {
	s := start(t, "--limits.messages.burst=100")
	f := newForger(t, s)
	for _, alg := range []any{"none", "None", "NONE", "nOnE", "", nil, []string{"none"}, "EdDSA", "HS256"} {
		f.isRefused("alg "+toJSON("alg", alg), f.forge(unsigned, "alg", alg))
	}
	parts := strings.Split(f.access, ".")
	f.isRefused("a good signature under none", f.forge(unsigned, "alg", "none")+parts[2])
	f.isRefused("another payload under a good signature", parts[0]+"."+encode(f.claims)+"."+parts[2])
	f.isRefused("no third part", parts[0]+"."+parts[1])
	f.inside.isAlive()
}

// J10: tokens that bring their own key, or say where it is. Nobody may be made to
// fetch it.
func TestTokensThatBringTheirKeyJ10(t *testing.T) {
	s := start(t, "--limits.messages.burst=100")
	f := newForger(t, s)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk := map[string]string{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(public), "kid": "evil", "alg": "EdDSA", "use": "sig"}
	var fetched atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{jwk}})
	}))
	defer evil.Close()
	for name, header := range map[string][]any{
		"jwk":                   {"jwk", jwk},
		"jwk and its kid":       {"jwk", jwk, "kid", "evil"},
		"jku":                   {"jku", evil.URL + "/jwks.json"},
		"jku and its kid":       {"jku", evil.URL + "/jwks.json", "kid", "evil"},
		"x5u":                   {"x5u", evil.URL + "/cert.pem"},
		"x5c":                   {"x5c", []string{base64.StdEncoding.EncodeToString(public)}},
		"kid is a URL":          {"kid", evil.URL + "/jwks.json"},
		"all that there is":     {"jwk", jwk, "jku", evil.URL, "x5u", evil.URL, "kid", "evil"},
		"marked as understood":  {"jwk", jwk, "crit", []string{"jwk"}},
		"as if it were ours":    {},
		"our kid in upper case": {"kid", strings.ToUpper(f.header["kid"].(string))},
	} {
		f.isRefused(name, f.forge(signedBy(private), header...))
	}
	if n := fetched.Load(); n > 0 {
		t.Errorf("the server fetched %d times what a token named", n)
	}
	f.inside.isAlive()
}

// J10: a kid that climbs out of the keys' folder, to a file whose content is
// known, or that would be something in a query or a shell.
func TestKeyIDsThatAreNoneJ10(t *testing.T) {
	s := start(t, "--limits.messages.burst=200")
	f := newForger(t, s)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := f.header["kid"].(string)
	for _, kid := range []any{
		"../../dev/null", "../../../../../../dev/null", "/dev/null", "/etc/passwd", "..", ".", "%2e%2e%2fdev%2fnull", s.dir + "/keys", s.dir + "/gatecast.lock",
		"' OR '1'='1", "x' UNION SELECT 'secret' -- ", "; cat /etc/passwd", "$(id)", "`id`", "\x00", own + "\x00", own + ".pem", "../keys/" + own, own + "/../" + own,
		"", nil, 0, 1.5, true, []string{own}, map[string]string{"kid": own}, strings.Repeat("x", 4000),
	} {
		name := "kid " + toJSON("kid", kid)
		f.isRefused(name, f.forge(secretOf(sha256.New, nil), "alg", "HS256", "kid", kid)) // /dev/null as a secret
		f.isRefused(name, f.forge(signedBy(private), "kid", kid))
	}
	f.inside.isAlive()
}

// J4: what is good for one thing is good for nothing else.
func TestOtherSecretsAsAccessTokensJ4T2(t *testing.T) {
	s := start(t, "--limits.messages.burst=100")
	f := newForger(t, s)
	ticket := f.call("POST", "/ws/ticket", "").field("ticket")
	for name, token := range map[string]string{"a refresh token": f.refresh, "a ticket": ticket, "its session's ID": f.claims["sid"].(string), "its own ID": f.claims["jti"].(string)} {
		f.isRefused(name, token)
	}
	for name, token := range map[string]string{"an access token": f.access, "a ticket": ticket, "a session's ID": f.claims["sid"].(string)} {
		if a := f.spend(token); !a.is(401, "invalid_token") {
			t.Errorf("%s is a refresh token: %v", name, a)
		}
	}
	for name, token := range map[string]string{"an access token": f.access, "a refresh token": f.refresh} {
		if conn, a := f.upgrade("/ws?ticket=" + token); conn != nil || a.status/100 != 4 {
			t.Errorf("%s is a ticket: %v", name, a)
		}
	}
	// Nothing of this has spent anything.
	conn, a := f.upgrade("/ws?ticket=" + ticket)
	if conn == nil {
		t.Fatalf("the ticket: %v", a)
	}
	f.welcomed(conn)
	f.with(f.spend(f.refresh))
}

// J12: what is too long is not even looked at.
func TestEndlessTokensJ12(t *testing.T) {
	s := start(t)
	f := newForger(t, s)
	for name, token := range map[string]string{
		"dots": strings.Repeat(".", 12_000), "a long payload": f.forge(unsigned, "pad", strings.Repeat("x", 9_000)),
	} {
		if a := f.do("GET", "/me", "", "Authorization", "Bearer "+token); !a.is(401, "invalid_token") {
			t.Errorf("%s: %v", name, a)
		}
	}
	conn := f.dial()
	_, _ = conn.Write([]byte("GET /me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + strings.Repeat(".", 1<<20)))
	if status := statusOf(conn); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a megabyte of dots: %d", status)
	}
}

// statusOf is the status of whatever answer comes on a connection that the server
// may reset behind it; 0 where none comes.
func statusOf(conn net.Conn) int {
	buffer := make([]byte, 12)
	if n, _ := conn.Read(buffer); n < len(buffer) {
		return 0
	}
	status := 0
	for _, digit := range buffer[9:] {
		status = 10*status + int(digit-'0')
	}
	return status
}
