package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// fetchEvery is how long keys are kept before they are fetched again.
	fetchEvery = time.Hour
	// staleAfter is how long keys are good when they cannot be fetched again.
	staleAfter = 24 * time.Hour
	// fetchGap lies at least between two fetches beside the hourly ones: those
	// that tokens ask for, and those after a failure.
	fetchGap = time.Minute
	// fetchTimeout bounds a fetch, from the connection to the last byte.
	fetchTimeout = 5 * time.Second
	// maxHops is how many redirects of its own host a key set may be behind.
	maxHops = 3
)

// remoteKeys are an issuer's keys at a URL. run fetches them; nobody else does,
// so that there is never more than one fetch at a time.
type remoteKeys struct {
	// static after construction
	url     string
	client  *http.Client
	logger  *slog.Logger   // it names the issuer
	version *atomic.Uint64 // grows after keys has changed
	asks    chan struct{}  // fetches that tokens ask for: one at most, so that asking never waits
	ended   chan struct{}  // closed when run has ended

	mu      sync.Mutex
	keys    publicKeys
	fetched time.Time     // when the keys came; zero before they ever have
	extra   time.Time     // when the last fetch beside the hourly ones was granted
	asked   chan struct{} // closed when the fetch that tokens ask for is over; nil while there is none

	// owned by run
	failing bool
	state   string // what was last logged
}

func newRemoteKeys(url string, transport http.RoundTripper, logger *slog.Logger, version *atomic.Uint64) *remoteKeys {
	r := &remoteKeys{
		url:     url,
		client:  &http.Client{Transport: transport, CheckRedirect: stayAtHome},
		logger:  logger,
		version: version,
		asks:    make(chan struct{}, 1),
		ended:   make(chan struct{}),
	}
	r.ask() // the first fetch, which early tokens wait for
	return r
}

// stayAtHome lets nobody but the host that was named say where its keys are.
func stayAtHome(next *http.Request, before []*http.Request) error {
	if home := before[0].URL; next.URL.Scheme != home.Scheme || next.URL.Host != home.Host {
		return errors.New("it redirects to another host or scheme")
	}
	if len(before) > maxHops {
		return errors.New("it redirects again and again")
	}
	return nil
}

// good are the keys that may be used now, and until when if they cannot be fetched
// again.
func (r *remoteKeys) good() (publicKeys, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.fetched) > staleAfter {
		return nil, time.Time{}
	}
	return r.keys, r.fetched.Add(staleAfter)
}

// renew has the keys fetched for a token whose key is not among them, and waits
// for it until ctx ends. Where that has been done within the minute it answers
// at once, so that made-up tokens cost no fetches.
func (r *remoteKeys) renew(ctx context.Context) {
	r.mu.Lock()
	if r.asked == nil && r.grant() {
		r.ask()
	}
	asked := r.asked
	r.mu.Unlock()
	if asked == nil {
		return
	}
	select {
	case <-asked:
	case <-ctx.Done():
	case <-r.ended:
	}
}

// ask has run fetch the keys. The caller holds mu, and has found asked nil: what
// was asked for before has been taken out of asks, so that this never waits.
func (r *remoteKeys) ask() {
	r.asked = make(chan struct{})
	r.asks <- struct{}{}
}

// grant allows one fetch a minute. The caller holds mu.
func (r *remoteKeys) grant() bool {
	if time.Since(r.extra) < fetchGap {
		return false
	}
	r.extra = time.Now()
	return true
}

// run fetches the keys now, every hour and when tokens ask for it; every minute
// while that fails. It returns when ctx ends.
func (r *remoteKeys) run(ctx context.Context) {
	defer close(r.ended)
	timer := time.NewTimer(fetchEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			if r.mayFetch() {
				r.update(ctx)
			}
		case <-r.asks:
			r.update(ctx)
			r.answer()
		}
		if r.failing {
			timer.Reset(fetchGap)
		} else {
			timer.Reset(fetchEvery)
		}
	}
}

// mayFetch tells whether it is time for a fetch that no token has asked for.
// One after a failure is of the same budget as theirs.
func (r *remoteKeys) mayFetch() bool {
	if !r.failing {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.grant()
}

// answer tells those who wait for the fetch that it is over.
func (r *remoteKeys) answer() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.asked)
	r.asked = nil
}

// update fetches the keys once and logs what has changed by that.
func (r *remoteKeys) update(ctx context.Context) {
	keys, err := r.fetch(ctx)
	if ctx.Err() != nil {
		return // the server is stopping
	}
	r.mu.Lock()
	changed := false
	if err == nil {
		changed = !reflect.DeepEqual(keys, r.keys)
		r.keys, r.fetched = keys, time.Now()
	}
	goodUntil := r.fetched.Add(staleAfter)
	r.mu.Unlock()
	if changed {
		r.version.Add(1)
	}

	r.failing = err != nil
	switch {
	case err == nil && len(keys) > 0:
		r.logChange(slog.LevelInfo, "the issuer's keys have been fetched", "keys", len(keys))
	case err == nil:
		r.logChange(slog.LevelError, "the issuer has no key that can be used; none of its tokens is good")
	case time.Now().Before(goodUntil):
		r.logChange(slog.LevelWarn, "the issuer's keys cannot be fetched; those of before are good for a while", "until", goodUntil, "error", err)
	default:
		r.logChange(slog.LevelError, "the issuer's keys cannot be fetched; none of its tokens is good until they are", "error", err)
	}
}

func (r *remoteKeys) logChange(level slog.Level, state string, attrs ...any) {
	if r.state != state {
		r.state = state
		r.logger.Log(context.Background(), level, state, attrs...)
	}
}

func (r *remoteKeys) fetch(ctx context.Context) (publicKeys, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := r.client.Do(request)
	if err != nil {
		var inURL *url.Error
		if errors.As(err, &inURL) {
			err = inURL.Err // the URL may hold what is not for the log
		}
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d", response.StatusCode)
	}
	data, err := readBounded(response.Body)
	if err != nil {
		return nil, err
	}
	return parseJWKSet(data)
}
