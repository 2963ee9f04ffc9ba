package auth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/gatecast/gatecast/auth"
)

func newHasher(passes int) *auth.Hasher {
	return auth.NewHasher(auth.HasherOptions{MemoryKiB: 19 << 10, Passes: passes, Slots: 2, Queue: 2})
}

// P4: argon2id in PHC form, with a salt of its own each time.
func TestHashP4(t *testing.T) {
	h := newHasher(2)
	first, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	second, _ := h.Hash(t.Context(), "correct horse")
	if !strings.HasPrefix(first, "$argon2id$v=19$m=19456,t=2,p=1$") || first == second {
		t.Errorf("%s and %s", first, second)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct Horse": false, "correct horse ": false} {
		if ok, rehash, err := h.Verify(t.Context(), password, first); err != nil || ok != want || rehash {
			t.Errorf("%q: %v %v %v", password, ok, rehash, err)
		}
	}
}

// P4: a hash of other costs is known as such. One that another program made is
// understood.
func TestRehashP4(t *testing.T) {
	old, err := newHasher(3).Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if ok, rehash, err := newHasher(2).Verify(t.Context(), "correct horse", old); !ok || !rehash || err != nil {
		t.Errorf("%v %v %v", ok, rehash, err)
	}
	// From the reference implementation's own test vectors.
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if ok, rehash, err := newHasher(2).Verify(t.Context(), "password", reference); !ok || !rehash || err != nil {
		t.Errorf("%v %v %v", ok, rehash, err)
	}
}

// A stored hash that is damaged, or would cost the moon, is an error and no
// match.
func TestDamagedHashes(t *testing.T) {
	h := newHasher(2)
	good, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for _, stored := range []string{
		"", "plain", "$argon2i" + good[9:], strings.Replace(good, "v=19", "v=16", 1), strings.Replace(good, "m=19456", "m=4294967295", 1),
		strings.Replace(good, "t=2", "t=0", 1), strings.Replace(good, "t=2", "t=1000000", 1), strings.Replace(good, "p=1", "p=0", 1),
		strings.Replace(good, "p=1", "p=256", 1), good[:len(good)-1], good + "$", good + "=", good[:strings.LastIndex(good, "$")+1],
	} {
		if ok, _, err := h.Verify(t.Context(), "correct horse", stored); ok || err == nil {
			t.Errorf("%q: %v %v", stored, ok, err)
		}
	}
}

// P5: who finds no slot and no place in the queue is told so, and who waits
// stops waiting when its context ends.
func TestHasherIsBoundedP5(t *testing.T) {
	h := auth.NewHasher(auth.HasherOptions{MemoryKiB: 64 << 10, Passes: 4, Slots: 1, Queue: 1})
	var wg sync.WaitGroup
	var mu sync.Mutex
	results := map[error]int{}
	for range 20 {
		wg.Go(func() {
			_, err := h.Hash(t.Context(), "correct horse")
			mu.Lock()
			defer mu.Unlock()
			results[err]++
		})
	}
	wg.Wait()
	if results[nil] == 0 || results[auth.ErrBusy] == 0 || results[nil]+results[auth.ErrBusy] != 20 {
		t.Errorf("%v", results)
	}
	stop := make(chan struct{})
	wg.Go(func() { // keeps the slot taken
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = h.Hash(t.Context(), "correct horse")
			}
		}
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for {
		if _, err := h.Hash(ended, "correct horse"); errors.Is(err, context.Canceled) {
			break
		}
	}
	close(stop)
	wg.Wait()
}

func FuzzUsername(f *testing.F) {
	for _, seed := range []string{"alice", "ALICE", "ｆｕｌｌ", "nguyễn", "a b", "", "\u200d", "ß", "\u0130", "x\u0301"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		name, err := auth.Username(raw)
		if err != nil {
			var input *auth.InputError
			if !errors.As(err, &input) || input.Reason == "" {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		// What is kept is a fixed point: it is its own spelling.
		if again, err := auth.Username(name); err != nil || again != name {
			t.Fatalf("%q becomes %q, which becomes %q, %v", raw, name, again, err)
		}
	})
}
