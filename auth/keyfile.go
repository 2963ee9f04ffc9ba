package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	keyFileMode = 0o600
	keyDirMode  = 0o700
	keySuffix   = ".pem"
	// keyTime is how the name of a file begins: when its key was made, in UTC.
	keyTime = "20060102T150405Z"
)

// keyFile is an Ed25519 key that lies in a folder.
type keyFile struct {
	Key
	path string
	made time.Time // what its name says; zero where that is the id alone
}

func keyFileName(made time.Time, id string) string {
	if made.IsZero() {
		return id + keySuffix
	}
	return made.UTC().Format(keyTime) + "-" + id + keySuffix
}

// readKeys reads every key in dir, the oldest first. A file that is no key, or
// not what its name says, is an error that names it. ErrNoKeys tells that there
// is none.
func readKeys(dir string) ([]keyFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("auth: folder of the signing keys: %w", err)
	}
	var files []keyFile
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != keySuffix {
			continue // a lock, or a key that is being written
		}
		path := filepath.Join(dir, entry.Name())
		file, err := readKeyFile(path)
		if isGone(path, err) {
			continue // a rotation has removed it since the folder was read
		}
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w in %s", ErrNoKeys, dir)
	}
	slices.SortFunc(files, olderFirst)
	return files, checkKeys(files)
}

func olderFirst(a, b keyFile) int {
	if c := a.made.Compare(b.made); c != 0 {
		return c
	}
	return strings.Compare(a.id, b.id)
}

// checkKeys refuses sets that could be meant in two ways. They are sorted.
func checkKeys(files []keyFile) error {
	if len(files) > 1 && files[1].made.IsZero() {
		return fmt.Errorf("auth: the names of signing keys %s and %s do not tell which is older; name the newer one %s", files[0].path, files[1].path, nameHint(files[1].id))
	}
	paths := make(map[string]string, len(files))
	for _, f := range files {
		if twin, ok := paths[f.id]; ok {
			return fmt.Errorf("auth: signing keys %s and %s are the same key; leave one of them", twin, f.path)
		}
		paths[f.id] = f.path
	}
	return nil
}

// isGone tells a file that is not there any more from a link that leads nowhere.
func isGone(path string, err error) bool {
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// readKeyFile reads a key and refuses one that others can read.
func readKeyFile(path string) (keyFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return keyFile{}, fmt.Errorf("auth: signing key: %w", err)
	}
	// Windows has no such bits and shows 0666 for every file.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return keyFile{}, fmt.Errorf("auth: signing key %s can be read by others (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return keyFile{}, fmt.Errorf("auth: signing key: %w", err)
	}
	private, err := parseKey(data)
	if err != nil {
		return keyFile{}, fmt.Errorf("auth: signing key %s %w", path, err)
	}
	return named(path, newEd25519Key(private))
}

// parseKey takes one Ed25519 key as PKCS #8 in PEM.
func parseKey(data []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(data)
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("is not one PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("is %T; it must be Ed25519", parsed)
	}
	return private, nil
}

// nameHint is how a file should be named whose time nobody here knows.
func nameHint(id string) string {
	return "TIME-" + keyFileName(time.Time{}, id) + " (TIME tells in UTC when it was made, such as 20261125T161421Z)"
}

// named holds a file to its name, which decides when the key signs: a name that
// is mistyped must not do so in silence.
func named(path string, key Key) (keyFile, error) {
	name := filepath.Base(path)
	before, _, _ := strings.Cut(name, "-")
	made, _ := time.Parse(keyTime, before) // zero where there is no time
	if keyFileName(made, key.id) != name {
		return keyFile{}, fmt.Errorf("auth: signing key %s is not named for what it holds; name it %s, or without TIME- where it is the oldest", path, nameHint(key.id))
	}
	return keyFile{Key: key, path: path, made: made}, nil
}

// makeKey puts a new key into dir.
func makeKey(dir string, made time.Time) (keyFile, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return keyFile{}, fmt.Errorf("auth: making a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return keyFile{}, fmt.Errorf("auth: encoding a signing key: %w", err)
	}
	key := newEd25519Key(private)
	path := filepath.Join(dir, keyFileName(made, key.id))
	if err := writeNew(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return keyFile{}, fmt.Errorf("auth: keeping a signing key: %w", err)
	}
	return keyFile{Key: key, path: path, made: made}, nil
}

// writeNew writes a file that appears whole or not at all, so that a crash in
// the middle leaves no half key to stumble over, and nobody reads one.
func writeNew(path string, data []byte) (err error) {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, keyFileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
