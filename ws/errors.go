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
	CodeInvalidToken      = "invalid_token"      // refresh with a token that cannot take the old one's place
	CodeRateLimited       = "rate_limited"       // wait retryAfterMs
	CodeBusy              = "busy"               // the log's queue is full; wait retryAfterMs
	CodeUnavailable       = "unavailable"        // the server's fault; try again later
	CodeUnknown           = "unknown"            // stored or not; send again with the same key
)

// Error is a refusal that the client is told of in an error frame.
type Error struct {
	Code       string
	Message    string // what was wrong and what to do
	Channel    string // the channel that it concerns, if any
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// busyRetry is the wait that a full log asks for: long enough for some batches
// to be stored.
const busyRetry = 500 * time.Millisecond

// AsError is what a client is told of err: an Error as it is, the Log's errors
// in words, and nothing of the inside of any other. internal tells that err is
// to be logged; the Log does so itself, once for all who run into it.
func AsError(err error) (told *Error, internal bool) {
	if errors.As(err, &told) {
		return told, false
	}
	switch {
	case errors.Is(err, ErrBusy):
		return &Error{Code: CodeBusy, RetryAfter: busyRetry, Message: "the server is storing as fast as it can; try again in a moment"}, false
	case errors.Is(err, ErrUnknown):
		return &Error{Code: CodeUnknown, Message: "it is not known whether this was stored; sending it again with the same key is safe"}, false
	case errors.Is(err, ErrUnavailable):
		return &Error{Code: CodeUnavailable, Message: "the server cannot store or read messages now; try again later"}, false
	}
	return &Error{Code: CodeUnavailable, Message: "the server could not do this now; try again later"}, true
}

func badFrame(message string) *Error { return &Error{Code: CodeBadFrame, Message: message} }
