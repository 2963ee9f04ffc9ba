package auth_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// birth is when the first key of a test is made, a little past a whole second.
var birth = time.Date(2026, 11, 25, 16, 14, 21, 300_000_000, time.UTC)

const (
	ahead  = 10 * time.Minute
	longAs = 24 * time.Hour
	// overlap is longAs, the leeway and the age of the published set.
	overlap = longAs + 10*time.Second + 5*time.Minute
)

// ring is a folder of keys, and a clock that stands still.
type ring struct {
	t   testing.TB
	dir string
	now time.Time
}

func newRing(t testing.TB) *ring {
	return &ring{t: t, dir: filepath.Join(t.TempDir(), "keys"), now: birth}
}

func (r *ring) options() auth.KeyOptions {
	return auth.KeyOptions{PublishAhead: ahead, LongestTTL: longAs, Now: func() time.Time { return r.now }}
}

// load is a server that starts.
func (r *ring) load() *auth.KeySet {
	r.t.Helper()
	keys, err := auth.LoadKeySet(r.dir, r.options())
	if err != nil {
		r.t.Fatal(err)
	}
	return keys
}

func (r *ring) rotate() auth.KeyRotation {
	r.t.Helper()
	rotation, err := auth.RotateKeys(r.t.Context(), r.dir, r.options())
	if err != nil {
		r.t.Fatal(err)
	}
	return rotation
}

// files are the names of the key files, the oldest first.
func (r *ring) files() []string {
	r.t.Helper()
	paths, err := filepath.Glob(filepath.Join(r.dir, "*.pem"))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}

// tokens are those of a clock of their own, so that no token expires before its
// key is retired.
var tokens = auth.TokenOptions{Issuer: "i", Audience: "a", TTL: time.Hour, Now: func() time.Time { return birth }}

// issue gives a token, and the id of the key that signed it.
func issue(t testing.TB, keys *auth.KeySet) (token, kid string) {
	t.Helper()
	token, _, err := auth.NewIssuer(keys, tokens).Issue(auth.Account{ID: "1", Username: "alice", Role: auth.RoleUser}, "session")
	if err != nil {
		t.Fatal(err)
	}
	return token, kidOf(t, token)
}

func kidOf(t testing.TB, token string) string {
	t.Helper()
	var header struct{ Kid string }
	if err := json.Unmarshal(decode(t, strings.Split(token, ".")[0]), &header); err != nil {
		t.Fatal(err)
	}
	return header.Kid
}

func verify(t testing.TB, keys *auth.KeySet, token string) error {
	t.Helper()
	_, err := auth.NewVerifier(keys, nil, tokens).Verify(t.Context(), token)
	if err != nil && !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("%v is not ErrInvalidToken", err)
	}
	return err
}

func published(keys *auth.KeySet) (ids []string) {
	for _, key := range keys.JWKS().Keys {
		ids = append(ids, key.ID)
	}
	return ids
}

// J11: a key is published before it signs, the one before it verifies on for the
// longest life of a token and the age of the published set, and is then retired.
func TestKeyScheduleJ11(t *testing.T) {
	r := newRing(t)
	keys := r.load()
	old, first := issue(t, keys)
	if name := "20261125T161421Z-" + first + ".pem"; !slices.Equal(r.files(), []string{name}) {
		t.Fatalf("files %v, want %s", r.files(), name)
	}

	r.now = birth.Add(time.Hour)
	rotation := r.rotate()
	second := rotation.Made
	// In whole seconds, and published for no less than ahead.
	switchAt := time.Date(2026, 11, 25, 17, 24, 22, 0, time.UTC)
	if len(rotation.Keys) != 2 || len(rotation.Removed) != 0 || !rotation.Keys[1].SignsFrom.Equal(switchAt) {
		t.Fatalf("%+v", rotation)
	}
	retiredAt := switchAt.Add(overlap)

	keys = r.load()
	for _, row := range []struct {
		at      time.Time
		signs   string
		duties  string
		valid   bool
		publish []string
	}{
		{r.now, first, "signs next", true, []string{first, second}},
		{switchAt.Add(-1), first, "signs next", true, []string{first, second}},
		{switchAt, second, "verifies signs", true, []string{first, second}},
		{retiredAt.Add(-1), second, "verifies signs", true, []string{first, second}},
		{retiredAt, second, "retired signs", false, []string{second}},
	} {
		r.now = row.at
		// A server that has been here all the time, and one that starts.
		for _, keys := range []*auth.KeySet{keys, r.load()} {
			fresh, signer := issue(t, keys)
			if signer != row.signs {
				t.Errorf("%v: %s signs, want %s", row.at, signer, row.signs)
			}
			if err := verify(t, keys, fresh); err != nil {
				t.Errorf("%v: a fresh token: %v", row.at, err)
			}
			if err := verify(t, keys, old); (err == nil) != row.valid {
				t.Errorf("%v: the old token: %v", row.at, err)
			}
			if got := published(keys); !slices.Equal(got, row.publish) {
				t.Errorf("%v: %v are published, want %v", row.at, got, row.publish)
			}
		}
		list, err := auth.ListKeys(r.dir, r.options())
		if err != nil {
			t.Fatal(err)
		}
		if got := string(list[0].Duty) + " " + string(list[1].Duty); got != row.duties {
			t.Errorf("%v: they are %q, want %q", row.at, got, row.duties)
		}
	}

	// The next rotation takes the retired key away, and nothing else.
	rotation = r.rotate()
	if !slices.Equal(rotation.Removed, []string{first}) || len(r.files()) != 2 || strings.Contains(r.files()[0], first) {
		t.Errorf("%+v, files %v", rotation, r.files())
	}
	if _, signer := issue(t, r.load()); signer != second {
		t.Errorf("%s signs, want %s", signer, second)
	}
}

// Whoever is impatient cannot pile up keys, and a key is never named before the
// one that it follows.
func TestRotationWaitsForTheNewestKey(t *testing.T) {
	r := newRing(t)
	r.now = birth.Truncate(time.Second)
	r.load()
	second := r.rotate() // in the second in which the first was made
	if second.Keys[1].ID != second.Made {
		t.Errorf("the new key comes before the old one: %v", r.files())
	}
	before := r.files()
	for _, wait := range []time.Duration{0, ahead / 2, ahead - time.Second} {
		r.now = birth.Add(wait)
		_, err := auth.RotateKeys(t.Context(), r.dir, r.options())
		if !errors.Is(err, auth.ErrKeyWaits) || !strings.Contains(err.Error(), "2026-11-25T16:24:22Z") {
			t.Errorf("after %v: %v", wait, err)
		}
	}
	if after := r.files(); !slices.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
	r.now = birth.Add(ahead + time.Second)
	if third := r.rotate(); third.Keys[2].Duty != auth.KeyNext {
		t.Errorf("%+v", third)
	}
}

// A key from before names had times is the oldest.
func TestKeyWithoutATimeIsTheOldest(t *testing.T) {
	r := newRing(t)
	_, id := issue(t, r.load())
	if err := os.Rename(filepath.Join(r.dir, r.files()[0]), filepath.Join(r.dir, id+".pem")); err != nil {
		t.Fatal(err)
	}
	if _, signer := issue(t, r.load()); signer != id {
		t.Errorf("%s signs, want %s", signer, id)
	}
	next := r.rotate().Made
	if _, signer := issue(t, r.load()); signer != id {
		t.Errorf("%s signs at once", signer)
	}
	r.now = birth.Add(ahead + time.Second)
	if _, signer := issue(t, r.load()); signer != next {
		t.Errorf("%s signs, want %s", signer, next)
	}
}

// A key that has leaked is dropped by removing its file, whatever it does now.
func TestKeyThatIsRemovedIsRefusedAtOnce(t *testing.T) {
	r := newRing(t)
	leaked, id := issue(t, r.load())
	next := r.rotate().Made
	path, _ := filepath.Glob(filepath.Join(r.dir, "*"+id+".pem"))
	if err := os.Remove(path[0]); err != nil {
		t.Fatal(err)
	}
	keys := r.load()
	if _, signer := issue(t, keys); signer != next {
		t.Errorf("%s signs, want %s", signer, next)
	}
	if err := verify(t, keys, leaked); err == nil {
		t.Error("a token of the leaked key is taken")
	}
}

// Where an older key still verifies, it signs again until the next one's turn: a
// key is not known to all who verify before.
func TestOlderKeySignsAgainWhereOneIsRemoved(t *testing.T) {
	r := newRing(t)
	_, first := issue(t, r.load())
	leaked := r.rotate().Made
	r.now = r.now.Add(ahead + time.Second)
	next := r.rotate().Made
	path, _ := filepath.Glob(filepath.Join(r.dir, "*"+leaked+".pem"))
	if err := os.Remove(path[0]); err != nil {
		t.Fatal(err)
	}
	if _, signer := issue(t, r.load()); signer != first {
		t.Errorf("%s signs, want %s", signer, first)
	}
	r.now = r.now.Add(ahead + time.Second)
	if _, signer := issue(t, r.load()); signer != next {
		t.Errorf("in its turn %s signs, want %s", signer, next)
	}
}

// What is wrong with a folder stops the start, and is named.
func TestKeyFilesThatAreWrong(t *testing.T) {
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, _ := x509.MarshalPKCS8PrivateKey(ecKey)
	for name, row := range map[string]struct {
		spoil func(r *ring, path, id string) error
		wants []string
	}{
		"read by others": {func(_ *ring, path, _ string) error { return os.Chmod(path, 0o640) }, []string{"chmod 600"}},
		"empty":          {func(_ *ring, path, _ string) error { return os.WriteFile(path, nil, 0o600) }, []string{"PEM"}},
		"cut off":        {func(_ *ring, path, _ string) error { return os.Truncate(path, 60) }, []string{"PEM"}},
		"another block": {func(_ *ring, path, _ string) error {
			return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("?")}), 0o600)
		}, []string{"cannot be read"}},
		"another kind of key": {func(_ *ring, path, _ string) error {
			return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: ecDER}), 0o600)
		}, []string{"must be Ed25519"}},
		"a name of another key": {func(r *ring, path, _ string) error {
			return os.Rename(path, filepath.Join(r.dir, "20261125T161421Z-AAAA.pem"))
		}, []string{"name it TIME-"}},
		"a time that is none": {func(r *ring, path, id string) error {
			return os.Rename(path, filepath.Join(r.dir, "20261325T161421Z-"+id+".pem"))
		}, []string{"name it TIME-"}},
		"the same key twice": {func(r *ring, path, id string) error {
			data, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(filepath.Join(r.dir, "20270101T000000Z-"+id+".pem"), data, 0o600))
		}, []string{"20261125T161421Z", "20270101T000000Z", "the same key"}},
		"a link that leads nowhere": {func(_ *ring, path, _ string) error {
			return errors.Join(os.Remove(path), os.Symlink("nowhere", path))
		}, []string{"no such file"}},
		"a folder": {func(_ *ring, path, _ string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		}, []string{"directory"}},
	} {
		r := newRing(t)
		_, id := issue(t, r.load())
		path := filepath.Join(r.dir, r.files()[0])
		if err := row.spoil(r, path, id); err != nil {
			t.Fatal(err)
		}
		_, loaded := auth.LoadKeySet(r.dir, r.options())
		_, rotated := auth.RotateKeys(t.Context(), r.dir, r.options())
		_, listed := auth.ListKeys(r.dir, r.options())
		for _, err := range []error{loaded, rotated, listed} {
			for _, want := range append(row.wants, filepath.Join(r.dir, r.files()[0])) {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %q", name, err, want)
				}
			}
		}
		if bytes.Contains([]byte(loaded.Error()), []byte("PRIVATE")) {
			t.Errorf("%s: the error shows the key: %v", name, loaded)
		}
	}
}

// Two keys without a time: nobody knows which of them signs.
func TestTwoKeysWithoutATime(t *testing.T) {
	r := newRing(t)
	r.load()
	r.rotate()
	for _, name := range r.files() {
		if err := os.Rename(filepath.Join(r.dir, name), filepath.Join(r.dir, name[len("20261125T161421Z-"):])); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := auth.LoadKeySet(r.dir, r.options()); err == nil || !strings.Contains(err.Error(), "which is older") {
		t.Errorf("got %v", err)
	}
}

// What lies beside the keys is left alone: a half-written file is no key.
func TestOnlyWholeFilesAreKeys(t *testing.T) {
	r := newRing(t)
	_, id := issue(t, r.load())
	for _, name := range []string{"20261126T000000Z-half.pem.tmp", "README", "lock", "." + r.files()[0] + ".Xy12"} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte("-----BEGIN PRI"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, signer := issue(t, r.load()); signer != id {
		t.Errorf("%s signs, want %s", signer, id)
	}
}

func TestKeyFilesAreTheOwnersAlone(t *testing.T) {
	r := newRing(t)
	r.load()
	r.rotate()
	folder, err := os.Stat(r.dir)
	if err != nil || folder.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v %v", folder.Mode(), err)
	}
	for _, name := range r.files() {
		if info, err := os.Stat(filepath.Join(r.dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

// Commands make nothing where there are no keys.
func TestCommandsMakeNoKeys(t *testing.T) {
	r := newRing(t)
	empty := t.TempDir()
	for _, dir := range []string{r.dir, empty} {
		_, rotated := auth.RotateKeys(t.Context(), dir, r.options())
		_, listed := auth.ListKeys(dir, r.options())
		if !errors.Is(rotated, auth.ErrNoKeys) || !errors.Is(listed, auth.ErrNoKeys) {
			t.Errorf("%s: %v, %v", dir, rotated, listed)
		}
	}
	if _, err := os.Stat(r.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
	if entries, _ := os.ReadDir(empty); len(entries) > 0 {
		t.Errorf("%v was made", entries)
	}
}

// Servers that start at once with one new folder agree on a key.
func TestManyStartAtOnceInOneFolder(t *testing.T) {
	r := newRing(t)
	var signers [16]string
	var errs [16]error
	together(len(errs), func(i int) {
		keys, err := auth.LoadKeySet(r.dir, r.options())
		if errs[i] = err; err == nil {
			_, signers[i] = issue(t, keys)
		}
	})
	if err := errors.Join(errs[:]...); err != nil || len(slices.Compact(signers[:])) != 1 || len(r.files()) != 1 {
		t.Errorf("%v; they sign with %v; files %v", err, signers, r.files())
	}
}

// Of those who rotate at once one does, and who reads meanwhile finds nothing
// wrong: no half file, and no file that is listed and gone.
func TestManyRotateAtOnceInOneFolder(t *testing.T) {
	r := newRing(t)
	r.load()
	var readers sync.WaitGroup
	var stop atomic.Bool
	var reads [2]atomic.Int64
	opts := r.options()
	for i := range reads {
		readers.Go(func() {
			for ; !stop.Load(); reads[i].Add(1) {
				if _, err := auth.ListKeys(r.dir, opts); err != nil {
					t.Errorf("reading meanwhile: %v", err)
				}
			}
		})
	}
	for round := range 20 { // each but the first removes a key
		now := birth.Add(time.Duration(round+1) * 2 * overlap)
		opts := r.options()
		opts.Now = func() time.Time { return now }
		var rotated atomic.Int32
		together(8, func(int) {
			_, err := auth.RotateKeys(t.Context(), r.dir, opts)
			if err == nil {
				rotated.Add(1)
			} else if !errors.Is(err, auth.ErrKeyWaits) {
				t.Errorf("rotating: %v", err)
			}
		})
		if rotated.Load() != 1 || len(r.files()) != 2 {
			t.Errorf("round %d: %d rotated; files %v", round, rotated.Load(), r.files())
		}
		for i := range reads { // nobody reads for longer than from one rotation to the next
			for before := reads[i].Load(); reads[i].Load() < before+2; {
				runtime.Gosched()
			}
		}
	}
	stop.Store(true)
	readers.Wait()
}

func together(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}
