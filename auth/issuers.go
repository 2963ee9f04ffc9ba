package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TrustedIssuer is somebody else whose access tokens are good here.
type TrustedIssuer struct {
	Name       string // what we call it
	Issuer     string // its `iss`, exactly
	Audience   string // what its tokens for us have in `aud`
	JWKSURL    string // where its keys are; or else
	KeyFile    string // a JWK set, or public keys or certificates in PEM; read once
	Claims     ClaimNames
	UserPrefix string // put before its user IDs, so that none of them is an ID of another issuer or of ours
}

// IssuersOptions of Issuers.
type IssuersOptions struct {
	Transport http.RoundTripper // fetches keys; nil is one that keeps no connection open
	Logger    *slog.Logger      // nil logs nothing
}

// Issuers checks the access tokens of other issuers. It is for many goroutines.
type Issuers struct {
	byIss map[string]*foreignIssuer // static after construction
	stop  context.CancelFunc        // nil before Start
	wg    sync.WaitGroup

	version atomic.Uint64 // grows after the keys of an issuer have changed
}

// NewIssuers reads the key files of the issuers in list. It fails where one of
// them cannot be read, or an issuer lacks what tokens are told apart by.
func NewIssuers(list []TrustedIssuer, opts IssuersOptions) (*Issuers, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Transport == nil {
		opts.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
		}
	}
	all := &Issuers{byIss: make(map[string]*foreignIssuer)}
	for _, trusted := range list {
		issuer, err := newForeignIssuer(trusted, opts, &all.version)
		if err != nil {
			return nil, fmt.Errorf("auth: issuer %s: %w", trusted.Name, err)
		}
		if all.byIss[trusted.Issuer] != nil {
			return nil, fmt.Errorf("auth: issuer %s: %s is there already", trusted.Name, trusted.Issuer)
		}
		all.byIss[trusted.Issuer] = issuer
	}
	return all, nil
}

// Start begins to fetch keys, and goes on with it until Close. Tokens that come
// before it wait for keys until their context ends.
func (i *Issuers) Start() {
	ctx, stop := context.WithCancel(context.Background())
	i.stop = stop
	for _, issuer := range i.byIss {
		if issuer.remote != nil {
			i.wg.Go(func() { issuer.remote.run(ctx) })
		}
	}
}

// Close ends what Start began, and waits for it. The keys that are there stay
// good for a while.
func (i *Issuers) Close() {
	if i.stop != nil {
		i.stop()
	}
	i.wg.Wait()
}

// keyVersion is another one after the keys of an issuer have changed.
func (i *Issuers) keyVersion() uint64 {
	if i == nil {
		return 0
	}
	return i.version.Load()
}

// of gives the issuer that a token says it is from, or nil. Nobody has checked
// that yet: it only chooses who checks the token, and that one looks again.
func (i *Issuers) of(token string) *foreignIssuer {
	if i == nil || len(i.byIss) == 0 {
		return nil
	}
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err != nil {
		return nil
	}
	var claims struct {
		Iss string `json:"iss"`
	}
	if json.Unmarshal(data, &claims) != nil {
		return nil
	}
	return i.byIss[claims.Iss]
}

// foreignIssuer checks the tokens of one issuer. It has keys of a file or
// remote ones.
type foreignIssuer struct {
	trusted TrustedIssuer
	parser  *jwt.Parser
	keys    publicKeys
	remote  *remoteKeys
	logger  *slog.Logger
}

func newForeignIssuer(trusted TrustedIssuer, opts IssuersOptions, version *atomic.Uint64) (*foreignIssuer, error) {
	if trusted.Issuer == "" || trusted.Audience == "" {
		return nil, errors.New("its iss and the audience of its tokens must be named")
	}
	issuer := &foreignIssuer{
		trusted: trusted,
		logger:  opts.Logger.With("issuer", trusted.Name),
		parser: jwt.NewParser(
			jwt.WithValidMethods(algorithms()),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithIssuer(trusted.Issuer),
			jwt.WithAudience(trusted.Audience),
			jwt.WithLeeway(leeway),
			jwt.WithStrictDecoding(),
		),
	}
	if trusted.JWKSURL != "" {
		issuer.remote = newRemoteKeys(trusted.JWKSURL, opts.Transport, issuer.logger, version)
		return issuer, nil
	}
	var err error
	issuer.keys, err = readPublicKeys(trusted.KeyFile)
	return issuer, err
}

// verify answers whose a valid token is, and how long it is good if no key
// changes. Everything else is an ErrInvalidToken that wraps the reason, or
// ErrIssuerUnavailable.
func (f *foreignIssuer) verify(ctx context.Context, token string) (verified, error) {
	var wire foreignClaims
	var keyEnd time.Time
	_, err := f.parser.ParseWithClaims(token, &wire, func(t *jwt.Token) (key any, err error) {
		key, keyEnd, err = f.key(ctx, t)
		return key, err
	})
	var claims Claims
	if err == nil {
		claims, err = f.trusted.read(&wire)
	}
	if errors.Is(err, ErrIssuerUnavailable) {
		return verified{}, fmt.Errorf("%w: issuer %s", ErrIssuerUnavailable, f.trusted.Name)
	}
	if err != nil {
		// Clients are not told why. Whoever sets an issuer up must find out.
		f.logger.Debug("a token of the issuer is refused", "reason", err)
		return verified{}, fmt.Errorf("%w: issuer %s: %w", ErrInvalidToken, f.trusted.Name, err)
	}
	return verified{bearer: NewBearer(claims), span: newSpan(wire.exp, wire.iat, wire.nbf).upTo(keyEnd)}, nil
}

// key finds the issuer's key for a token and refuses headers that the parser
// ignores. It never looks at jku, x5u, x5c or jwk. A key is good until end; a zero
// end is none.
func (f *foreignIssuer) key(ctx context.Context, t *jwt.Token) (key any, end time.Time, err error) {
	if err := checkForeignHeader(t.Header); err != nil {
		return nil, end, err
	}
	kid, _ := t.Header["kid"].(string)
	if f.remote == nil {
		key, err = f.keys.find(kid, t.Method.Alg())
		return key, end, err
	}
	keys, end := f.remote.good()
	key, err = keys.find(kid, t.Method.Alg())
	if errors.Is(err, errUnknownKey) {
		f.remote.renew(ctx)
		if keys, end = f.remote.good(); keys == nil {
			return nil, end, ErrIssuerUnavailable
		}
		key, err = keys.find(kid, t.Method.Alg())
	}
	return key, end, err
}

// foreignTypes are the `typ` that others give access tokens. Not all of them
// know RFC 9068, so JWT must do, or none.
var foreignTypes = []string{"at+jwt", "application/at+jwt", "jwt"}

func checkForeignHeader(header map[string]any) error {
	if _, critical := header["crit"]; critical {
		return errors.New("crit names extensions that are not understood")
	}
	if typ, given := header["typ"]; given {
		name, _ := typ.(string)
		if !slices.Contains(foreignTypes, strings.ToLower(name)) { // RFC 7515, 4.1.9
			return errors.New("typ is not that of an access token")
		}
	}
	if kid, given := header["kid"]; given {
		if name, _ := kid.(string); name == "" {
			return errors.New("kid is not a name")
		}
	}
	return nil
}
