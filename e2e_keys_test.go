package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/gatecast/gatecast/auth"
)

// fastPoll keeps tests from waiting for what the server looks at.
const fastPoll = "--auth.key-poll=20ms"

// rotate runs the command and gives the id of the key that it makes.
func (s *server) rotate(flags ...string) (kid string) {
	s.t.Helper()
	says, err := gatecast(s.t, append([]string{"keys", "rotate", "--data-dir=" + s.dir}, flags...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	_, kid, _ = strings.Cut(says, "Made ")
	kid, _, _ = strings.Cut(kid, ".")
	return kid
}

// login gives a token of a user that has signed up, and the id of its key.
func (s *server) login(username string) (token, kid string) {
	s.t.Helper()
	a := s.do("POST", "/login", fmt.Sprintf(`{"username":%q,"password":"correct horse battery"}`, username))
	if a.status != http.StatusOK {
		s.t.Fatalf("logging in %s: %d %s", username, a.status, a.body)
	}
	token = a.field("access_token")
	return token, kidOf(s.t, token)
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	var header struct{ Kid string }
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil || json.Unmarshal(data, &header) != nil {
		t.Fatalf("header of %s: %v", token, err)
	}
	return header.Kid
}

// published are the ids in the set that the server publishes.
func (s *server) published() (ids []string) {
	s.t.Helper()
	var set auth.JWKS
	if err := json.Unmarshal([]byte(s.do("GET", "/.well-known/jwks.json", "").body), &set); err != nil {
		s.t.Fatal(err)
	}
	for _, key := range set.Keys {
		ids = append(ids, key.ID)
	}
	return ids
}

// keyFiles are the paths of the server's keys, the oldest first.
func (s *server) keyFiles() []string {
	s.t.Helper()
	paths, err := filepath.Glob(filepath.Join(s.dir, "keys", "*.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	return paths
}

// pass makes every key older, which is what the passing of time comes to.
func (s *server) pass(d time.Duration) {
	s.t.Helper()
	const layout = "20060102T150405Z"
	for _, path := range s.keyFiles() {
		name := filepath.Base(path)
		made, err := time.Parse(layout, name[:len(layout)])
		if err != nil {
			s.t.Fatal(err)
		}
		older := filepath.Join(filepath.Dir(path), made.Add(-d).Format(layout)+name[len(layout):])
		if err := os.Rename(path, older); err != nil {
			s.t.Fatal(err)
		}
	}
}

// expectToken tells whether both doors take a token.
func (s *server) expectToken(what, token string, valid bool) {
	s.t.Helper()
	bearer := []string{"Authorization", "Bearer " + token}
	me := s.do("GET", "/me", "", bearer...)
	conn, socket := s.upgrade("/ws", bearer...)
	if conn != nil {
		newPeer(s.t, conn).leave()
	}
	if valid && (me.status != 200 || conn == nil) {
		s.t.Errorf("%s: %d %s; %d %s", what, me.status, me.body, socket.status, socket.body)
	}
	if !valid && (me.status != 401 || me.field("code") != "invalid_token" || socket.status != 401 || socket.field("code") != "invalid_token") {
		s.t.Errorf("%s: %d %s; %d %s", what, me.status, me.body, socket.status, socket.body)
	}
}

// knocker asks both doors again and again with every token that it is given,
// until it is stopped.
type knocker struct {
	s    *server
	work sync.WaitGroup
	stop context.CancelFunc

	mu      sync.Mutex
	tokens  []string
	asked   int
	refused []string
}

func (s *server) knock(token string) *knocker {
	ctx, cancel := context.WithCancel(s.t.Context())
	k := &knocker{s: s, stop: cancel, tokens: []string{token}}
	k.work.Go(func() { k.loop(ctx, k.askMe) })
	k.work.Go(func() { k.loop(ctx, k.askSocket) })
	return k
}

func (k *knocker) add(token string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tokens = append(k.tokens, token)
}

func (k *knocker) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked
}

func (k *knocker) loop(ctx context.Context, ask func(token string) (string, error)) {
	for i := 0; ctx.Err() == nil; i++ {
		k.mu.Lock()
		token := k.tokens[i%len(k.tokens)]
		k.mu.Unlock()
		status, err := ask(token)
		k.mu.Lock()
		if k.asked++; err != nil {
			k.refused = append(k.refused, status+" "+err.Error())
		}
		k.mu.Unlock()
	}
}

func (k *knocker) askMe(token string) (status string, err error) {
	request, err := http.NewRequest("GET", "http://"+k.s.addr+"/me", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return response.Status, fmt.Errorf("GET /me with a token of %s", kidOf(k.s.t, token))
	}
	return response.Status, nil
}

func (k *knocker) askSocket(token string) (status string, err error) {
	conn, response, err := websocket.DefaultDialer.Dial("ws://"+k.s.addr+"/ws", http.Header{"Authorization": {"Bearer " + token}})
	if response != nil {
		status = response.Status
	}
	if err != nil {
		return status, err
	}
	return status, conn.Close()
}

// J11: a key is rotated while the server runs and is asked all the time. No token
// is refused, whichever key signed it, and new ones come from the new key.
func TestRotationRefusesNobodyJ11(t *testing.T) {
	flags := []string{fastPoll, "--auth.key-publish-ahead=1s"}
	s := start(t, append(flags, "--limits.connections-per-user=0")...)
	before := s.signUp("alice")
	old := kidOf(t, before)
	k := s.knock(before)
	defer k.work.Wait()
	defer k.stop()

	next := s.rotate(flags...)
	eventually(t, "the new key is published", func() bool { return slices.Equal(s.published(), []string{old, next}) })
	logins := map[string]int{}
	eventually(t, "the new key signs", func() bool {
		token, kid := s.login("alice")
		k.add(token)
		logins[kid]++
		return kid == next
	})
	enough := k.count() + 20*(len(logins)+1)
	eventually(t, "all are asked", func() bool { return k.count() > enough })
	k.stop()
	k.work.Wait()

	t.Logf("%d requests and handshakes, logins by key: %v", k.count(), logins)
	if len(k.refused) > 0 {
		t.Errorf("%d of %d are refused: %v", len(k.refused), k.asked, k.refused[0])
	}
	if len(logins) > 2 || logins[next] != 1 {
		t.Errorf("logins by key: %v, of %s and then %s", logins, old, next)
	}
	if got := s.published(); !slices.Equal(got, []string{old, next}) {
		t.Errorf("published: %v", got)
	}
}

// J11: a restart in the middle of a rotation changes nothing; in the end the old
// key is retired, and then removed.
func TestRotationOverRestartsJ11(t *testing.T) {
	dir := t.TempDir()
	s := startIn(t, dir, fastPoll)
	token := s.signUp("alice")
	old := kidOf(t, token)
	next := s.rotate()
	if _, err := gatecast(t, "keys", "rotate", "--data-dir="+dir); err == nil || !strings.Contains(err.Error(), next+" signs from 20") {
		t.Errorf("rotated again at once: %v", err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}

	s = startIn(t, dir, fastPoll)
	s.expectToken("after a restart", token, true)
	if _, kid := s.login("alice"); kid != old || !slices.Equal(s.published(), []string{old, next}) {
		t.Errorf("after a restart %s signs, published %v", kid, s.published())
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}

	s.pass(11 * time.Minute)
	s = startIn(t, dir, fastPoll)
	s.expectToken("of the key that signed before", token, true)
	fresh, kid := s.login("alice")
	if kid != next {
		t.Errorf("%s signs, want %s", kid, next)
	}

	s.pass(91 * 24 * time.Hour)
	eventually(t, "the old key is retired", func() bool { return slices.Equal(s.published(), []string{next}) })
	s.expectToken("of a retired key", token, false)
	s.expectToken("of the key that signs", fresh, true)
	third := s.rotate()
	if files := s.keyFiles(); len(files) != 2 || !strings.Contains(files[0], next) || !strings.Contains(files[1], third) {
		t.Errorf("%v are left", files)
	}
	s.expectToken("of a key that is removed", token, false)
}

// A leaked key is dropped by removing its file: its tokens are refused at once,
// and the next key signs before its time.
func TestLeakedKeyIsDroppedAtOnce(t *testing.T) {
	s := start(t, fastPoll)
	leaked := s.signUp("alice")
	next := s.rotate()
	eventually(t, "the next key is published", func() bool { return len(s.published()) == 2 })
	if err := os.Remove(s.keyFiles()[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the leaked key is dropped", func() bool { return slices.Equal(s.published(), []string{next}) })
	s.expectToken("of the leaked key", leaked, false)
	token, kid := s.login("alice")
	if s.expectToken("of the next key", token, true); kid != next {
		t.Errorf("%s signs, want %s", kid, next)
	}
}

// J10: a key of another folder is unknown here.
func TestKeyOfAnotherServerIsUnknownJ10(t *testing.T) {
	s, other := start(t), start(t)
	s.expectToken("of another server", other.signUp("alice"), false)
}

// A file that is no key stops nobody who is there already; it is logged once.
func TestBadKeyFileWhileTheServerRuns(t *testing.T) {
	s := start(t, fastPoll)
	token := s.signUp("alice")
	bad := filepath.Join(s.dir, "keys", "20261125T161421Z-bad.pem")
	if err := os.WriteFile(bad, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server says so", func() bool { return s.logged("bad.pem is not one PEM block") })
	s.expectToken("beside a bad file", token, true)
	fresh, _ := s.login("alice")
	s.expectToken("from beside a bad file", fresh, true)
	if _, err := gatecast(t, "keys", "rotate", "--data-dir="+s.dir); err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("rotating beside a bad file: %v", err)
	}
	if err := os.Remove(bad); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server says that it is gone", func() bool { return s.logged("signing keys are read again") })
	if n := strings.Count(s.logs.String(), "signing keys cannot be read"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// J11: the published set is enough to verify a token with, here by the standard
// library alone, and holds nothing that is private.
func TestPublishedKeysVerifyATokenJ11(t *testing.T) {
	s := start(t)
	token := s.signUp("alice")
	a := s.do("GET", "/.well-known/jwks.json", "")
	if a.status != 200 || a.header.Get("Content-Type") != "application/jwk-set+json" || a.header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("%d %v", a.status, a.header)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(a.body), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%s: %v", a.body, err)
	}
	key := set.Keys[0]
	for _, private := range []string{"d", "k"} {
		if _, there := key[private]; there {
			t.Errorf("%s is published: %s", private, a.body)
		}
	}
	if key["kid"] != kidOf(t, token) || key["kty"] != "OKP" || key["crv"] != "Ed25519" || key["alg"] != "EdDSA" || key["use"] != "sig" {
		t.Errorf("%v", key)
	}
	public, err := base64.RawURLEncoding.DecodeString(key["x"])
	if err != nil || len(public) != ed25519.PublicKeySize {
		t.Fatalf("x is %q", key["x"])
	}
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || !ed25519.Verify(public, []byte(token[:dot]), signature) {
		t.Errorf("the published key does not verify %s: %v", token, err)
	}
}

// With a shared secret there are no keys.
func TestKeysOfASharedSecretJ11(t *testing.T) {
	secret := "--auth.hmac-secret=" + strings.Repeat("0123456789abcdef", 2)
	s := start(t, secret)
	if a := s.do("GET", "/.well-known/jwks.json", ""); a.status != 200 || a.body != `{"keys":[]}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, command := range []string{"rotate", "list"} {
		if says, err := gatecast(t, "keys", command, "--data-dir="+s.dir, secret); err == nil || !strings.Contains(err.Error(), "nothing to rotate") {
			t.Errorf("keys %s: %v\n%s", command, err, says)
		}
	}
	if _, err := os.Stat(filepath.Join(s.dir, "keys")); err == nil {
		t.Error("a folder for keys is there")
	}
}

// The commands work without a server, and say what signs, from when, and what
// verifies until when.
func TestKeysCommands(t *testing.T) {
	for _, command := range []string{"rotate", "list"} {
		if _, err := gatecast(t, "keys", command, "--data-dir="+t.TempDir()); err == nil || !strings.Contains(err.Error(), "when it starts") {
			t.Errorf("keys %s without keys: %v", command, err)
		}
	}
	s := start(t)
	old := s.published()[0]
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	list := func() string {
		t.Helper()
		says, err := gatecast(t, "keys", "list", "--data-dir="+s.dir)
		if err != nil {
			t.Fatal(err)
		}
		return says
	}
	expect := func(says string, lines ...string) {
		t.Helper()
		got := strings.Split(strings.TrimSpace(says), "\n")
		for i, line := range lines {
			if len(got) != len(lines) || !strings.HasPrefix(got[i], line) {
				t.Errorf("says\n%swant\n%s", says, strings.Join(lines, "\n"))
				return
			}
		}
	}
	expect(list(), old+"  signs  until there is another")
	next := s.rotate()
	expect(list(), old+"  signs  until 20", next+"  next   published; signs from 20")
	s.pass(11 * time.Minute)
	expect(list(), old+"  verifies  until 20", next+"  signs     until there is another")
	s.pass(91 * 24 * time.Hour)
	expect(list(), old+"  retired  since 20", next+"  signs    until there is another")
	says, err := gatecast(t, "keys", "rotate", "--data-dir="+s.dir)
	if err != nil || !strings.HasPrefix(says, "Removed "+old) || !strings.Contains(says, next+"  signs  until 20") || strings.Count(says, "signs from") != 1 {
		t.Errorf("%v\n%s", err, says)
	}
}
