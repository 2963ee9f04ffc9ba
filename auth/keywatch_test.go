package auth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// watched is a set that follows its folder, in a bubble's time.
type watched struct {
	*auth.KeySet
	t    *testing.T
	dir  string
	opts auth.KeyOptions
	log  lines
}

// lines is what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// take gives what was logged since the last time.
func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return strings.Split(strings.TrimSuffix(l.buf.String(), "\n"), "\n")
}

const poll = 2 * time.Second

func newWatched(t *testing.T, dir string) *watched {
	w := &watched{t: t, dir: dir}
	w.opts = auth.KeyOptions{PublishAhead: ahead, LongestTTL: time.Minute, Poll: poll, Logger: slog.New(slog.NewTextHandler(&w.log, nil))}
	keys, err := auth.LoadKeySet(dir, w.opts)
	if err != nil {
		t.Fatal(err)
	}
	w.KeySet = keys
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		keys.Watch(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

// after lets time pass and gives what was logged meanwhile.
func (w *watched) after(d time.Duration) []string {
	time.Sleep(d)
	synctest.Wait()
	return w.log.take()
}

// expect holds what was logged to one line with a text; no text is no line.
func (w *watched) expect(logged []string, want string) {
	w.t.Helper()
	if len(logged) != 1 || !strings.Contains(logged[0], want) || want == "" && logged[0] != "" {
		w.t.Errorf("logged %q, want %q", logged, want)
	}
}

func (w *watched) signer() string {
	w.t.Helper()
	_, kid := issue(w.t, w.KeySet)
	return kid
}

// J11: a running server follows a rotation from its beginning to its end, and
// says so once each time.
func TestWatchFollowsARotationJ11(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, t.TempDir())
		w.expect(w.after(time.Minute), "")
		old, first := issue(t, w.KeySet)

		rotation, err := auth.RotateKeys(t.Context(), w.dir, w.opts)
		if err != nil {
			t.Fatal(err)
		}
		second := rotation.Made
		w.expect(w.after(poll), first+" signs, "+second+" next")
		if w.signer() != first || len(published(w.KeySet)) != 2 {
			t.Errorf("%s signs; published %v", w.signer(), published(w.KeySet))
		}

		w.expect(w.after(ahead), first+" verifies, "+second+" signs")
		if w.signer() != second || verify(t, w.KeySet, old) != nil {
			t.Errorf("%s signs; the old token: %v", w.signer(), verify(t, w.KeySet, old))
		}

		w.expect(w.after(time.Minute+10*time.Second+5*time.Minute), first+" retired, "+second+" signs")
		if verify(t, w.KeySet, old) == nil || len(published(w.KeySet)) != 1 {
			t.Errorf("a retired key verifies; published %v", published(w.KeySet))
		}

		if rotation, err = auth.RotateKeys(t.Context(), w.dir, w.opts); err != nil {
			t.Fatal(err)
		}
		w.expect(w.after(poll), second+" signs, "+rotation.Made+" next")
	})
}

// What is wrong in the folder of a running server is logged once, and changes
// nothing.
func TestWatchKeepsTheLastGoodKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, filepath.Join(t.TempDir(), "keys"))
		token, first := issue(t, w.KeySet)
		bad, twin := filepath.Join(w.dir, "20261125T161421Z-bad.pem"), filepath.Join(w.dir, "20261125T161421Z-"+first+".pem")
		paths, err := filepath.Glob(filepath.Join(w.dir, "*.pem"))
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			what string
			do   func() error
			logs string
		}{
			{"a damaged file", func() error { return os.WriteFile(bad, []byte("no key"), 0o600) }, "bad.pem is not one PEM block"},
			{"another fault", func() error { return os.Chmod(bad, 0o644) }, "chmod 600"},
			{"the fault is gone", func() error { return os.Remove(bad) }, "read again"},
			{"the key can be read by others", func() error { return os.Chmod(paths[0], 0o644) }, "chmod 600"},
			{"it cannot any more", func() error { return os.Chmod(paths[0], 0o600) }, "read again"},
			{"the key is there twice", func() error { return copyFile(paths[0], twin) }, "the same key"},
			{"it is there once", func() error { return os.Remove(twin) }, "read again"},
			{"the folder is gone", func() error { return os.Rename(w.dir, w.dir+"2") }, "no signing keys"},
			{"it is back", func() error { return os.Rename(w.dir+"2", w.dir) }, "read again"},
		} {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			w.expect(w.after(10*poll), step.logs)
			if err := verify(t, w.KeySet, token); err != nil || w.signer() != first {
				t.Errorf("%s: %s signs; the token: %v", step.what, w.signer(), err)
			}
		}
	})
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	return errors.Join(err, os.WriteFile(to, data, 0o600))
}
