package handlers

import (
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/gatecast/gatecast/middleware"
)

const (
	// cookieName begins with __Host-, so that browsers take the cookie over
	// https alone, for this host alone (RFC 6265bis, 4.1.3.2).
	cookieName = "__Host-gatecast"
	// localCookieName is for http://localhost, where a Secure cookie cannot be
	// had in every browser.
	localCookieName = "gatecast"
)

// sessionCookie names the cookie that this request's connection may carry; empty
// where a cookie would travel in the clear.
func sessionCookie(c *fiber.Ctx) string {
	switch {
	case middleware.IsSecure(c):
		return cookieName
	case isLocal(string(c.Request().Host())): // Fiber's Hostname believes anyone's X-Forwarded-Host
		return localCookieName
	}
	return ""
}

func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// mayHaveCookie tells whether the client may be given the session cookie. A proxy
// that speaks https and is not trusted may call us localhost: its pages' origin
// does not.
func mayHaveCookie(c *fiber.Ctx) bool {
	name, origin := sessionCookie(c), c.Get(fiber.HeaderOrigin)
	_, host, _ := strings.Cut(origin, "://")
	return name == cookieName || name == localCookieName && (origin == "" || isLocal(host))
}

// refreshCookie is the refresh token in the request's cookie, as a copy.
func refreshCookie(c *fiber.Ctx) string {
	if name := sessionCookie(c); name != "" {
		return utils.CopyString(c.Cookies(name))
	}
	return ""
}

// setCookie has the browser keep a refresh token where no script can read it,
// until expires.
func setCookie(c *fiber.Ctx, token string, expires time.Time) error {
	if !mayHaveCookie(c) {
		return errHTTPSRequired
	}
	addCookie(c, sessionCookie(c), token, int(time.Until(expires).Seconds()))
	return nil
}

// dropCookie has the browser forget it.
func dropCookie(c *fiber.Ctx) {
	if name := sessionCookie(c); name != "" {
		addCookie(c, name, "", -1)
	}
}

func addCookie(c *fiber.Ctx, name, value string, maxAge int) {
	cookie := http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: name == cookieName,
	}
	c.Response().Header.Add(fiber.HeaderSetCookie, cookie.String())
}
