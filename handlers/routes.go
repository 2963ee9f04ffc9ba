// Package handlers is the API: one table of routes, one file a resource, and
// one place where errors become responses.
package handlers

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/client"
	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ratelimit"
	"github.com/gatecast/gatecast/static"
	"github.com/gatecast/gatecast/ws"
)

// Options are what the API is made of.
type Options struct {
	Accounts *auth.Accounts
	Verifier *auth.Verifier
	Tickets  *auth.Tickets
	Keys     *auth.KeySet // published
	Hub      *ws.Hub
	Gate     *middleware.Gate
	Ready    func(context.Context) error // nil error: requests can be served
	Observer Observer                    // nil is told nothing
	Logger   *slog.Logger

	Metrics     prometheus.Gatherer // nil: there is no GET /metrics
	MetricsOpen bool                // to everyone; otherwise to the roles service and admin

	Origins        middleware.Origins
	TrustedProxies []netip.Prefix

	RegistrationClosed bool // accounts come from the operator

	LoginRate, RegisterRate, RefreshRate ratelimit.Rate
	Logins, Registrations, Refreshes     *ratelimit.Keyed   // by address
	Guesses                              *ratelimit.Guesses // at passwords
	MessageRate                          ratelimit.Rate
	Users                                *ratelimit.Keyed // messages and bytes, by user; the Gate's own

	ReadTimeout, WriteTimeout, IdleTimeout, RequestTimeout time.Duration

	HeaderBytes  int
	BodyBytes    int // of what is not a message
	MessageBytes int // of a message's data; 0 is unlimited
}

// prefetchBytes is how much of a body fasthttp waits for before a handler runs:
// as little as it lets one say. Handlers bound what they read themselves.
const prefetchBytes = 1

// idleWorker is how long a goroutine that has served a connection waits for the
// next one. Each keeps the stack that it once needed.
const idleWorker = 500 * time.Millisecond

// New makes the Fiber app with all routes.
func New(o Options) *fiber.App {
	if o.Observer == nil {
		o.Observer = noObserver{}
	}
	app := fiber.New(fiber.Config{
		DisableStartupMessage:        true,
		ErrorHandler:                 renderError(o.Logger, o.Observer),
		ReadTimeout:                  o.ReadTimeout,
		WriteTimeout:                 o.WriteTimeout,
		IdleTimeout:                  o.IdleTimeout,
		ReadBufferSize:               o.HeaderBytes,
		StreamRequestBody:            true, // who may not send is refused before the body is read
		BodyLimit:                    prefetchBytes,
		DisablePreParseMultipartForm: true,
	})
	app.Server().MaxIdleWorkerDuration = idleWorker

	app.Use(
		middleware.RequestID(),
		middleware.Client(o.TrustedProxies),
		middleware.Log(o.Logger),
		tellAnswered(o.Observer),
		recover.New(recover.Config{EnableStackTrace: true, StackTraceHandler: logPanic(o.Logger)}),
		middleware.SecurityHeaders(),
		middleware.CORS(o.Origins),
		middleware.Timeout(o.RequestTimeout),
	)

	noStore := middleware.NoStore()
	bearer := middleware.Bearer(o.Verifier)
	body := jsonBody{limit: o.BodyBytes}
	loggedIn := middleware.LoggedIn()
	perUser := middleware.MessageLimit(o.MessageRate, o.Users)
	perLogin := middleware.RateLimit("login", o.LoginRate, o.Logins)
	perAddress := middleware.RateLimit("refresh", o.RefreshRate, o.Refreshes)
	sessionRoutes := sessions{o.Accounts, o.Guesses, o.Verifier, o.Origins, body, o.Logger}

	app.Post("/register", noStore, middleware.RateLimit("register", o.RegisterRate, o.Registrations), register(o.Accounts, o.RegistrationClosed, body))
	app.Post("/login", noStore, perLogin, sessionRoutes.login)
	app.Post("/refresh", noStore, perAddress, sessionRoutes.refresh)
	app.Post("/logout", noStore, perAddress, sessionRoutes.logout)
	app.Get("/sessions", noStore, bearer, perUser, loggedIn, sessionRoutes.list)
	app.Delete("/sessions/:id", noStore, bearer, perUser, loggedIn, sessionRoutes.end)
	app.Get("/me", noStore, bearer, perUser, me(o.Accounts))
	app.Put("/me/password", noStore, perLogin, bearer, loggedIn, changePassword(o.Accounts, o.Guesses, body))
	app.Delete("/me", noStore, bearer, perUser, loggedIn, deleteMe(o.Accounts))
	app.Post("/ws/ticket", noStore, bearer, perUser, ticket(o.Tickets))
	app.Get("/channels", noStore, bearer, perUser, channels(o.Hub))
	app.Get("/channels/:channel/messages", noStore, bearer, perUser, messages(o.Hub))
	app.Post("/channels/:channel/messages", noStore, bearer, perUser, publish(o.Hub, newMessageBody(o.MessageBytes)))
	app.Get("/channels/:channel/presence", noStore, bearer, perUser, presence(o.Hub))
	app.Get("/ws", append(o.Gate.Handlers(), socket(o.Hub, o.Logger))...)
	app.Get("/.well-known/jwks.json", jwks(o.Keys))
	app.Get("/healthz", noStore, healthz)
	app.Get("/readyz", noStore, readyz(o.Ready))
	if o.MetricsOpen && o.Metrics != nil {
		app.Get("/metrics", noStore, metrics(o.Metrics))
	} else if o.Metrics != nil {
		app.Get("/metrics", noStore, bearer, perUser, operators, metrics(o.Metrics))
	}
	app.Use("/client", files(client.Files))
	app.Use("/", files(static.Files))

	server := app.Server()
	server.Handler = refuseUnknownMethods(app, server.Handler)
	server.ConnState = o.Gate.ConnState
	return app
}

// refuseUnknownMethods answers methods that Fiber does not know, which it would
// answer itself in plain text.
func refuseUnknownMethods(app *fiber.App, next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		if slices.Contains(fiber.DefaultMethods, string(c.Method())) {
			next(c)
			return
		}
		ctx := app.AcquireCtx(c)
		defer app.ReleaseCtx(ctx)
		_ = app.ErrorHandler(ctx, fiber.ErrNotImplemented) // it only sets the response
	}
}

func logPanic(logger *slog.Logger) func(*fiber.Ctx, any) {
	return func(c *fiber.Ctx, reason any) {
		logger.Error("request panicked", "id", middleware.RequestIDOf(c), "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
	}
}
