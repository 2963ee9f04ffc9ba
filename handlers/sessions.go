package handlers

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ratelimit"
)

var (
	errHTTPSRequired  = errors.New("a cookie is given over https and on localhost alone: connect over https, or leave use_cookie out. Where a proxy speaks https for this server, an operator names it in http.trusted_proxies")
	errNoSuchSession  = errors.New("you have no session of this id")
	errNoRefreshToken = errors.New("this needs a refresh token: send refresh_token in the body, or the cookie of a login with use_cookie")
	errNothingShown   = errors.New("which session is to end? send Authorization: Bearer, refresh_token in the body, or the cookie of a login with use_cookie")
)

// grantBody is what a login or a refresh answers (RFC 6749, 5.1).
type grantBody struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`              // seconds
	RefreshToken string `json:"refresh_token,omitempty"` // absent where it is in a cookie
}

// sessionBody is a session as its owner sees it.
type sessionBody struct {
	ID         string    `json:"id"`
	Device     string    `json:"device"`
	Address    string    `json:"address"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Current    bool      `json:"current"`
}

// sessions are the routes about logins.
type sessions struct {
	accounts *auth.Accounts
	guesses  *ratelimit.Guesses
	verifier middleware.Verifier
	origins  middleware.Origins
	body     jsonBody
	logger   *slog.Logger
}

// login opens a session.
func (s sessions) login(c *fiber.Ctx) error {
	var in struct {
		credentials
		UseCookie bool `json:"use_cookie"`
	}
	if err := s.body.decode(c, &in); err != nil {
		return err
	}
	if in.UseCookie {
		if err := s.mayUseCookie(c); err != nil {
			return err
		}
	}
	var grant auth.Grant
	err := middleware.Guess(c, s.guesses, in.Username, func() (err error) {
		grant, err = s.accounts.Login(c.UserContext(), in.Username, in.Password, clientOf(c))
		return err
	})
	if err != nil {
		return err
	}
	return answerGrant(c, grant, in.UseCookie)
}

// mayUseCookie tells, before anything is spent on it, whether a cookie can be
// given.
func (s sessions) mayUseCookie(c *fiber.Ctx) error {
	if err := s.origins.GuardCookie(c); err != nil {
		return err
	}
	if !mayHaveCookie(c) {
		return errHTTPSRequired
	}
	return nil
}

// refresh spends a refresh token. Where it came in a cookie, its successor goes
// there too.
func (s sessions) refresh(c *fiber.Ctx) error {
	var in struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := s.body.decodeOptional(c, &in); err != nil {
		return err
	}
	token, inCookie, err := s.shown(c, in.RefreshToken)
	if err != nil {
		return err
	}
	grant, err := s.accounts.Refresh(c.UserContext(), token, clientOf(c))
	s.note(c, err, inCookie)
	if err != nil {
		return err
	}
	return answerGrant(c, grant, inCookie)
}

// note does what is to be done about a refresh token that is not good.
func (s sessions) note(c *fiber.Ctx, err error, inCookie bool) {
	if errors.Is(err, auth.ErrReused) {
		s.logger.Warn("a refresh token was used again, so its session is ended", "id", middleware.RequestIDOf(c), "address", middleware.AddressOf(c).String())
	}
	if inCookie && errors.Is(err, auth.ErrInvalidToken) {
		dropCookie(c)
	}
}

// shown is the refresh token in the body, or else the one in the cookie.
func (s sessions) shown(c *fiber.Ctx, inBody string) (token string, inCookie bool, err error) {
	if inBody != "" {
		return inBody, false, nil
	}
	if token = refreshCookie(c); token == "" {
		return "", false, errNoRefreshToken
	}
	return token, true, s.origins.GuardCookie(c)
}

// logout ends the session that a bearer token, a refresh token or a cookie is of,
// or all sessions of its account.
func (s sessions) logout(c *fiber.Ctx) error {
	var in struct {
		RefreshToken string `json:"refresh_token"`
		All          bool   `json:"all"`
	}
	if err := s.body.decodeOptional(c, &in); err != nil {
		return err
	}
	accountID, sessionID, err := s.meant(c, in.RefreshToken)
	if err != nil {
		return err
	}
	if in.All {
		err = s.accounts.EndSessions(c.UserContext(), accountID)
	} else {
		err = s.accounts.EndSession(c.UserContext(), accountID, sessionID)
	}
	if err != nil && !errors.Is(err, auth.ErrNotFound) { // it has ended already
		return err
	}
	dropCookie(c)
	c.Status(http.StatusNoContent)
	return nil
}

// meant tells which session a logout is about: what is shown on purpose goes
// before the cookie, which a browser sends by itself.
func (s sessions) meant(c *fiber.Ctx, inBody string) (accountID, sessionID string, err error) {
	if inBody == "" && c.Get(fiber.HeaderAuthorization) != "" {
		if err := middleware.Authenticate(c, s.verifier); err != nil {
			return "", "", err
		}
		claims, _ := middleware.ClaimsOf(c)
		if claims.SessionID == "" {
			return "", "", middleware.ErrNoSession
		}
		return claims.Subject, claims.SessionID, nil
	}
	token, inCookie, err := s.shown(c, inBody)
	if errors.Is(err, errNoRefreshToken) {
		return "", "", errNothingShown
	}
	if err != nil {
		return "", "", err
	}
	session, err := s.accounts.SessionOf(c.UserContext(), token)
	s.note(c, err, inCookie)
	return session.AccountID, session.ID, err
}

// list tells the bearer's sessions.
func (s sessions) list(c *fiber.Ctx) error {
	claims, _ := middleware.ClaimsOf(c)
	list, err := s.accounts.Sessions(c.UserContext(), claims.Subject)
	if err != nil {
		return err
	}
	bodies := make([]sessionBody, len(list))
	for i, session := range list {
		bodies[i] = sessionBody{
			ID: session.ID, Device: session.Client.Device, Address: session.Client.Address,
			CreatedAt: session.CreatedAt, LastUsedAt: session.UsedAt, ExpiresAt: session.ExpiresAt,
			Current: session.ID == claims.SessionID,
		}
	}
	return c.JSON(fiber.Map{"sessions": bodies})
}

// end ends one of the bearer's sessions.
func (s sessions) end(c *fiber.Ctx) error {
	claims, _ := middleware.ClaimsOf(c)
	err := s.accounts.EndSession(c.UserContext(), claims.Subject, utils.CopyString(c.Params("id")))
	if errors.Is(err, auth.ErrNotFound) {
		return errNoSuchSession
	}
	if err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func answerGrant(c *fiber.Ctx, grant auth.Grant, inCookie bool) error {
	body := grantBody{
		AccessToken: grant.AccessToken, TokenType: "Bearer",
		ExpiresIn:    int(grant.Claims.ExpiresAt.Sub(grant.Claims.IssuedAt).Seconds()),
		RefreshToken: grant.RefreshToken,
	}
	if inCookie {
		body.RefreshToken = ""
		if err := setCookie(c, grant.RefreshToken, grant.SessionExpiresAt); err != nil {
			return err
		}
	}
	return c.JSON(body)
}

// clientOf is where a request comes from, as copies.
func clientOf(c *fiber.Ctx) auth.Client {
	return auth.Client{Device: utils.CopyString(c.Get(fiber.HeaderUserAgent)), Address: middleware.AddressOf(c).String()}
}
