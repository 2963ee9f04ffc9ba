package auth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	// keyLock is the file that whoever adds or removes keys holds.
	keyLock = "lock"
	// keyLockTimeout bounds the wait for it; it is held for milliseconds.
	keyLockTimeout = 10 * time.Second
	keyLockRetry   = 10 * time.Millisecond
)

// KeyRotation is what RotateKeys did.
type KeyRotation struct {
	Made    string      // id of the new key
	Removed []string    // ids of the keys that were retired, whose files are gone
	Keys    []KeyStatus // those that there are now, the oldest first
}

// RotateKeys makes the next key in dir, and removes the files of those that are
// retired. Servers that watch dir take it up. ErrNoKeys tells that there is
// nothing to rotate yet, ErrKeyWaits that the newest key does not sign yet: so
// nobody who is impatient can pile up keys.
func RotateKeys(ctx context.Context, dir string, opts KeyOptions) (r KeyRotation, err error) {
	opts = opts.withDefaults()
	if _, err := readKeys(dir); err != nil { // before a lock is made where no keys are
		return KeyRotation{}, err
	}
	unlock, err := lockKeys(ctx, dir)
	if err != nil {
		return KeyRotation{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	files, err := readKeys(dir)
	if err != nil {
		return KeyRotation{}, err
	}
	now, keys := opts.Now(), newSchedule(files, opts)
	made, err := keys.nextTime(now)
	if err != nil {
		return KeyRotation{}, err
	}
	removed, kept, err := removeRetired(keys, now)
	if err != nil {
		return KeyRotation{}, err
	}
	next, err := makeKey(dir, made)
	if err != nil {
		return KeyRotation{}, err
	}
	keys = newSchedule(append(kept, next), opts)
	return KeyRotation{Made: next.id, Removed: removed, Keys: keys.status(now)}, nil
}

// ListKeys tells what each key in dir does now. It changes nothing.
func ListKeys(dir string, opts KeyOptions) ([]KeyStatus, error) {
	opts = opts.withDefaults()
	files, err := readKeys(dir)
	if err != nil {
		return nil, err
	}
	return newSchedule(files, opts).status(opts.Now()), nil
}

// nextTime is when the next key is said to be made: in whole seconds, which
// names have; not before now, so that it is published for long enough; and after
// the newest key, so that it comes behind it.
func (s *schedule) nextTime(now time.Time) (time.Time, error) {
	newest := s.newest()
	if newest.signsFrom.After(now) {
		return time.Time{}, fmt.Errorf("%w: %s signs from %s on; rotate again after that", ErrKeyWaits, newest.id, newest.signsFrom.Format(time.RFC3339))
	}
	made := now.Add(time.Second - 1).Truncate(time.Second).UTC()
	if !made.After(newest.made) {
		made = newest.made.Add(time.Second)
	}
	return made, nil
}

func removeRetired(s *schedule, now time.Time) (removed []string, kept []keyFile, err error) {
	for i := range s.keys {
		key := &s.keys[i]
		if !key.isRetired(now) {
			kept = append(kept, key.keyFile)
			continue
		}
		if err := os.Remove(key.path); err != nil {
			return nil, nil, fmt.Errorf("auth: removing a retired key: %w", err)
		}
		removed = append(removed, key.id)
	}
	return removed, kept, nil
}

// makeFirstKey makes the key that signs at once, unless another process has done
// so.
func makeFirstKey(dir string, opts KeyOptions) (files []keyFile, err error) {
	unlock, err := lockKeys(context.Background(), dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	files, err = readKeys(dir)
	if !errors.Is(err, ErrNoKeys) {
		return files, err
	}
	first, err := makeKey(dir, opts.Now().UTC().Truncate(time.Second))
	return []keyFile{first}, err
}

// lockKeys keeps other processes from adding or removing keys in dir.
func lockKeys(ctx context.Context, dir string) (unlock func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, keyLockTimeout)
	defer cancel()
	lock := flock.New(filepath.Join(dir, keyLock), flock.SetPermissions(keyFileMode))
	if _, err := lock.TryLockContext(ctx, keyLockRetry); err != nil {
		return nil, fmt.Errorf("auth: locking the signing keys with %s: %w", lock.Path(), err)
	}
	return lock.Unlock, nil
}
