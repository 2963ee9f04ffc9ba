package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/mattn/go-isatty"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/broker"
	"github.com/gatecast/gatecast/config"
	"github.com/gatecast/gatecast/handlers"
	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ratelimit"
	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

// serve builds the server, serves until ctx ends, and drains.
func serve(ctx context.Context, c config.Config, stdout io.Writer) (err error) {
	logger := newLogger(c.Log, stdout)
	rules, err := newRules(c.Namespaces)
	if err != nil {
		return err
	}
	db, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	keys, err := keySet(c, logger)
	if err != nil {
		return err
	}
	issuers, err := newIssuers(c.Auth.Issuers, logger)
	if err != nil {
		return err
	}
	revocations := auth.NewRevocations(db, auth.RevocationOptions{Poll: c.Auth.RevocationPoll, Logger: logger})
	if err := revocations.Load(ctx); err != nil {
		return err
	}
	log := newLog(c.ChannelLog, db, rules, logger)
	defer log.Shutdown()
	verifier := auth.NewVerifier(keys, revocations, tokenOptions(c))
	verifier.Trust(issuers)
	hub, err := newHub(c, rules, log, verifier, revocations, logger)
	if err != nil {
		return err
	}
	i := newInstance(c, db, log, keys, verifier, revocations, hub, logger)
	defer goUntilDone(keys.Watch)()
	defer goUntilDone(func(ctx context.Context) { revocations.Watch(ctx, i.endSessions) })()

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return errors.Join(fmt.Errorf("port: %w", err), hub.Shutdown(ctx))
	}
	announce(logger, c, listener.Addr())
	issuers.Start()
	defer issuers.Close()
	served := make(chan error, 1)
	go func() { served <- i.app.Listener(patientListener{listener}) }()
	select {
	case err = <-served: // it cannot go on
		i.drain(c.ShutdownTimeout, logger)
		return err
	case <-ctx.Done():
	}
	i.drain(c.ShutdownTimeout, logger)
	// A stop that comes before Fiber has begun to serve finds nothing to shut
	// down: it must find the listener closed.
	_ = listener.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// instance is a wired server.
type instance struct {
	app   *fiber.App
	hub   *ws.Hub
	gate  *middleware.Gate
	users *ratelimit.Keyed
}

// drain ends in this order: no new sockets, goodbye to those there are, then
// requests. What its last line counts is 0 unless something was not given back.
func (i *instance) drain(timeout time.Duration, logger *slog.Logger) {
	logger.Info("stopping", "sockets", i.hub.Sessions())
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := i.hub.Shutdown(ctx); err != nil {
		logger.Warn("not every socket said goodbye", "error", err)
	}
	if err := i.app.ShutdownWithContext(ctx); err != nil {
		logger.Warn("not every request was finished", "error", err)
	}
	logger.Info("stopped", "sockets", i.hub.Sessions(), "slots", i.gate.Held(), "limiters", i.users.Held())
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
		Poll:         c.Auth.KeysPoll,
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

func openStore(ctx context.Context, c config.Config) (*store.DB, error) {
	if c.Store.Driver == config.DriverPostgres {
		return store.OpenPostgres(ctx, c.Store.DSN.Reveal())
	}
	return store.OpenSQLite(ctx, c.DataDir)
}

func newRules(namespaces config.Namespaces) (*ws.Rules, error) {
	byPattern := make(map[string]ws.Rule, len(namespaces))
	for pattern, rule := range namespaces {
		byPattern[pattern] = ws.Rule{
			Allow: map[ws.Action][]string{
				ws.ActionSubscribe: rule.Subscribe,
				ws.ActionPublish:   rule.Publish,
				ws.ActionPresence:  rule.Presence,
				ws.ActionRead:      rule.Read,
			},
			History: ws.History{Count: rule.History.Count, Age: time.Duration(rule.History.Age)},
		}
	}
	rules, err := ws.NewRules(byPattern)
	if err != nil {
		return nil, fmt.Errorf("namespaces: %w", err)
	}
	return rules, nil
}

func newLog(c config.ChannelLog, db *store.DB, rules *ws.Rules, logger *slog.Logger) *store.Log {
	return store.NewLog(db, store.LogOptions{
		History:      rules.History,
		DedupeWindow: c.DedupeWindow,
		ForgetAfter:  c.ForgetAfter,
		Queue:        c.Queue,
		QueueBytes:   c.QueueBytes,
		Logger:       logger,
	})
}

func newHub(c config.Config, rules *ws.Rules, log ws.Log, verifier *auth.Verifier, revocations *auth.Revocations, logger *slog.Logger) (*ws.Hub, error) {
	hub, err := ws.NewHub(ws.Options{
		Rules:         rules,
		Broker:        &broker.Memory{},
		Log:           log,
		AutoSubscribe: c.AutoSubscribe,
		MessageBytes:  c.Limits.MessageBytes,
		Subscriptions: c.Limits.Subscriptions,
		Violations:    c.Limits.Violations,
		QueueBytes:    c.Limits.QueueBytes,
		DetailMax:     c.Presence.DetailMax,
		Messages:      bucket(c.Limits.Messages),
		Verifier:      verifier,
		Revoked:       revocations.Revoked,
		ExpiryNotice:  c.Socket.ExpiryNotice,
		PingInterval:  c.Socket.PingInterval,
		PingTimeout:   c.Socket.PingTimeout,
		WriteTimeout:  c.Socket.WriteTimeout,
		CloseTimeout:  c.Socket.CloseTimeout,
		Logger:        logger,
	})
	if err != nil {
		return nil, fmt.Errorf("auto_subscribe: %w", err)
	}
	return hub, nil
}

func newInstance(c config.Config, db *store.DB, log *store.Log, keys *auth.KeySet, verifier *auth.Verifier, revocations *auth.Revocations, hub *ws.Hub, logger *slog.Logger) *instance {
	tickets := auth.NewTickets(ticketStore(c, db), revocations, auth.TicketOptions{TTL: c.Auth.TicketTTL})
	users := keyed(c, c.Limits.Messages, c.Limits.Bytes)
	gate := middleware.NewGate(middleware.GateOptions{
		Protocol:              ws.Version,
		Origins:               c.HTTP.Origins,
		Verifier:              verifier,
		Tickets:               tickets,
		AllowQueryToken:       c.Auth.AllowQueryToken,
		Draining:              hub.Draining,
		HandshakeRate:         bucket(c.Limits.Handshakes),
		Handshakes:            keyed(c, c.Limits.Handshakes),
		Users:                 users,
		Connections:           c.Limits.Connections,
		ConnectionsPerUser:    c.Limits.ConnectionsPerUser,
		ConnectionsPerAddress: c.Limits.ConnectionsPerAddress,
	})
	app := handlers.New(handlers.Options{
		Accounts:       newAccounts(c, db, keys, revocations),
		Verifier:       verifier,
		Tickets:        tickets,
		Keys:           keys,
		Hub:            hub,
		Gate:           gate,
		Ready:          readiness(hub, db, log),
		Logger:         logger,
		Origins:        c.HTTP.Origins,
		TrustedProxies: c.HTTP.TrustedProxies,
		SignUpClosed:   c.Auth.Registration == config.RegistrationClosed,
		LoginRate:      bucket(c.Limits.Login),
		Logins:         keyed(c, c.Limits.Login),
		Guesses:        newGuesses(c.Limits),
		RegisterRate:   bucket(c.Limits.Register),
		Registrations:  keyed(c, c.Limits.Register),
		SessionRate:    bucket(c.Limits.Sessions),
		SessionUses:    keyed(c, c.Limits.Sessions),
		MessageRate:    bucket(c.Limits.Messages),
		Users:          users,
		ReadTimeout:    c.HTTP.ReadTimeout,
		WriteTimeout:   c.HTTP.WriteTimeout,
		IdleTimeout:    c.HTTP.IdleTimeout,
		RequestTimeout: c.HTTP.RequestTimeout,
		HeaderBytes:    c.HTTP.HeaderBytes,
		BodyBytes:      c.HTTP.BodyBytes,
		MessageBytes:   c.Limits.MessageBytes,
	})
	return &instance{app, hub, gate, users}
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

// endSessions closes the sockets whose tokens have been revoked.
func (i *instance) endSessions(about func(auth.Claims) bool) {
	i.hub.CloseSessions(about, ws.CloseUnauthorized, ws.ReasonEnded)
}

// goUntilDone runs do on a goroutine; what it answers ends do's context and
// waits for it.
func goUntilDone(do func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { do(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

func readiness(hub *ws.Hub, db *store.DB, log *store.Log) func(context.Context) error {
	return func(ctx context.Context) error {
		if hub.Draining() {
			return middleware.ErrDraining
		}
		if err := log.Err(); err != nil {
			return err
		}
		return db.Ping(ctx)
	}
}

func keyed(c config.Config, rates ...config.Rate) *ratelimit.Keyed {
	opts := ratelimit.Options{Capacity: c.Limits.Keys}
	for _, r := range rates {
		opts.Rates = append(opts.Rates, bucket(r))
	}
	return ratelimit.NewKeyed(opts)
}

func newGuesses(l config.Limits) *ratelimit.Guesses {
	return ratelimit.NewGuesses(ratelimit.GuessOptions{
		Pair: bucket(l.LoginAccount), Account: bucket(l.LoginFailuresAccount), All: bucket(l.LoginFailures), Strict: bucket(l.LoginStrict),
		Capacity: l.Keys,
	})
}

func bucket(r config.Rate) ratelimit.Rate {
	return ratelimit.Rate{PerSecond: r.Rate, Burst: r.Burst}
}

// newLogger writes text to a terminal and JSON elsewhere, unless told.
func newLogger(c config.Log, stdout io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err == nil { // config has checked it
		opts.Level = level
	}
	file, isFile := stdout.(*os.File)
	terminal := isFile && isatty.IsTerminal(file.Fd())
	if c.Format == "text" || c.Format == "auto" && terminal {
		return slog.New(slog.NewTextHandler(stdout, opts))
	}
	return slog.New(slog.NewJSONHandler(stdout, opts))
}

// announce says where everything is, in the first lines.
func announce(logger *slog.Logger, c config.Config, addr net.Addr) {
	host := c.Host
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(addr.String())
	at := net.JoinHostPort(host, port)
	logger.Info("Gatecast is listening", "page", "http://"+at+"/", "api", "http://"+at+"/login", "socket", "ws://"+at+"/ws", "data", c.DataDir)
	if c.Auth.AllowQueryToken {
		logger.Warn("auth.allow_query_token is on: tokens in URLs end up in logs and histories of what lies between")
	}
}
