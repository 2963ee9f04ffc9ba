package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/config"
	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

// trust is what tells good credentials from others.
type trust struct {
	keys        *auth.KeySet
	issuers     *auth.Issuers
	revocations *auth.Revocations
	verifier    *auth.Verifier
	tickets     *auth.Tickets
}

// newTrust knows what has been revoked so far. Call follow to learn of what
// comes.
func newTrust(ctx context.Context, c config.Config, db *store.DB, logger *slog.Logger) (*trust, error) {
	keys, err := keySet(c, logger)
	if err != nil {
		return nil, err
	}
	issuers, err := newIssuers(c.Auth.Issuers, logger)
	if err != nil {
		return nil, err
	}
	revocations := auth.NewRevocations(db, auth.RevocationOptions{Poll: c.Auth.RevocationPoll, Logger: logger})
	if err := revocations.Load(ctx); err != nil {
		return nil, err
	}
	verifier := auth.NewVerifier(keys, revocations, tokenOptions(c))
	verifier.Trust(issuers)
	verifier.Remember(c.Auth.VerifiedTokens)
	tickets := auth.NewTickets(ticketStore(c, db), revocations, auth.TicketOptions{TTL: c.Auth.TicketTTL})
	return &trust{keys, issuers, revocations, verifier, tickets}, nil
}

// follow takes in what changes: keys, other issuers' keys, and sessions that end,
// whose sockets hub closes. It does so until stop, which waits for the end of it.
func (t *trust) follow(hub *ws.Hub) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { t.keys.Watch(ctx) })
	following.Go(func() {
		t.revocations.Watch(ctx, func(about func(auth.Claims) bool) {
			hub.CloseSessions(about, ws.CloseUnauthorized, ws.ReasonEnded)
		})
	})
	t.issuers.Start()
	return func() {
		cancel()
		t.issuers.Close()
		following.Wait()
	}
}

func keySet(c config.Config, logger *slog.Logger) (*auth.KeySet, error) {
	if secret := c.Auth.HMACSecret.Reveal(); secret != "" {
		return auth.NewHMACKeySet([]byte(secret))
	}
	opts := keyOptions(c)
	opts.Logger = logger
	return auth.LoadKeySet(keyDir(c), opts)
}

func keyDir(c config.Config) string { return filepath.Join(c.DataDir, "keys") }

func keyOptions(c config.Config) auth.KeyOptions {
	return auth.KeyOptions{
		PublishAhead: c.Auth.KeyPublishAhead,
		LongestTTL:   max(c.Auth.AccessTTL, c.Auth.TokenTTLMax),
		Poll:         c.Auth.KeyPoll,
	}
}

// newIssuers takes over what config has checked.
func newIssuers(list config.Issuers, logger *slog.Logger) (*auth.Issuers, error) {
	trusted := make([]auth.TrustedIssuer, len(list))
	for n, i := range list {
		trusted[n] = auth.TrustedIssuer{
			Name: i.Name, Issuer: i.Issuer, Audience: i.Audience, JWKSURL: i.JWKSURL, KeyFile: i.KeyFile,
			Claims: auth.ClaimNames(i.Claims), UserPrefix: i.Prefix(),
		}
	}
	issuers, err := auth.NewIssuers(trusted, auth.IssuersOptions{Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("auth.issuers: %w", err)
	}
	return issuers, nil
}

func tokenOptions(c config.Config) auth.TokenOptions {
	return auth.TokenOptions{Issuer: c.Auth.Issuer, Audience: c.Auth.Audience, TTL: c.Auth.AccessTTL}
}

func newAccounts(c config.Config, db *store.DB, keys *auth.KeySet, revocations *auth.Revocations) *auth.Accounts {
	hasher := auth.NewHasher(auth.HasherOptions{
		MemoryKiB: c.Auth.HashMemoryKiB, Passes: c.Auth.HashPasses, Slots: c.Auth.HashSlots, Queue: c.Auth.HashQueue,
	})
	return auth.NewAccounts(db, hasher, auth.NewIssuer(keys, tokenOptions(c)), revocations, auth.AccountOptions{
		SessionTTL:     c.Auth.RefreshTTL,
		SessionIdle:    c.Auth.RefreshIdle,
		RefreshGrace:   c.Auth.RefreshGrace,
		Sessions:       c.Auth.SessionsPerUser,
		Passwords:      auth.PasswordRules{MinLength: c.Auth.PasswordMin},
		RemoveMessages: c.Auth.DeletedMessages == config.MessagesRemove,
	})
}

// ticketStore keeps tickets where all nodes find them; a server that is alone
// need not write them down.
func ticketStore(c config.Config, db *store.DB) auth.TicketStore {
	if c.Store.Driver == config.DriverPostgres {
		return store.NewTickets(db)
	}
	return auth.NewMemoryTickets(c.Limits.Keys)
}
