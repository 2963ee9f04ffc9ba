package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// tokenType is the `typ` of an access token (RFC 9068, 2.1).
	tokenType = "at+jwt"
	// firstPartyClient is the `client_id` of those who log in here.
	firstPartyClient = "gatecast"
	// maxToken bounds what is parsed, in bytes.
	maxToken = 8 << 10
	// MaxTokenTTL is longer than any token may live: what is revoked by its ID
	// alone is remembered so long.
	MaxTokenTTL = 10 * 365 * 24 * time.Hour
	// leeway is how far clocks may differ.
	leeway = 10 * time.Second
)

// TokenOptions are what Issuer and Verifier must agree on.
type TokenOptions struct {
	Issuer   string           // `iss`
	Audience string           // `aud`
	TTL      time.Duration    // life of an access token
	Now      func() time.Time // nil means time.Now
}

func (o TokenOptions) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// Issuer signs access tokens.
type Issuer struct {
	keys *KeySet
	opts TokenOptions
}

// NewIssuer makes an Issuer that signs with keys.
func NewIssuer(keys *KeySet, opts TokenOptions) *Issuer { return &Issuer{keys, opts} }

// Issue signs a token for account in the login session, and answers what it
// says too.
func (i *Issuer) Issue(account Account, sessionID string) (string, Claims, error) {
	return i.IssueUntil(account, sessionID, time.Time{})
}

// IssueUntil is Issue for a session that ends: the token does not outlive it. A
// zero end sets no bound.
func (i *Issuer) IssueUntil(account Account, sessionID string, end time.Time) (string, Claims, error) {
	expires := i.opts.now().Add(i.opts.TTL)
	if !end.IsZero() && end.Before(expires) {
		expires = end
	}
	return i.sign(Claims{
		Subject: account.ID, Username: account.Username, Role: account.Role, SessionID: sessionID,
		ClientID: firstPartyClient, ExpiresAt: expires,
	})
}

// serviceClient is the `client_id` of tokens that belong to no login.
const serviceClient = "gatecast-service"

// IssueService signs a token of the given life that belongs to no login and no
// account: for a backend.
func (i *Issuer) IssueService(subject, username, role string, channels Capabilities, life time.Duration) (string, Claims, error) {
	return i.sign(Claims{
		Subject: subject, Username: username, Role: role, Channels: channels,
		ClientID: serviceClient, ExpiresAt: i.opts.now().Add(life),
	})
}

// sign fills in what all tokens say. They count whole seconds.
func (i *Issuer) sign(claims Claims) (string, Claims, error) {
	claims.Issuer, claims.ID = i.opts.Issuer, rand.Text()
	claims.IssuedAt, claims.ExpiresAt = i.opts.now().Truncate(time.Second), claims.ExpiresAt.Truncate(time.Second)
	key := i.keys.signer()
	token := jwt.NewWithClaims(key.method, claims.wire(i.opts.Audience))
	token.Header["typ"] = tokenType
	token.Header["kid"] = key.id
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", Claims{}, fmt.Errorf("auth: signing a token: %w", err)
	}
	return signed, claims, nil
}

// Verifier checks access tokens. It is stricter than golang-jwt's defaults,
// which take tokens without exp, with any typ, crit or iat, and with altered
// last characters. It is safe for concurrent use.
type Verifier struct {
	keys        *KeySet
	revocations *Revocations
	opts        TokenOptions
	parser      *jwt.Parser
	others      *Issuers        // nil where our own tokens are the only ones
	known       *verifiedTokens // nil where each token is checked each time
}

// NewVerifier makes a Verifier of what keys signed and has not been revoked; nil
// revocations are none. The algorithm is the keys'; a token's header cannot
// choose another.
func NewVerifier(keys *KeySet, revocations *Revocations, opts TokenOptions) *Verifier {
	return &Verifier{keys: keys, revocations: revocations, opts: opts, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{keys.method.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithIssuer(opts.Issuer),
		jwt.WithAudience(opts.Audience),
		jwt.WithLeeway(leeway),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(opts.now),
	)}
}

// Trust lets in the tokens of other issuers too, each checked with its issuer's
// keys alone. It is for before the first Verify.
func (v *Verifier) Trust(others *Issuers) { v.others = others }

// Remember has the signature of a token checked once for as long as its keys stay
// as they are, for about so many tokens; 0 checks it each time. It is for before
// the first Verify.
func (v *Verifier) Remember(tokens int) {
	v.known = nil
	if tokens > 0 {
		v.known = newVerifiedTokens(tokens)
	}
}

// Verify answers whose a valid token is. Everything else is an ErrInvalidToken
// that wraps the reason, or ErrIssuerUnavailable.
func (v *Verifier) Verify(ctx context.Context, token string) (*Bearer, error) {
	if len(token) > maxToken {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrInvalidToken, maxToken)
	}
	bearer, err := v.check(ctx, token)
	if err == nil && v.revocations.Revoked(bearer.Claims()) {
		err = fmt.Errorf("%w: it has been revoked", ErrInvalidToken)
	}
	if err != nil {
		return nil, err
	}
	return bearer, nil
}

// check is Verify, whatever has been revoked. Which version the keys are of is
// asked first: keys that change meanwhile make what is remembered useless.
func (v *Verifier) check(ctx context.Context, token string) (*Bearer, error) {
	if v.known == nil {
		good, err := v.read(ctx, token)
		return good.bearer, err
	}
	keys, hash, now := v.keyVersion(), hashOf(token), v.opts.now()
	if bearer := v.known.find(hash, keys, now); bearer != nil {
		return bearer, nil
	}
	good, err := v.read(ctx, token)
	if err != nil {
		return nil, err
	}
	good.keys, good.token = keys, hash
	v.known.keep(&good, now)
	return good.bearer, nil
}

// keyVersion is another one after any key has come or gone, since each part of it
// only grows.
func (v *Verifier) keyVersion() uint64 { return v.keys.version.Load() + v.others.keyVersion() }

// read checks a token and answers whose it is, and how long it is good if no key
// changes.
func (v *Verifier) read(ctx context.Context, token string) (verified, error) {
	if other := v.others.of(token); other != nil {
		return other.verify(ctx, token)
	}
	var wire wireClaims
	var key *scheduledKey
	_, err := v.parser.ParseWithClaims(token, &wire, func(t *jwt.Token) (public any, err error) {
		if key, err = v.key(t); err != nil {
			return nil, err
		}
		return key.public, nil
	})
	if err != nil {
		return verified{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	if wire.Sub == "" || wire.Jti == "" || wire.ClientID == "" || wire.Iat == 0 {
		return verified{}, fmt.Errorf("%w: a required claim is missing", ErrInvalidToken)
	}
	return verified{bearer: NewBearer(wire.claims()), span: newSpan(wire.Exp, wire.Iat, wire.Nbf).upTo(key.verifiesUntil)}, nil
}

// key finds our key for a token and refuses headers that the parser ignores.
// It never looks at jku, x5u or jwk.
func (v *Verifier) key(t *jwt.Token) (*scheduledKey, error) {
	if typ, _ := t.Header["typ"].(string); typ != tokenType {
		return nil, errors.New("typ is not " + tokenType)
	}
	if _, critical := t.Header["crit"]; critical {
		return nil, errors.New("crit names extensions that are not understood")
	}
	kid, _ := t.Header["kid"].(string)
	key, ok := v.keys.verifier(kid)
	if !ok {
		return nil, errors.New("kid names no key of ours, or one that is retired")
	}
	return key, nil
}
