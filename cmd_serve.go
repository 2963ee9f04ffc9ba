package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/mattn/go-isatty"

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
	defer tuneCollector()()
	logger := newLogger(c.Log, stdout)
	room, err := newCapacity(c.Limits.Connections, descriptorLimit())
	if err != nil {
		return err
	}
	c.Limits.Connections = room.sockets // from here on it is what there is room for
	rules, err := newRules(c.Namespaces)
	if err != nil {
		return err
	}
	db, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	trust, err := newTrust(ctx, c, db, logger)
	if err != nil {
		return err
	}
	meter := newMeter()
	log := newLog(c.ChannelLog, db, rules, meter, logger)
	defer log.Shutdown()
	hub, err := newHub(c, rules, log, trust, meter, logger)
	if err != nil {
		return err
	}
	meter.watch(func() snapshot {
		return snapshot{hub: hub.Stats(), log: log.Stats(), storing: log.Err() == nil, room: room}
	})
	i := newInstance(c, db, log, trust, hub, meter, logger)

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return errors.Join(fmt.Errorf("port: %w", err), hub.Shutdown(ctx))
	}
	announce(logger, c, listener.Addr())
	room.announce(logger)
	defer trust.follow(hub)()
	served := make(chan error, 1)
	go func() { served <- i.app.Listener(newListener(listener, room, c)) }()
	i.stopDemo = startDemo(c, trust, listener.Addr(), logger)
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

	stopDemo func()
}

// drain ends in this order: the demo, no new sockets, goodbye to those there are,
// then requests, then those whom the gate has let in and whose socket has not
// begun. What its last line counts is 0 unless something was not given back.
func (i *instance) drain(timeout time.Duration, logger *slog.Logger) {
	logger.Info("stopping", "sockets", i.hub.Sessions())
	i.stopDemo()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := i.hub.Shutdown(ctx); err != nil {
		logger.Warn("not every socket said goodbye", "error", err)
	}
	if err := i.app.ShutdownWithContext(ctx); err != nil {
		logger.Warn("not every request was finished", "error", err)
	}
	i.gate.Wait(ctx)
	logger.Info("stopped", "sockets", i.hub.Sessions(), "slots", i.gate.Held(), "limiters", i.users.Held())
}

func openStore(ctx context.Context, c config.Config) (*store.DB, error) {
	if c.Store.Driver == config.DriverPostgres {
		return store.OpenPostgres(ctx, c.Store.DSN.Reveal())
	}
	return store.OpenSQLite(ctx, c.DataDir)
}

// joinStore opens what a server may be using.
func joinStore(ctx context.Context, c config.Config) (*store.DB, error) {
	if c.Store.Driver == config.DriverPostgres {
		return store.OpenPostgres(ctx, c.Store.DSN.Reveal())
	}
	return store.JoinSQLite(ctx, c.DataDir)
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

func newLog(c config.ChannelLog, db *store.DB, rules *ws.Rules, observer store.Observer, logger *slog.Logger) *store.Log {
	return store.NewLog(db, store.LogOptions{
		History:      rules.History,
		DedupeWindow: c.DedupeWindow,
		ForgetAfter:  c.ForgetAfter,
		Queue:        c.Queue,
		QueueBytes:   c.QueueBytes,
		Observer:     observer,
		Logger:       logger,
	})
}

func newHub(c config.Config, rules *ws.Rules, log ws.Log, trust *trust, observer ws.Observer, logger *slog.Logger) (*ws.Hub, error) {
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
		Verifier:      trust.verifier,
		Revoked:       trust.revocations.Revoked,
		ExpiryNotice:  c.Socket.ExpiryNotice,
		PingInterval:  c.Socket.PingInterval,
		PingTimeout:   c.Socket.PingTimeout,
		WriteTimeout:  c.Socket.WriteTimeout,
		CloseTimeout:  c.Socket.CloseTimeout,
		Observer:      observer,
		Logger:        logger,
	})
	switch {
	case errors.Is(err, ws.ErrAutoSubscribe):
		return nil, fmt.Errorf("auto_subscribe: %w", err)
	case err != nil:
		return nil, fmt.Errorf("starting the hub: %w", err)
	}
	return hub, nil
}

func newInstance(c config.Config, db *store.DB, log *store.Log, trust *trust, hub *ws.Hub, meter *meter, logger *slog.Logger) *instance {
	users := keyed(c, c.Limits.Messages, c.Limits.Bytes)
	gate := middleware.NewGate(middleware.GateOptions{
		Protocol:              ws.Version,
		Origins:               c.HTTP.Origins,
		Verifier:              trust.verifier,
		Tickets:               trust.tickets,
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
		Accounts:           newAccounts(c, db, trust.keys, trust.revocations),
		Verifier:           trust.verifier,
		Tickets:            trust.tickets,
		Keys:               trust.keys,
		Hub:                hub,
		Gate:               gate,
		Ready:              readiness(hub, db, log),
		Observer:           meter,
		Metrics:            meter.gatherer(c.HTTP.Metrics),
		MetricsOpen:        c.HTTP.Metrics == config.MetricsOpen,
		Logger:             logger,
		Origins:            c.HTTP.Origins,
		TrustedProxies:     c.HTTP.TrustedProxies,
		RegistrationClosed: c.Auth.Registration == config.RegistrationClosed,
		LoginRate:          bucket(c.Limits.Login),
		Logins:             keyed(c, c.Limits.Login),
		Guesses:            newGuesses(c.Limits),
		RegisterRate:       bucket(c.Limits.Register),
		Registrations:      keyed(c, c.Limits.Register),
		RefreshRate:        bucket(c.Limits.Refresh),
		Refreshes:          keyed(c, c.Limits.Refresh),
		MessageRate:        bucket(c.Limits.Messages),
		Users:              users,
		ReadTimeout:        c.HTTP.ReadTimeout,
		WriteTimeout:       c.HTTP.WriteTimeout,
		IdleTimeout:        c.HTTP.IdleTimeout,
		RequestTimeout:     c.HTTP.RequestTimeout,
		HeaderBytes:        c.HTTP.HeaderBytes,
		BodyBytes:          c.HTTP.BodyBytes,
		MessageBytes:       c.Limits.MessageBytes,
	})
	return &instance{app: app, hub: hub, gate: gate, users: users}
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
