package handlers

import (
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Observer is told what requests end in. It must not block.
type Observer interface {
	// Answered is told of each request: the kind of its route, and CodeOK or the
	// code of the problem that it was answered with, as docs/errors.md lists them.
	// Neither is ever taken from the request.
	Answered(route Route, code string)
}

// Route is a kind of routes, which requests are counted by.
type Route string

// Kinds of routes. The door to the sockets is one of its own.
const (
	RouteHandshake  Route = "handshake"
	RouteLogin      Route = "login"    // where passwords are tried
	RouteRegister   Route = "register" // new accounts
	RouteRefresh    Route = "refresh"  // new tokens
	RouteAccount    Route = "account"  // one's account, sessions and tickets
	RouteChannels   Route = "channels"
	RouteOperations Route = "operations" // health, keys, metrics
	RouteOther      Route = "other"      // files, and what is not there
)

// CodeOK stands where a request was answered with no problem.
const CodeOK = "ok"

// tellAnswered tells of requests that no problem was made for; problems are told
// of where they are made.
func tellAnswered(o Observer) fiber.Handler {
	return func(c *fiber.Ctx) error {
		err := c.Next()
		if err == nil && c.Response().StatusCode() < fiber.StatusBadRequest {
			o.Answered(routeOf(c), CodeOK)
		}
		return err
	}
}

// routeOf is the kind of the route that a request has come to.
func routeOf(c *fiber.Ctx) Route {
	path := c.Route().Path // as it stands in the table
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case path == "/ws":
		return RouteHandshake
	case path == "/login", path == "/me/password":
		return RouteLogin
	}
	switch first {
	case "register":
		return RouteRegister
	case "refresh":
		return RouteRefresh
	case "logout", "sessions", "me", "ws":
		return RouteAccount
	case "channels":
		return RouteChannels
	case "healthz", "readyz", "metrics", ".well-known":
		return RouteOperations
	}
	return RouteOther
}

// noObserver is told nothing.
type noObserver struct{}

func (noObserver) Answered(Route, string) {}
