package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Who is known to the provider of these tests. Tokens of the first two clients
// are for the audience gatecast, tokens of the others for their own.
const (
	appClient         = "app"     // people log in with it
	backendClient     = "backend" // it has a service's role
	wikiClient        = "wiki"
	wikiBackendClient = "wiki-backend"
	clientSecret      = "secret"
	callbackURL       = "http://localhost:9999/auth/callback"

	personID       = "id2" // of the example storage
	personName     = "test-user2"
	personPassword = "verysecure"
)

// provider is a true OpenID provider at an address of its own, which it keeps
// while it is down.
type provider struct {
	t       *testing.T
	issuer  string
	addr    string
	handler http.Handler
	storage *providerStorage
	server  *httptest.Server // nil while it is down
}

// newProvider makes a provider that is down.
func newProvider(t *testing.T) *provider {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, addr: addr, issuer: "http://" + addr}
	p.storage = newProviderStorage(p.issuer)
	config := &op.Config{CodeMethodS256: true, AuthMethodPost: true}
	openID, err := op.NewProvider(config, p.storage, op.StaticIssuer(p.issuer), op.WithAllowInsecure())
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", openID)
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		id := r.FormValue("id")
		if err := p.storage.CheckUsernamePassword(r.FormValue("username"), r.FormValue("password"), id); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, op.AuthCallbackURL(openID)(op.ContextWithIssuer(r.Context(), p.issuer), id), http.StatusFound)
	})
	p.handler = mux
	p.storage.rotate(t, newRSAKey)
	t.Cleanup(p.down)
	return p
}

func (p *provider) up() {
	p.t.Helper()
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: p.handler}}
	p.server.Start()
}

func (p *provider) down() {
	if p.server != nil {
		p.server.Close()
		p.server = nil
	}
}

// keysURL is where the provider says that its keys are.
func (p *provider) keysURL() string {
	p.t.Helper()
	var discovery struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	response, body := p.do("GET", p.issuer+"/.well-known/openid-configuration", nil)
	if err := json.Unmarshal(body, &discovery); err != nil || discovery.Issuer != p.issuer {
		p.t.Fatalf("%s %s: %v", response.Status, body, err)
	}
	return discovery.JWKSURI
}

// do sends a request as a form where there is one, and follows no redirect.
func (p *provider) do(method, target string, form url.Values) (*http.Response, []byte) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response, body
}

// location is where a request is redirected to.
func (p *provider) location(method, target string, form url.Values) *url.URL {
	p.t.Helper()
	response, body := p.do(method, target, form)
	location, err := response.Location()
	if err != nil {
		p.t.Fatalf("%s %s: %s %s", method, target, response.Status, body)
	}
	return location
}

// tokens is the answer of a token endpoint.
type tokens struct {
	Access string `json:"access_token"`
	ID     string `json:"id_token"`
}

func (p *provider) token(form url.Values) (got tokens) {
	p.t.Helper()
	response, body := p.do("POST", p.issuer+"/oauth/token", form)
	if err := json.Unmarshal(body, &got); err != nil || got.Access == "" {
		p.t.Fatalf("%s %s: %v", response.Status, body, err)
	}
	return got
}

// logIn goes through the code flow as the person.
func (p *provider) logIn(client string) tokens {
	p.t.Helper()
	atLogin := p.location("GET", p.issuer+"/authorize?"+url.Values{
		"client_id": {client}, "redirect_uri": {callbackURL}, "response_type": {"code"},
		"scope": {"openid profile"}, "state": {"state"}, "nonce": {"nonce"},
	}.Encode(), nil)
	loggedIn := p.location("POST", p.issuer+"/login", url.Values{
		"id": {atLogin.Query().Get("authRequestID")}, "username": {personName}, "password": {personPassword},
	})
	atApp := p.location("GET", loggedIn.String(), nil)
	return p.token(url.Values{
		"grant_type": {"authorization_code"}, "code": {atApp.Query().Get("code")}, "redirect_uri": {callbackURL},
		"client_id": {client}, "client_secret": {clientSecret},
	})
}

// clientToken is the access token of a client of its own.
func (p *provider) clientToken(client string) string {
	p.t.Helper()
	return p.token(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {clientSecret},
	}).Access
}

// providerStorage is the library's example, with keys that change and access
// tokens that are JWTs and say more.
type providerStorage struct {
	*storage.Storage
	users storage.UserStore

	mu   sync.Mutex
	keys []providerKey // the last one signs
}

func newProviderStorage(issuer string) *providerStorage {
	users := storage.NewUserStore(issuer)
	clients := map[string]*storage.Client{
		appClient:  storage.WebClient(appClient, clientSecret, callbackURL),
		wikiClient: storage.WebClient(wikiClient, clientSecret, callbackURL),
	}
	return &providerStorage{Storage: storage.NewStorageWithClients(users, clients), users: users}
}

// providerKey is what the provider signs with, and verifies with where the
// private key is left out.
type providerKey struct {
	id  string
	alg jose.SignatureAlgorithm
	key any
}

func (k providerKey) ID() string                                  { return k.id }
func (k providerKey) SignatureAlgorithm() jose.SignatureAlgorithm { return k.alg }
func (k providerKey) Algorithm() jose.SignatureAlgorithm          { return k.alg }
func (k providerKey) Use() string                                 { return "sig" }
func (k providerKey) Key() any                                    { return k.key }

func newRSAKey() (jose.SignatureAlgorithm, crypto.Signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return jose.RS256, key, err
}

func newECKey() (jose.SignatureAlgorithm, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return jose.ES256, key, err
}

// rotate lets a new key sign; those before stay published.
func (s *providerStorage) rotate(t *testing.T, newKey func() (jose.SignatureAlgorithm, crypto.Signer, error)) {
	t.Helper()
	alg, key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, providerKey{rand.Text(), alg, key})
}

func (s *providerStorage) signer() providerKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[len(s.keys)-1]
}

func (s *providerStorage) SigningKey(context.Context) (op.SigningKey, error) { return s.signer(), nil }

func (s *providerStorage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{s.signer().alg}, nil
}

func (s *providerStorage) KeySet(context.Context) ([]op.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	public := make([]op.Key, len(s.keys))
	for i, k := range s.keys {
		public[i] = providerKey{k.id, k.alg, k.key.(crypto.Signer).Public()}
	}
	return public, nil
}

// jwtClient gets access tokens that can be read.
type jwtClient struct{ op.Client }

func (jwtClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (jwtClient) LoginURL(id string) string           { return "/login?authRequestID=" + id }

func (s *providerStorage) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	client, err := s.Storage.GetClientByClientID(ctx, id)
	return jwtClient{client}, err
}

// backendOf is a client that acts for itself.
type backendOf struct{ jwtClient }

func (backendOf) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}

func (s *providerStorage) ClientCredentials(_ context.Context, id, secret string) (op.Client, error) {
	if id != backendClient && id != wikiBackendClient || secret != clientSecret {
		return nil, errors.New("no such client, or a wrong secret")
	}
	return backendOf{jwtClient{storage.WebClient(id, secret)}}, nil
}

func (s *providerStorage) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: id, Audience: audienceOf(id), Scopes: scopes}, nil
}

// audienceRequest is a login whose tokens are for an API.
type audienceRequest struct{ op.AuthRequest }

func (r audienceRequest) GetAudience() []string { return audienceOf(r.GetClientID()) }

func (s *providerStorage) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	request, err := s.Storage.AuthRequestByCode(ctx, code)
	return audienceRequest{request}, err
}

func audienceOf(client string) []string {
	if client == appClient || client == backendClient {
		return []string{"gatecast", "something-else"}
	}
	return []string{client}
}

// GetPrivateClaimsFromScopes gives access tokens what Keycloak's have.
func (s *providerStorage) GetPrivateClaimsFromScopes(_ context.Context, userID, client string, _ []string) (map[string]any, error) {
	claims := map[string]any{}
	if user := s.users.GetUserByID(userID); user != nil {
		claims["preferred_username"] = user.Username
	}
	if client == backendClient {
		claims["realm_access"] = map[string]any{"roles": []string{"offline_access", "service"}}
	}
	return claims, nil
}
