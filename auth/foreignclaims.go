package auth

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"
)

// maxUserID is the longest user ID, in bytes: user:ID is the name of a channel,
// and a channel's name has 255.
const maxUserID = 250

// ClaimNames say which claims of an issuer's tokens mean what. A name is first
// looked for as it is, dots and slashes and all, and then as a path:
// realm_access.roles.
type ClaimNames struct {
	UserID       string // text; empty is sub
	Username     string // text; empty is preferred_username, then name. Where there is none it is the user's ID
	Role         string // a role or a list of roles; empty makes everybody a user
	Capabilities string // an object of lists; empty gives nobody any
}

// foreignClaims are the claims of another issuer's token. Their names are
// looked up exactly, where encoding/json would take Aud for aud.
type foreignClaims struct {
	iss           string
	aud           jwt.ClaimStrings
	exp, iat, nbf unixTime
	all           map[string]json.RawMessage
}

func (c *foreignClaims) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &c.all); err != nil {
		return err
	}
	for name, target := range map[string]any{"iss": &c.iss, "aud": &c.aud, "exp": &c.exp, "iat": &c.iat, "nbf": &c.nbf} {
		raw, given := c.all[name]
		if !given {
			continue
		}
		if err := json.Unmarshal(raw, target); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (c *foreignClaims) GetExpirationTime() (*jwt.NumericDate, error) {
	return c.exp.numericDate(), nil
}
func (c *foreignClaims) GetIssuedAt() (*jwt.NumericDate, error)  { return c.iat.numericDate(), nil }
func (c *foreignClaims) GetNotBefore() (*jwt.NumericDate, error) { return c.nbf.numericDate(), nil }
func (c *foreignClaims) GetIssuer() (string, error)              { return c.iss, nil }
func (c *foreignClaims) GetSubject() (string, error)             { return c.text("sub"), nil }
func (c *foreignClaims) GetAudience() (jwt.ClaimStrings, error)  { return c.aud, nil }

// find gives the claim of that name, or nil.
func (c *foreignClaims) find(name string) json.RawMessage {
	if raw, given := c.all[name]; given {
		return raw
	}
	path := strings.Split(name, ".")
	within, last := c.all, len(path)-1
	for _, step := range path[:last] {
		var inner map[string]json.RawMessage
		if json.Unmarshal(within[step], &inner) != nil {
			return nil
		}
		within = inner
	}
	return within[path[last]]
}

// text gives the claim of that name where it is text.
func (c *foreignClaims) text(name string) string {
	var text string
	if json.Unmarshal(c.find(name), &text) != nil {
		return ""
	}
	return text
}

// firstText gives the first of the claims that is text and not empty.
func (c *foreignClaims) firstText(names ...string) string {
	for _, name := range names {
		if text := c.text(name); text != "" {
			return text
		}
	}
	return ""
}

// read says in our terms what a token of the issuer says. There is no login
// here that it comes from, whatever its sid.
func (t TrustedIssuer) read(wire *foreignClaims) (Claims, error) {
	if wire.all["at_hash"] != nil || wire.all["c_hash"] != nil {
		return Claims{}, errors.New("it is an ID token, which is for the application that has it and opens no API")
	}
	id, err := t.userID(wire)
	if err != nil {
		return Claims{}, err
	}
	capabilities, err := t.capabilities(wire)
	if err != nil {
		return Claims{}, err
	}
	claims := Claims{
		Issuer: wire.iss, Subject: id, Username: t.username(wire, id),
		Role: t.role(wire), Channels: capabilities,
		ClientID: wire.firstText("client_id", "azp"), ID: wire.text("jti"),
		ExpiresAt: time.Unix(int64(wire.exp), 0).UTC(),
	}
	if wire.iat != 0 {
		claims.IssuedAt = time.Unix(int64(wire.iat), 0).UTC()
	}
	return claims, nil
}

func (t TrustedIssuer) userID(wire *foreignClaims) (string, error) {
	name := cmp.Or(t.Claims.UserID, "sub")
	raw := wire.text(name)
	id := t.UserPrefix + escaped(raw)
	switch {
	case raw == "":
		return "", fmt.Errorf("%s, which is to be the user's ID, is not there or is not text", name)
	case len(id) > maxUserID:
		return "", fmt.Errorf("the user's ID is longer than %d bytes", maxUserID)
	}
	return id, nil
}

// escaped writes what cannot stand in a channel's name behind the colon as = and
// two hexadecimal digits a byte, = itself too: auth0|42 is auth0=7C42. No two IDs
// become one.
func escaped(raw string) string {
	var b strings.Builder
	for _, c := range []byte(raw) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.:@~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// username is for people to read; nothing is decided by it.
func (t TrustedIssuer) username(wire *foreignClaims, id string) string {
	names := []string{"preferred_username", "name"}
	if t.Claims.Username != "" {
		names = []string{t.Claims.Username}
	}
	return cmp.Or(cleanName(wire.firstText(names...)), id)
}

// cleanName leaves out what would break a line or turn it around, and what is
// over MaxUsername.
func cleanName(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return -1
		}
		return r
	}, text)
	letters := []rune(strings.TrimSpace(text))
	return strings.TrimSpace(string(letters[:min(len(letters), MaxUsername)]))
}

// role is the highest of ours that the claim names.
func (t TrustedIssuer) role(wire *foreignClaims) string {
	if t.Claims.Role == "" {
		return RoleUser
	}
	raw := wire.find(t.Claims.Role)
	var named []string
	if json.Unmarshal(raw, &named) != nil {
		named = []string{wire.text(t.Claims.Role)}
	}
	for _, role := range []string{RoleAdmin, RoleService} {
		if slices.Contains(named, role) {
			return role
		}
	}
	return RoleUser
}

// capabilities fails where the claim is there and says nothing that is
// understood: without capabilities the rules hold, which may allow more.
func (t TrustedIssuer) capabilities(wire *foreignClaims) (Capabilities, error) {
	if t.Claims.Capabilities == "" {
		return nil, nil
	}
	raw := wire.find(t.Claims.Capabilities)
	if raw == nil {
		return nil, nil
	}
	var lists map[string][]*string // a null in a list would be an empty string
	err := json.Unmarshal(raw, &lists)
	if err != nil || lists == nil {
		return nil, fmt.Errorf("%s, which is to be capabilities, is not an object of lists of text", t.Claims.Capabilities)
	}
	capabilities := make(Capabilities, len(lists))
	for channel, actions := range lists {
		if actions == nil || slices.Contains(actions, nil) {
			return nil, fmt.Errorf("%s: %q is not a list of text", t.Claims.Capabilities, channel)
		}
		capabilities[channel] = make([]string, len(actions))
		for i, action := range actions {
			capabilities[channel][i] = *action
		}
	}
	return capabilities, nil
}
