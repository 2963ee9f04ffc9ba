package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/config"
)

const (
	demoName = "demo"

	// demoInterval is the time between two rounds: as often as people can read
	// numbers that change.
	demoInterval = time.Second
	// demoTimeout bounds a request to the server that the demo runs in.
	demoTimeout = 5 * time.Second
	// demoAnswer bounds what is read of an answer, in bytes. It holds a list of
	// demoReaders users with the longest names.
	demoAnswer = 64 << 10
)

// The channels that the demo publishes to, and the one where it finds whom to
// notify.
const (
	demoPrices        = "live:prices"
	demoSensors       = "live:sensors"
	demoNotifications = "live:notifications"
	demoUser          = "user:" // and the user's ID
)

// demoCapabilities are all that the demo's token is good for.
func demoCapabilities() auth.Capabilities {
	return auth.Capabilities{
		demoPrices:                 {auth.CapabilityPublish},
		demoSensors:                {auth.CapabilityPublish},
		demoNotifications:          {auth.CapabilityPresence},
		demoUser + auth.AnyChannel: {auth.CapabilityPublish},
		auth.AnyChannel:            {},
	}
}

// demo is a backend as one outside would be: it has a service token, and speaks
// to the server over HTTP. That it lives in the server's process gives it
// nothing more than the token.
type demo struct {
	// static after construction
	issuer *auth.Issuer
	life   time.Duration // of a token
	server string        // http://host:port
	client *http.Client
	logger *slog.Logger

	// owned by run
	token   string
	renewAt time.Time
	market  market
	sensors sensors
	readers readers
	failing bool // the last round did not go well
}

// startDemo runs the demo until stop, which waits for the end of it. Where it is
// not asked for it does nothing.
func startDemo(c config.Config, trust *trust, listener net.Addr, logger *slog.Logger) (stop func()) {
	if !c.Demo {
		return func() {}
	}
	logger.Info("the demo is on: it publishes made-up prices, readings and notifications, a few requests a second",
		"user", auth.RoleService+":"+demoName, "channels", []string{demoPrices, demoSensors, demoUser + auth.AnyChannel})
	return runDemo(newDemo(auth.NewIssuer(trust.keys, tokenOptions(c)), c.Auth.AccessTTL, "http://"+listener.String(), logger))
}

func runDemo(d *demo) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { d.run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// newDemo makes a demo whose tokens are good for life, and which speaks to the
// server at an address without a path.
func newDemo(issuer *auth.Issuer, life time.Duration, server string, logger *slog.Logger) *demo {
	return &demo{
		issuer: issuer, life: life, server: server, logger: logger,
		// No proxy stands before oneself, and none is to see the token.
		client:  &http.Client{Timeout: demoTimeout, Transport: &http.Transport{MaxConnsPerHost: 1}},
		market:  newMarket(),
		sensors: newSensors(),
		readers: readers{},
	}
}

// run publishes once an interval until ctx ends.
func (d *demo) run(ctx context.Context) {
	defer d.client.CloseIdleConnections()
	tick := time.NewTicker(demoInterval)
	defer tick.Stop()
	for {
		d.tell(ctx, d.round(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round publishes what there is to publish now. What fails is left out: the next
// round has newer values.
func (d *demo) round(ctx context.Context) error {
	if err := d.publish(ctx, demoPrices, "prices", d.market.next()); err != nil {
		return err
	}
	if err := d.publish(ctx, demoSensors, "readings", d.sensors.next()); err != nil {
		return err
	}
	return d.notify(ctx)
}

// notify writes to those in the channel of notifications who are due.
func (d *demo) notify(ctx context.Context) error {
	var present struct {
		Users []struct {
			UserID string `json:"userId"`
		} `json:"users"`
	}
	path := fmt.Sprintf("/channels/%s/presence?limit=%d", demoNotifications, demoReaders)
	if err := d.call(ctx, http.MethodGet, path, nil, &present); err != nil {
		return err
	}
	ids := make([]string, len(present.Users))
	for i, user := range present.Users {
		ids[i] = user.UserID
	}
	for _, id := range d.readers.due(ids, time.Now()) {
		if err := d.publish(ctx, demoUser+id, "notification", d.readers.note(id, d.market)); err != nil {
			return err
		}
	}
	return nil
}

// tell logs when it begins to fail, and when that is over.
func (d *demo) tell(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil: // what failed was cut off
	case err != nil && !d.failing:
		d.logger.Warn("the demo does not get through", "error", err)
	case err == nil && d.failing:
		d.logger.Info("the demo gets through again")
	}
	d.failing = err != nil
}

func (d *demo) publish(ctx context.Context, channel, event string, data any) error {
	body, err := json.Marshal(struct {
		Event string `json:"event"`
		Data  any    `json:"data"`
	}{event, data})
	if err != nil {
		return fmt.Errorf("encoding %s: %w", event, err)
	}
	return d.call(ctx, http.MethodPost, "/channels/"+url.PathEscape(channel)+"/messages", body, nil)
}

// call asks the server, and reads its answer into answer unless that is nil.
// Where it comes too fast it waits as long as it is told to, and asks again.
func (d *demo) call(ctx context.Context, method, path string, body []byte, answer any) error {
	for {
		wait, err := d.try(ctx, method, path, body, answer)
		if wait == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// try asks once. A wait above 0 says that it came too fast.
func (d *demo) try(ctx context.Context, method, path string, body []byte, answer any) (wait time.Duration, err error) {
	if err := d.renew(); err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, method, d.server+path, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("asking %s: %w", path, err)
	}
	request.Header.Set("Authorization", "Bearer "+d.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		return 0, err // it names the method and the URL
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, demoAnswer))
	switch {
	case response.StatusCode == http.StatusTooManyRequests:
		return retryAfter(response), nil
	case response.StatusCode == http.StatusUnauthorized:
		d.token = "" // its key is gone, or it was revoked
		fallthrough
	case response.StatusCode >= http.StatusBadRequest:
		return 0, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, data)
	case err != nil:
		return 0, fmt.Errorf("%s %s: %w", method, path, err)
	case answer == nil:
		return 0, nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return 0, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return 0, nil
}

// retryAfter is how long a response asks to wait, above 0.
func retryAfter(response *http.Response) time.Duration {
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return time.Duration(max(seconds, 1)) * time.Second
}

// renew takes another token halfway through the life of the one before, so that
// none ends while it is on its way.
func (d *demo) renew() error {
	if d.token != "" && time.Now().Before(d.renewAt) {
		return nil
	}
	token, _, err := d.issuer.IssueService(auth.RoleService+":"+demoName, demoName, auth.RoleService, demoCapabilities(), d.life)
	if err != nil {
		return fmt.Errorf("a token for the demo: %w", err)
	}
	d.token, d.renewAt = token, time.Now().Add(d.life/2)
	return nil
}
