// Package middleware is what every request passes on its way to a handler:
// its id and log line, headers, the client's address, limits, who is calling,
// and the gate before a WebSocket. Refusals are errors; package handlers maps
// them to responses.
package middleware

import (
	"errors"
	"time"
)

var (
	// ErrNoToken: a route for logged-in users was called without a token.
	ErrNoToken = errors.New("this needs a token: send it as Authorization: Bearer")
	// ErrQueryToken: the only token is in the URL, and the operator has not
	// allowed that.
	ErrQueryToken = errors.New("tokens in URLs are not taken here: use the Authorization header, the subprotocol bearer.TOKEN, or a ticket of POST /ws/ticket")
	// ErrManyTokens: a request may show its token in one way only (RFC 6750, 2).
	ErrManyTokens = errors.New("the token is shown in more than one way; choose one")
	// ErrForeignOrigin: a page of another site wants in.
	ErrForeignOrigin = errors.New("this origin is not allowed; an operator can add it to http.origins, or name the proxy in http.trusted_proxies where one speaks https for this server")
	// ErrCookieAlone: a handshake with a cookie and nothing else.
	ErrCookieAlone = errors.New("a cookie lets nobody in here: send a token, or a ticket of POST /ws/ticket")
	// ErrCookieUse: a request that uses a cookie, or asks for one, and may have
	// been made by a page of another site.
	ErrCookieUse = errors.New("a request that uses or asks for a cookie needs an Origin header; where this is no browser, send X-Gatecast: 1")
	// ErrNoSession: a route about sessions was called with a token that belongs
	// to none: a service's, or another issuer's.
	ErrNoSession = errors.New("this token belongs to no session here: log in with POST /login")
	// ErrDraining: the server is about to stop.
	ErrDraining = errors.New("the server is stopping; connect again in a moment")
	// ErrFull: the server has as many sockets as it may.
	ErrFull = errors.New("the server is full; try again later")
	// ErrTooManyOfUser and ErrTooManyOfAddress: a cap on sockets.
	ErrTooManyOfUser    = errors.New("this user has as many sockets as allowed; close one first")
	ErrTooManyOfAddress = errors.New("this address has as many sockets as allowed; close one first")
	// ErrOverBurst: a body that the user's byte limit can never hold.
	ErrOverBurst = errors.New("the body is larger than your byte limit can ever hold")
	// ErrNotWebSocket: GET /ws without a request to upgrade.
	ErrNotWebSocket = errors.New("this is a WebSocket address: connect with a WebSocket client")
	// ErrWrongVersion: a WebSocket version other than 13 (RFC 6455, 4.4).
	ErrWrongVersion = errors.New("only WebSocket version 13 is spoken here")
)

// HandshakeError says what is malformed in a WebSocket handshake.
type HandshakeError struct{ Reason string }

func (e *HandshakeError) Error() string { return e.Reason }

// RateError says that a limit was reached, and when to come back.
type RateError struct {
	Limit string // the limit's name, such as login
	Wait  time.Duration
}

func (e *RateError) Error() string { return "too many requests: the limit is " + e.Limit }
