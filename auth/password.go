package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/secure/precis"
)

const (
	// maxPasswordBytes bounds what is normalised and hashed.
	maxPasswordBytes = 1 << 10

	saltBytes = 16
	hashBytes = 32
	// maxStoredMemoryKiB bounds what a stored hash can make Verify allocate.
	maxStoredMemoryKiB = 1 << 20
	maxStoredPasses    = 64
)

// HasherOptions are the costs of a password hash and how many run at once.
type HasherOptions struct {
	MemoryKiB int // argon2id memory
	Passes    int // argon2id iterations
	Slots     int // hashes at the same time
	Queue     int // callers that wait for a slot; more get ErrBusy
}

// Hasher makes and checks password hashes: argon2id in PHC string form. It
// never runs more than its slots at once, since each hash takes its memory.
type Hasher struct {
	// static after construction
	opts  HasherOptions
	slots chan struct{}

	waiting atomic.Int64
}

// NewHasher makes a Hasher.
func NewHasher(opts HasherOptions) *Hasher {
	return &Hasher{opts: opts, slots: make(chan struct{}, opts.Slots)}
}

// Hash answers the PHC string of a password; an *InputError tells why it cannot
// be hashed, ErrBusy that there is no slot. Whether it should be taken is for
// PasswordRules.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	normal, err := normalPassword(password)
	if err != nil {
		return "", err
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	phc := phcString{memoryKiB: uint32(h.opts.MemoryKiB), passes: uint32(h.opts.Passes), threads: 1, salt: salt}
	if phc.hash, err = h.run(ctx, normal, phc); err != nil {
		return "", err
	}
	return phc.String(), nil
}

// Verify checks password against a stored PHC string. rehash tells that the
// string was made with other costs than today's.
func (h *Hasher) Verify(ctx context.Context, password, stored string) (ok, rehash bool, err error) {
	phc, err := parsePHC(stored)
	if err != nil {
		return false, false, err
	}
	normal, err := normalPassword(password)
	if err != nil {
		return false, false, err
	}
	hash, err := h.run(ctx, normal, phc)
	if err != nil {
		return false, false, err
	}
	rehash = phc.memoryKiB != uint32(h.opts.MemoryKiB) || phc.passes != uint32(h.opts.Passes) || phc.threads != 1
	return subtle.ConstantTimeCompare(hash, phc.hash) == 1, rehash, nil
}

// Waste takes as long as Verify, for a user that does not exist.
func (h *Hasher) Waste(ctx context.Context, password string) error {
	normal, err := normalPassword(password)
	if err != nil {
		return err
	}
	_, err = h.run(ctx, normal, phcString{
		memoryKiB: uint32(h.opts.MemoryKiB), passes: uint32(h.opts.Passes), threads: 1, salt: make([]byte, saltBytes),
	})
	return err
}

func (h *Hasher) run(ctx context.Context, password string, phc phcString) ([]byte, error) {
	if err := h.acquire(ctx); err != nil {
		return nil, err
	}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(password), phc.salt, phc.passes, phc.memoryKiB, phc.threads, hashBytes), nil
}

func (h *Hasher) acquire(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(h.opts.Queue) {
		return ErrBusy
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// normalPassword is the form that is hashed: PRECIS OpaqueString (RFC 8265,
// 4.2), so that one password typed on two keyboards is one password. Nothing
// is cut off and nothing else is asked of it.
func normalPassword(password string) (string, error) {
	if password == "" {
		return "", &InputError{Field: "password", Reason: "is required"}
	}
	if len(password) > maxPasswordBytes {
		return "", &InputError{Field: "password", Reason: fmt.Sprintf("may have %d bytes at most", maxPasswordBytes)}
	}
	normal, err := precis.OpaqueString.String(password)
	if err != nil {
		return "", &InputError{Field: "password", Reason: "holds control characters"}
	}
	return normal, nil
}

// phcString is $argon2id$v=19$m=19456,t=2,p=1$salt$hash.
type phcString struct {
	memoryKiB, passes uint32
	threads           uint8
	salt, hash        []byte
}

func (p phcString) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memoryKiB, p.passes, p.threads,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.hash))
}

var errBadPHC = errors.New("auth: a stored password hash is not argon2id in PHC form")

func parsePHC(s string) (phcString, error) {
	var p phcString
	var version int
	var salt, hash string
	// Sscanf stops at spaces and takes the rest of the text as one word.
	if _, err := fmt.Sscanf(s, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s", &version, &p.memoryKiB, &p.passes, &p.threads, &salt); err != nil {
		return p, errBadPHC
	}
	salt, hash, _ = strings.Cut(salt, "$")
	var err1, err2 error
	p.salt, err1 = base64.RawStdEncoding.Strict().DecodeString(salt)
	p.hash, err2 = base64.RawStdEncoding.Strict().DecodeString(hash)
	if err1 != nil || err2 != nil || version != argon2.Version || len(p.hash) != hashBytes || p.threads == 0 ||
		p.passes == 0 || p.passes > maxStoredPasses || p.memoryKiB > maxStoredMemoryKiB {
		return p, errBadPHC
	}
	return p, nil
}
