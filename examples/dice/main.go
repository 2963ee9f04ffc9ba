// Command dice is a server built on Gatecast's packages: a frame type of its
// own, which rolls dice for everyone in a channel to see, and a hook that
// keeps rude words out. It has the whole door: accounts, tokens, gate, limits.
//
//	go run ./examples/dice
//	> {"type":"roll","id":1,"channel":"lobby","sides":20}
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"math/big"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/broker"
	"github.com/gatecast/gatecast/handlers"
	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ratelimit"
	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

// messageBytes is what a frame, and a message over REST, may have.
const messageBytes = 64 << 10

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil))
	if err := run(ctx, "localhost:3000", "./data", logger); err != nil {
		logger.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, dataDir string, logger *slog.Logger) error {
	db, err := store.OpenSQLite(ctx, dataDir)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	keys, err := auth.LoadKeySet(dataDir+"/keys", auth.KeyOptions{})
	if err != nil {
		return err
	}
	revocations := auth.NewRevocations(db, auth.RevocationOptions{Poll: 300 * time.Millisecond, Logger: logger})
	if err := revocations.Load(ctx); err != nil {
		return err
	}
	tokens := auth.TokenOptions{Issuer: "dice", Audience: "dice", TTL: 15 * time.Minute}
	verifier := auth.NewVerifier(keys, revocations, tokens)
	hub, err := newHub(verifier, revocations, logger)
	if err != nil {
		return err
	}
	watch, unwatch := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer unwatch()
	watching.Go(func() { keys.Watch(watch) })
	watching.Go(func() {
		revocations.Watch(watch, func(about func(auth.Claims) bool) {
			hub.CloseSessions(about, ws.CloseUnauthorized, ws.ReasonEnded)
		})
	})
	tickets := auth.NewTickets(auth.NewMemoryTickets(100_000), revocations, auth.TicketOptions{TTL: 30 * time.Second})
	hasher := auth.NewHasher(auth.HasherOptions{MemoryKiB: 19 << 10, Passes: 2, Slots: 4, Queue: 32})
	slow := ratelimit.Rate{PerSecond: 0.5, Burst: 10}
	messages, bytes := ratelimit.Rate{PerSecond: 10, Burst: 20}, ratelimit.Rate{PerSecond: 128 << 10, Burst: 1 << 20}
	users := keyed(messages, bytes)
	app := handlers.New(handlers.Options{
		Accounts: auth.NewAccounts(db, hasher, auth.NewIssuer(keys, tokens), revocations, auth.AccountOptions{
			SessionTTL: 30 * 24 * time.Hour, SessionIdle: 7 * 24 * time.Hour, RefreshGrace: 10 * time.Second, Sessions: 100,
			Passwords: auth.PasswordRules{MinLength: 8},
		}),
		Verifier: verifier,
		Tickets:  tickets,
		Keys:     keys,
		Hub:      hub,
		Gate: middleware.NewGate(middleware.GateOptions{
			Protocol: ws.Version, Verifier: verifier, Tickets: tickets, Draining: hub.Draining,
			HandshakeRate: slow, Handshakes: keyed(slow), Users: users, ConnectionsPerUser: 20,
		}),
		Ready:     db.Ping,
		Logger:    logger,
		Guesses:   ratelimit.NewGuesses(ratelimit.GuessOptions{Pair: slow, Account: slow, Strict: slow}),
		LoginRate: slow, Logins: keyed(slow), RegisterRate: slow, Registrations: keyed(slow),
		RefreshRate: messages, Refreshes: keyed(messages),
		MessageRate: messages, Users: users,
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, RequestTimeout: 10 * time.Second,
		HeaderBytes: 16 << 10, BodyBytes: 16 << 10, MessageBytes: messageBytes,
	})
	stopped := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = hub.Shutdown(drain)
		_ = app.ShutdownWithContext(drain)
	})
	defer stopped()
	return app.Listen(address)
}

func keyed(rates ...ratelimit.Rate) *ratelimit.Keyed {
	return ratelimit.NewKeyed(ratelimit.Options{Rates: rates})
}

func newHub(verifier *auth.Verifier, revocations *auth.Revocations, logger *slog.Logger) (*ws.Hub, error) {
	everyone := []string{auth.RoleUser}
	rules, err := ws.NewRules(map[string]ws.Rule{
		"lobby": {Allow: map[ws.Action][]string{ws.ActionSubscribe: everyone, ws.ActionPublish: everyone, ws.ActionPresence: everyone}},
	})
	if err != nil {
		return nil, err
	}
	return ws.NewHub(ws.Options{
		Rules: rules, Broker: &broker.Memory{}, AutoSubscribe: []string{"lobby"},
		Verifier: verifier, Revoked: revocations.Revoked, ExpiryNotice: 30 * time.Second,
		MessageBytes: messageBytes, Subscriptions: 128, Violations: 50, QueueBytes: 1 << 20, DetailMax: 200,
		PingInterval: 25 * time.Second, PingTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, CloseTimeout: time.Second,
		Frames: map[string]ws.FrameType{"roll": {Cost: 1, Handle: roll}},
		Hooks:  ws.Hooks{Publish: politely},
		Logger: logger,
	})
}

// roll is the handler of a frame type of our own: everyone in the channel sees
// the same dice, and the one who rolled gets them as the reply.
func roll(ctx context.Context, s *ws.Session, f ws.Frame) error {
	var in struct {
		Channel string `json:"channel"`
		Sides   int64  `json:"sides"`
	}
	if err := f.Decode(&in); err != nil {
		return err
	}
	if in.Sides < 2 {
		return &ws.Error{Code: "bad_dice", Message: "a die has 2 sides at least"}
	}
	n, err := rand.Int(rand.Reader, big.NewInt(in.Sides))
	if err != nil {
		return err
	}
	rolled := map[string]int64{"rolled": n.Int64() + 1, "sides": in.Sides}
	data, err := json.Marshal(rolled)
	if err != nil {
		return err
	}
	if _, err := s.Publish(ctx, ws.Message{Channel: in.Channel, Event: "dice", Data: data}); err != nil {
		return err // a rule that forbids it is told to the client by its name
	}
	return s.Reply(f, "rolled", map[string]any{"rolled": rolled["rolled"]})
}

// politely is a hook at the door of publishing.
func politely(_ context.Context, _ auth.Claims, m ws.Message) error {
	if strings.Contains(strings.ToLower(string(m.Data)), "darn") {
		return &ws.Error{Code: ws.CodeForbidden, Channel: m.Channel, Message: "mind your words, please"}
	}
	return nil
}
