package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Grant is what a login or a refresh gives.
type Grant struct {
	AccessToken      string
	Claims           Claims // of the access token
	RefreshToken     string
	SessionExpiresAt time.Time // if it is not refreshed before
}

// Login checks a password and opens a session. It fails with an *InputError
// where a field is missing, ErrBadCredentials, ErrDisabled or ErrBusy.
func (a *Accounts) Login(ctx context.Context, username, password string, from Client) (Grant, error) {
	account, err := a.authenticate(ctx, username, password)
	if err != nil {
		return Grant{}, err
	}
	now, token := a.now(), newRefreshToken()
	session := Session{
		ID: rand.Text(), AccountID: account.ID, FamilyHash: token.family(), RefreshHash: token.hash(), Client: from.cleaned(),
		CreatedAt: now, UsedAt: now, EndsAt: now.Add(a.opts.SessionTTL),
	}
	session.ExpiresAt, session.TokensEnd = a.expiry(session), a.tokensEnd()
	err = a.end(a.store.CreateSession(ctx, session, account, a.opts.Sessions))
	if errors.Is(err, ErrNotFound) {
		return Grant{}, ErrBadCredentials // the account has changed meanwhile
	}
	if err != nil {
		return Grant{}, err
	}
	return a.grant(account, session, token)
}

// Refresh spends a refresh token: it answers a new access token and the token's
// successor. A token that was spent within RefreshGrace answers the same
// successor, or the newest one where that is spent too, so that calls that cross
// and answers that are lost do no harm; one that was spent before that ends the
// session and fails with ErrReused. A token
// that is not good fails with ErrInvalidToken.
func (a *Accounts) Refresh(ctx context.Context, text string, from Client) (Grant, error) {
	token, err := parseRefreshToken(text)
	if err != nil {
		return Grant{}, err
	}
	session, account, err := a.session(ctx, token)
	if err != nil {
		return Grant{}, err
	}
	if session.RefreshHash == token.hash() {
		grant, first, err := a.rotate(ctx, account, session, token, from)
		if first || err != nil {
			return grant, err
		}
	}
	return a.refreshAgain(ctx, account, session, token)
}

// session finds the live session that a refresh token is of.
func (a *Accounts) session(ctx context.Context, token refreshToken) (Session, Account, error) {
	session, account, err := a.store.SessionByFamily(ctx, token.family())
	if errors.Is(err, ErrNotFound) || err == nil && !a.now().Before(session.ExpiresAt) {
		return Session{}, Account{}, ErrInvalidToken
	}
	return session, account, err
}

// rotate puts the token's successor in its place. first tells that no other call
// has done so meanwhile.
func (a *Accounts) rotate(ctx context.Context, account Account, session Session, token refreshToken, from Client) (_ Grant, first bool, err error) {
	use := Rotation{Used: token.hash(), Seed: newSeed(), UsedAt: a.now()}
	next := token.successor(use.Seed)
	session.RefreshHash, session.UsedAt, session.Client = next.hash(), use.UsedAt, from.cleaned()
	session.ExpiresAt, session.TokensEnd = a.expiry(session), a.tokensEnd()
	first, err = a.store.Rotate(ctx, session, use, use.UsedAt.Add(-a.opts.RefreshGrace))
	if !first || err != nil {
		return Grant{}, false, err
	}
	grant, err := a.grant(account, session, next)
	return grant, true, err
}

// refreshAgain is for a token of the session that has been used.
func (a *Accounts) refreshAgain(ctx context.Context, account Account, session Session, token refreshToken) (Grant, error) {
	next, err := a.newest(ctx, token)
	if err != nil {
		return Grant{}, err
	}
	if next == token {
		return Grant{}, a.endReused(ctx, session)
	}
	return a.grant(account, session, next)
}

// endReused ends the session of a token that was used before the grace, and
// answers why.
func (a *Accounts) endReused(ctx context.Context, session Session) error {
	err := a.EndSession(ctx, session.AccountID, session.ID)
	if errors.Is(err, ErrNotFound) {
		return ErrInvalidToken // another has ended it
	}
	if err != nil {
		return err
	}
	return ErrReused
}

// newest follows a token that was used within the grace to the one that was not,
// and answers the token itself where it was used before that, or never was good.
// It is the same one for all who come meanwhile: what a call that crossed two
// others is told must not be what they have spent.
func (a *Accounts) newest(ctx context.Context, token refreshToken) (refreshToken, error) {
	for range maxChain {
		use, err := a.store.RotationOf(ctx, token.hash())
		if errors.Is(err, ErrNotFound) || err == nil && a.now().Sub(use.UsedAt) >= a.opts.RefreshGrace {
			return token, nil
		}
		if err != nil {
			return token, err
		}
		token = token.successor(use.Seed)
	}
	return token, nil
}

// maxChain is more than the refreshes of one session that can lie within the
// grace.
const maxChain = 1000

// grant issues an access token, which does not outlive its session.
func (a *Accounts) grant(account Account, session Session, refresh refreshToken) (Grant, error) {
	token, claims, err := a.issuer.IssueUntil(account, session.ID, session.EndsAt)
	if err != nil {
		return Grant{}, err
	}
	return Grant{AccessToken: token, Claims: claims, RefreshToken: refresh.text, SessionExpiresAt: session.ExpiresAt}, nil
}

func (a *Accounts) expiry(s Session) time.Time {
	if idle := s.UsedAt.Add(a.opts.SessionIdle); idle.Before(s.EndsAt) {
		return idle
	}
	return s.EndsAt
}

// SessionOf finds the session that a refresh token is of, without spending it. It
// fails as Refresh does.
func (a *Accounts) SessionOf(ctx context.Context, text string) (Session, error) {
	token, err := parseRefreshToken(text)
	if err != nil {
		return Session{}, err
	}
	session, _, err := a.session(ctx, token)
	if err != nil || session.RefreshHash == token.hash() {
		return session, err
	}
	next, err := a.newest(ctx, token)
	if err == nil && next == token {
		err = a.endReused(ctx, session)
	}
	return session, err
}

// Sessions lists an account's live sessions, the last used first.
func (a *Accounts) Sessions(ctx context.Context, accountID string) ([]Session, error) {
	sessions, err := a.store.Sessions(ctx, accountID)
	if err != nil {
		return nil, err
	}
	live := sessions[:0]
	for _, s := range sessions {
		if a.now().Before(s.ExpiresAt) {
			live = append(live, s)
		}
	}
	return live, nil
}

// EndSession ends one session of an account, its access tokens with it. It fails
// with ErrNotFound.
func (a *Accounts) EndSession(ctx context.Context, accountID, sessionID string) error {
	if sessionID == "" || !utf8.ValidString(sessionID) { // to a Store the first means all, and the second may be an error
		return ErrNotFound
	}
	e := a.ending(accountID)
	e.Only = sessionID
	ended, err := a.store.EndSessions(ctx, e)
	if err == nil && len(ended) == 0 {
		return ErrNotFound
	}
	return a.end(ended, err)
}

// EndSessions ends all sessions of an account.
func (a *Accounts) EndSessions(ctx context.Context, accountID string) error {
	return a.end(a.store.EndSessions(ctx, a.ending(accountID)))
}

func (a *Accounts) ending(accountID string) Ending {
	return Ending{AccountID: accountID, At: a.now(), TokensEnd: a.tokensEnd()}
}

// clockMargin is how far the clocks of nodes may lie apart, beyond what is allowed
// to the clocks of those who issue tokens.
const clockMargin = time.Minute

// tokensEnd is when no access token of now is good any more, nor one that the
// grace still gives.
func (a *Accounts) tokensEnd() time.Time {
	return a.now().Add(a.opts.RefreshGrace + a.issuer.opts.TTL + leeway + clockMargin)
}

// end revokes on this node what a Store has ended; other nodes read it there.
func (a *Accounts) end(ended []Revocation, err error) error {
	if err == nil {
		a.revocations.add(ended)
	}
	return err
}

// maxClient is how much of what a client says of itself is kept, in bytes.
const maxClient = 200

// cleaned is what can be kept and shown.
func (c Client) cleaned() Client {
	device := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(c.Device, ""))
	if len(device) > maxClient {
		device = strings.ToValidUTF8(device[:maxClient], "")
	}
	return Client{Device: device, Address: c.Address}
}
