package auth

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Defaults of KeyOptions.
const (
	defaultPublishAhead = 10 * time.Minute
	defaultLongestTTL   = 90 * 24 * time.Hour
	defaultKeyPoll      = 2 * time.Second
)

// KeyOptions of a folder of keys. All who use the keys must agree on
// PublishAhead and LongestTTL.
type KeyOptions struct {
	PublishAhead time.Duration    // from a key's making until it signs; 0 means defaultPublishAhead
	LongestTTL   time.Duration    // life of any token at most; 0 means defaultLongestTTL
	Poll         time.Duration    // how often Watch looks at the folder; 0 means defaultKeyPoll
	Logger       *slog.Logger     // of Watch; nil discards
	Now          func() time.Time // nil means time.Now
}

func (o KeyOptions) withDefaults() KeyOptions {
	o.PublishAhead = cmp.Or(o.PublishAhead, defaultPublishAhead)
	o.LongestTTL = cmp.Or(o.LongestTTL, defaultLongestTTL)
	o.Poll = cmp.Or(o.Poll, defaultKeyPoll)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// KeySet is the keys that tokens are verified with, one of which signs. All
// are of one algorithm. It is safe for concurrent use, and who asks it waits
// for nothing: what Watch finds in the folder takes the place of the old keys
// at once and whole.
type KeySet struct {
	// static after construction
	dir    string // none where the one key is forever
	method jwt.SigningMethod
	opts   KeyOptions

	current atomic.Pointer[schedule]
	version atomic.Uint64 // grows after current has changed
}

// NewHMACKeySet signs and verifies with HS256 and a shared secret of at least
// 32 bytes.
func NewHMACKeySet(secret []byte) (*KeySet, error) {
	key, err := newHMACKey(secret)
	if err != nil {
		return nil, err
	}
	return newKeySet("", []keyFile{{Key: key}}, KeyOptions{}), nil
}

// NewEd25519KeySet signs and verifies with EdDSA and one key.
func NewEd25519KeySet(private ed25519.PrivateKey) *KeySet {
	return newKeySet("", []keyFile{{Key: newEd25519Key(private)}}, KeyOptions{})
}

// LoadKeySet reads the Ed25519 keys that lie in dir as PKCS #8 in PEM, and
// makes the first one at the first start. It refuses a key file that others can
// read, that is damaged, or whose name is not its own. Call Watch to follow what
// happens in dir.
func LoadKeySet(dir string, opts KeyOptions) (*KeySet, error) {
	opts = opts.withDefaults()
	if err := os.MkdirAll(dir, keyDirMode); err != nil {
		return nil, fmt.Errorf("auth: folder of the signing keys: %w", err)
	}
	files, err := readKeys(dir)
	if errors.Is(err, ErrNoKeys) {
		files, err = makeFirstKey(dir, opts)
	}
	if err != nil {
		return nil, err
	}
	return newKeySet(dir, files, opts), nil
}

func newKeySet(dir string, files []keyFile, opts KeyOptions) *KeySet {
	s := &KeySet{dir: dir, method: files[0].method, opts: opts.withDefaults()}
	s.current.Store(newSchedule(files, s.opts))
	return s
}

// signer is the key that signs now.
func (s *KeySet) signer() Key { return s.current.Load().signer(s.opts.Now()).Key }

// verifier is the key of that id, unless it is retired.
func (s *KeySet) verifier(id string) (*scheduledKey, bool) {
	key, ok := s.current.Load().byID[id]
	if !ok || key.isRetired(s.opts.Now()) {
		return nil, false
	}
	return key, true
}

// replace puts the keys of files in the place of those that are there, unless
// they are the same.
func (s *KeySet) replace(files []keyFile) {
	if !s.current.Load().isOf(files) {
		s.current.Store(newSchedule(files, s.opts))
		s.version.Add(1)
	}
}
