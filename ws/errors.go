package ws

import (
	"errors"
	"time"
)

// Error codes of error frames. They are API: a client decides by them.
const (
	CodeBadFrame          = "bad_frame"          // not JSON, wrong types, something missing
	CodeUnknownType       = "unknown_type"       // no such frame type
	CodeBadChannel        = "bad_channel"        // not a channel's name
	CodeForbidden         = "forbidden"          // a rule, named in the message, refuses
	CodeNotSubscribed     = "not_subscribed"     // unsubscribe without a subscription
	CodeSubscriptionLimit = "subscription_limit" // too many channels on one socket
	CodeRateLimited       = "rate_limited"       // wait retryAfterMs
	CodeUnavailable       = "unavailable"        // the server's fault; try again later
)

// Error is a refusal that the client is told of in an error frame.
type Error struct {
	Code       string
	Message    string // what was wrong and what to do
	Channel    string // the channel that it concerns, if any
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// asError is what a client is told of err: an Error as it is, and nothing of
// the inside of any other.
func asError(err error) (told *Error, internal bool) {
	if errors.As(err, &told) {
		return told, false
	}
	return &Error{Code: CodeUnavailable, Message: "the server could not do this now; try again later"}, true
}

func badFrame(message string) *Error { return &Error{Code: CodeBadFrame, Message: message} }
