package ws

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// Verifier tells what a valid access token says; an error that wraps
// auth.ErrInvalidToken refuses the token.
type Verifier interface {
	Verify(ctx context.Context, token string) (auth.Claims, error)
}

// expiry is the timer of a session's token.
type expiry struct {
	mu      sync.Mutex // guards the rest
	end     time.Time  // of the token that timer is about
	timer   *time.Timer
	stopped bool
}

// after has do called once after d, for a token that ends at end, in the place
// of what was to be called for that one or for one that ends sooner.
func (e *expiry) after(end time.Time, d time.Duration, do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped || end.Before(e.end) {
		return
	}
	e.end = end
	if e.timer != nil {
		e.timer.Stop()
	}
	e.timer = time.AfterFunc(d, do)
}

func (e *expiry) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	if e.timer != nil {
		e.timer.Stop()
	}
}

// awaitExpiry warns the client before its token ends, and closes the session
// when it does. A token without an end never does.
func (s *Session) awaitExpiry() {
	end := s.Claims().ExpiresAt
	if end.IsZero() {
		return
	}
	s.expiry.after(end, s.until(end)-s.hub.opts.ExpiryNotice, func() {
		if s.Claims().ExpiresAt.Equal(end) { // and was not refreshed just now
			s.send(expiryFrame{Type: TypeExpiring, ExpiresAt: timestamp(end)})
		}
		s.expiry.after(end, s.until(end), s.expire)
	})
}

func (s *Session) expire() {
	if s.until(s.Claims().ExpiresAt) <= 0 {
		s.Close(CloseUnauthorized, "the token has expired")
	}
}

func (s *Session) until(end time.Time) time.Duration { return end.Sub(s.hub.opts.Now()) }

// handleRefresh takes a newer token in the place of the one that let the session
// in. It makes the session live longer and changes nothing else: what a token
// says of rights was checked when channels were joined, so another one opens
// another socket.
func handleRefresh(ctx context.Context, s *Session, f Frame) error {
	var in struct {
		Token string `json:"token"`
	}
	if err := f.Decode(&in); err != nil {
		return err
	}
	if in.Token == "" {
		return badFrame("token is required")
	}
	if s.hub.opts.Verifier == nil {
		return invalidToken("this server takes no token on an open socket")
	}
	newer, err := s.hub.opts.Verifier.Verify(ctx, in.Token)
	if errors.Is(err, auth.ErrInvalidToken) {
		return invalidToken("the token is not valid here or has expired")
	}
	if err != nil {
		return fmt.Errorf("verifying a token: %w", err)
	}
	switch current := s.Claims(); {
	case !sameBearer(newer, current):
		s.Close(CloseUnauthorized, "the token is another user's, or of another session")
		return nil
	case newer.Role != current.Role || newer.Username != current.Username || !newer.Channels.Equal(current.Channels):
		return invalidToken("the token says something else of you or your rights; open another socket with it")
	case !newer.ExpiresAt.After(current.ExpiresAt):
		return invalidToken("the token does not last longer than the one before")
	}
	s.claims.Store(&newer)
	if s.hub.opts.Revoked != nil && s.hub.opts.Revoked(newer) { // after whoever revokes can see it
		s.Close(CloseUnauthorized, ReasonEnded)
		return nil
	}
	s.awaitExpiry()
	s.send(expiryFrame{Type: TypeRefreshed, ID: f.ID, ExpiresAt: timestamp(newer.ExpiresAt)})
	return nil
}

func sameBearer(a, b auth.Claims) bool {
	return a.Issuer == b.Issuer && a.Subject == b.Subject && a.SessionID == b.SessionID && a.ClientID == b.ClientID
}

func invalidToken(message string) *Error { return &Error{Code: CodeInvalidToken, Message: message} }
