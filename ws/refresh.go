package ws

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatecast/gatecast/auth"
)

// Verifier tells whose a valid access token is; an error that wraps
// auth.ErrInvalidToken refuses the token.
type Verifier interface {
	Verify(ctx context.Context, token string) (*auth.Bearer, error)
}

// handleRefresh takes a newer token in the place of the one that let the session
// in. It makes the session live longer and changes nothing else: what a token
// says of rights was checked when channels were joined, so another one opens
// another socket.
func handleRefresh(ctx context.Context, s *Session, f Frame) error {
	var in struct {
		Token string `json:"token"`
	}
	if err := f.decode(&in); err != nil {
		return err
	}
	if in.Token == "" {
		return badFrame("token is required")
	}
	if s.hub().opts.Verifier == nil {
		return invalidToken("this server takes no token on an open socket")
	}
	bearer, err := s.hub().opts.Verifier.Verify(ctx, in.Token)
	if errors.Is(err, auth.ErrInvalidToken) {
		return invalidToken("the token is not valid here or has expired")
	}
	if errors.Is(err, auth.ErrIssuerUnavailable) {
		return &Error{Code: CodeUnavailable, Message: "the token's issuer cannot be reached now; try again later"}
	}
	if err != nil {
		return fmt.Errorf("verifying a token: %w", err)
	}
	newer := bearer.Claims()
	switch current := s.Claims(); {
	case !sameBearer(newer, current):
		s.Close(CloseUnauthorized, "the token is another user's, or of another session")
		return nil
	case newer.Role != current.Role || newer.Username != current.Username || !newer.Channels.Equal(current.Channels):
		return invalidToken("the token says something else of you or your rights; open another socket with it")
	case !newer.ExpiresAt.After(current.ExpiresAt):
		return invalidToken("the token does not last longer than the one before")
	}
	s.bearer.Store(bearer)
	if s.hub().opts.Revoked != nil && s.hub().opts.Revoked(newer) { // after whoever revokes can see it
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
