package handlers

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ws"
)

// problem is an error as a client sees it (RFC 9457). docs/errors.md lists
// the codes.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id,omitempty"`
}

// problemType begins the type of every problem; the code follows.
const problemType = "urn:gatecast:error:"

// codes of errors that are told apart by errors.Is.
var codes = []struct {
	err    error
	status int
	code   string
}{
	{middleware.ErrNoToken, http.StatusUnauthorized, "no_token"},
	{middleware.ErrQueryToken, http.StatusUnauthorized, "query_token"},
	{middleware.ErrManyTokens, http.StatusBadRequest, "many_tokens"},
	{auth.ErrInvalidToken, http.StatusUnauthorized, "invalid_token"},
	{auth.ErrIssuerUnavailable, http.StatusServiceUnavailable, "issuer_unavailable"},
	{auth.ErrInvalidTicket, http.StatusUnauthorized, "invalid_ticket"},
	{errWrongPassword, http.StatusUnauthorized, "bad_credentials"},
	{errNothingShown, http.StatusUnauthorized, "no_token"},
	{errNoRefreshToken, http.StatusUnauthorized, "no_token"},
	{auth.ErrDisabled, http.StatusForbidden, "account_disabled"},
	{middleware.ErrNoSession, http.StatusForbidden, "no_session"},
	{errNoSuchSession, http.StatusNotFound, "not_found"},
	{errHTTPSRequired, http.StatusBadRequest, "https_required"},
	{auth.ErrBadCredentials, http.StatusUnauthorized, "bad_credentials"},
	{auth.ErrUsernameTaken, http.StatusConflict, "username_taken"},
	{auth.ErrBusy, http.StatusServiceUnavailable, "busy"},
	{errRegistrationClosed, http.StatusForbidden, "registration_closed"},
	{middleware.ErrForeignOrigin, http.StatusForbidden, "foreign_origin"},
	{middleware.ErrCookieAlone, http.StatusForbidden, "cookie_alone"},
	{middleware.ErrCookieUse, http.StatusForbidden, "cookie_alone"},
	{middleware.ErrNotWebSocket, http.StatusUpgradeRequired, "upgrade_required"},
	{middleware.ErrWrongVersion, http.StatusUpgradeRequired, "websocket_version"},
	{middleware.ErrTooManyOfUser, http.StatusTooManyRequests, "user_sockets"},
	{middleware.ErrTooManyOfAddress, http.StatusTooManyRequests, "address_sockets"},
	{middleware.ErrDraining, http.StatusServiceUnavailable, "draining"},
	{middleware.ErrFull, http.StatusServiceUnavailable, "full"},
	{errNotReady, http.StatusServiceUnavailable, "not_ready"},
	{errTooLarge, http.StatusRequestEntityTooLarge, "too_large"},
	{errDataTooLarge, http.StatusRequestEntityTooLarge, "too_large"},
	{middleware.ErrOverBurst, http.StatusRequestEntityTooLarge, "too_large"},
	{errBadKey, http.StatusBadRequest, "bad_key"},
	{errMediaType, http.StatusUnsupportedMediaType, "media_type"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "overloaded"},
	{auth.ErrUnavailable, http.StatusServiceUnavailable, "unavailable"},
}

// refusals are the realtime core's codes. One that is not here is a hook's own,
// and a bad request.
var refusals = map[string]struct {
	status int
	code   string
}{
	ws.CodeBadFrame:    {http.StatusBadRequest, "bad_body"},
	ws.CodeBadChannel:  {http.StatusBadRequest, "bad_channel"},
	ws.CodeForbidden:   {http.StatusForbidden, "forbidden"},
	ws.CodeRateLimited: {http.StatusTooManyRequests, "rate_limited"},
	ws.CodeBusy:        {http.StatusServiceUnavailable, "busy"},
	ws.CodeUnavailable: {http.StatusServiceUnavailable, "unavailable"},
	ws.CodeUnknown:     {http.StatusServiceUnavailable, "unknown"},
}

// httpCodes are for errors that come from Fiber with nothing but a status.
var httpCodes = map[int]string{
	http.StatusBadRequest:                  "bad_request",
	http.StatusForbidden:                   "forbidden",
	http.StatusNotFound:                    "not_found",
	http.StatusMethodNotAllowed:            "method_not_allowed",
	http.StatusNotImplemented:              "unknown_method",
	http.StatusRequestTimeout:              "request_timeout",
	http.StatusRequestEntityTooLarge:       "too_large",
	http.StatusUnsupportedMediaType:        "media_type",
	http.StatusRequestHeaderFieldsTooLarge: "headers_too_large",
	http.StatusUpgradeRequired:             "upgrade_required",
}

// details are what we say where Fiber's own words would echo the request.
var details = map[int]string{
	http.StatusForbidden:                   "this path is not for reading",
	http.StatusNotFound:                    "there is nothing at this path",
	http.StatusNotImplemented:              "this method is not known here",
	http.StatusMethodNotAllowed:            "this path does not take this method",
	http.StatusRequestHeaderFieldsTooLarge: "the request's headers are too large",
	http.StatusRequestTimeout:              "the request took too long to arrive",
}

// problemOf maps an error to what a client is told. An error that nothing is
// known of is a 500, and its text stays here.
func problemOf(err error) problem {
	var (
		input     *auth.InputError
		body      *bodyError
		query     *queryError
		handshake *middleware.HandshakeError
		limited   *middleware.RateError
		fiberErr  *fiber.Error
	)
	switch {
	case errors.As(err, &input):
		return newProblem(http.StatusBadRequest, "invalid_"+input.Field, input.Error())
	case errors.As(err, &body):
		return newProblem(http.StatusBadRequest, "bad_body", body.Error())
	case errors.As(err, &query):
		return newProblem(http.StatusBadRequest, "bad_query", query.Error())
	case errors.As(err, &handshake):
		return newProblem(http.StatusBadRequest, "bad_handshake", handshake.Error())
	case errors.As(err, &limited):
		return newProblem(http.StatusTooManyRequests, "rate_limited", limited.Error())
	}
	if told, internal := ws.AsError(err); !internal {
		return refusalOf(told)
	}
	for _, known := range codes {
		if errors.Is(err, known.err) {
			return newProblem(known.status, known.code, detailOf(known.err))
		}
	}
	if errors.As(err, &fiberErr) {
		if code, ok := httpCodes[fiberErr.Code]; ok {
			detail, ok := details[fiberErr.Code]
			if !ok {
				detail = "the request could not be understood"
			}
			return newProblem(fiberErr.Code, code, detail)
		}
	}
	return newProblem(http.StatusInternalServerError, "internal", "something went wrong on the server; its log has the request id")
}

func refusalOf(told *ws.Error) problem {
	known, ok := refusals[told.Code]
	if !ok {
		return newProblem(http.StatusBadRequest, told.Code, told.Message)
	}
	return newProblem(known.status, known.code, told.Message)
}

// detailOf is the text for people of a known error.
func detailOf(err error) string {
	switch {
	case errors.Is(err, auth.ErrInvalidToken):
		return "the token is not valid here, has expired or has been revoked; refresh, or get another" // why is nobody's business
	case errors.Is(err, auth.ErrIssuerUnavailable):
		return "the server cannot reach the token's issuer now, and so cannot check the token; try again later"
	case errors.Is(err, auth.ErrInvalidTicket):
		return "the ticket is not good: one lets one socket in, within seconds, from the origin that asked for it; ask for another with POST /ws/ticket"
	case errors.Is(err, auth.ErrDisabled):
		return "this account is disabled; ask whoever runs this server"
	case errors.Is(err, auth.ErrBadCredentials):
		return "wrong username or password"
	case errors.Is(err, auth.ErrUsernameTaken):
		return "this username is taken; choose another"
	case errors.Is(err, auth.ErrBusy):
		return "the server is busy; try again in a second"
	case errors.Is(err, auth.ErrUnavailable):
		return "the server cannot keep or read accounts and sessions now; try again later"
	case errors.Is(err, context.DeadlineExceeded):
		return "the server is too busy; try again in a moment"
	default:
		return err.Error()
	}
}

func newProblem(status int, code, detail string) problem {
	return problem{Type: problemType + code, Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
}

// renderError is Fiber's error handler.
func renderError(logger *slog.Logger, observer Observer) fiber.ErrorHandler {
	return func(c *fiber.Ctx, err error) error {
		if errors.Is(err, fiber.ErrBadGateway) && middleware.RequestIDOf(c) == "" {
			return nil // Fiber's word for a client that reset the connection: nobody reads an answer
		}
		p := problemOf(err)
		if p.RequestID = middleware.RequestIDOf(c); p.RequestID == "" {
			// fasthttp could not make out the request, so no middleware saw it.
			p.RequestID = rand.Text()
			c.Set(middleware.HeaderRequestID, p.RequestID)
			middleware.SetSecurityHeaders(c)
			logger.Info("request refused", "id", p.RequestID, "status", p.Status, "remote", c.Context().RemoteAddr().String())
		}
		if p.Status == http.StatusInternalServerError || errors.Is(err, auth.ErrUnavailable) {
			logger.Error("request failed", "id", p.RequestID, "error", err)
		}
		observer.Answered(routeOf(c), p.Code)
		setErrorHeaders(c, err, p)
		return c.Status(p.Status).JSON(p, "application/problem+json")
	}
}

// retrySoon is the wait that a busy server asks for, in seconds.
const retrySoon = 1

func setErrorHeaders(c *fiber.Ctx, err error, p problem) {
	var limited *middleware.RateError
	var refused *ws.Error
	if errors.Is(err, middleware.ErrFull) {
		c.Context().SetConnectionClose() // nobody keeps the descriptor of a socket that there is no room for
	}
	switch {
	case errors.As(err, &limited):
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(middleware.WholeSeconds(limited.Wait)))
	case errors.As(err, &refused) && refused.RetryAfter > 0:
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(middleware.WholeSeconds(refused.RetryAfter)))
	case errors.As(err, &refused) && p.Code == "forbidden":
		c.Set(fiber.HeaderWWWAuthenticate, `Bearer error="insufficient_scope"`)
	case p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests:
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(retrySoon))
	case p.Code == "invalid_token" || p.Code == "invalid_ticket":
		c.Set(fiber.HeaderWWWAuthenticate, `Bearer error="invalid_token"`)
	case p.Code == "no_token" || p.Code == "query_token":
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	case p.Status == http.StatusUpgradeRequired:
		c.Set(fiber.HeaderUpgrade, "websocket")
		c.Set(fiber.HeaderConnection, "Upgrade")
		c.Set(fiber.HeaderSecWebSocketVersion, "13")
	}
}
