package auth

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Roles of an account.
const (
	RoleUser    = "user"    // a person
	RoleService = "service" // a backend
	RoleAdmin   = "admin"   // an operator
)

// IsRole tells whether an account can have a role.
func IsRole(role string) bool { return role == RoleUser || role == RoleService || role == RoleAdmin }

// Claims are what an access token says of its bearer (RFC 9068, 2.2), but for whom
// it is for: that is us, or it would not be good.
type Claims struct {
	Issuer    string
	Subject   string // the user's ID
	ClientID  string // the application that the token was issued to
	ID        string // this token's own, `jti`
	SessionID string // the login that it came from, `sid`
	Username  string // `preferred_username`
	Role      string
	Channels  Capabilities // rights beside the role's, by channel; nil where there are none
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// wireClaims is Claims as JSON, in the terms of golang-jwt.
type wireClaims struct {
	Iss      string           `json:"iss"`
	Exp      unixTime         `json:"exp"`
	Nbf      unixTime         `json:"nbf,omitempty"` // others may give it; we do not
	Aud      jwt.ClaimStrings `json:"aud"`
	Sub      string           `json:"sub"`
	ClientID string           `json:"client_id"`
	Iat      unixTime         `json:"iat"`
	Jti      string           `json:"jti"`
	Sid      string           `json:"sid,omitempty"`
	Username string           `json:"preferred_username"`
	Role     string           `json:"role"`
	Channels Capabilities     `json:"channels,omitempty"`
}

// maxTime is the last second that a token may name, and one that can be counted in
// microseconds.
const maxTime = 1 << 42

// unixTime is whole seconds as a JSON number. golang-jwt's own takes numbers
// in quotation marks too, which no issuer may send (RFC 7519, 2).
type unixTime int64

func (t *unixTime) UnmarshalJSON(data []byte) error {
	var n json.Number
	if len(data) == 0 || data[0] == '"' {
		return errors.New("a time is not a number")
	}
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	seconds, err := n.Float64()
	if err != nil || seconds < 0 || seconds > maxTime {
		return errors.New("a time is out of range")
	}
	*t = unixTime(seconds)
	return nil
}

func (t unixTime) numericDate() *jwt.NumericDate {
	if t == 0 {
		return nil
	}
	return jwt.NewNumericDate(time.Unix(int64(t), 0))
}

func (c *wireClaims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Exp.numericDate(), nil }
func (c *wireClaims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.Iat.numericDate(), nil }
func (c *wireClaims) GetNotBefore() (*jwt.NumericDate, error)      { return c.Nbf.numericDate(), nil }
func (c *wireClaims) GetIssuer() (string, error)                   { return c.Iss, nil }
func (c *wireClaims) GetSubject() (string, error)                  { return c.Sub, nil }
func (c *wireClaims) GetAudience() (jwt.ClaimStrings, error)       { return c.Aud, nil }

func (c *wireClaims) claims() Claims {
	return Claims{
		Issuer: c.Iss, Subject: c.Sub, ClientID: c.ClientID, ID: c.Jti, SessionID: c.Sid,
		Username: c.Username, Role: c.Role, Channels: c.Channels,
		IssuedAt: time.Unix(int64(c.Iat), 0).UTC(), ExpiresAt: time.Unix(int64(c.Exp), 0).UTC(),
	}
}

func (c Claims) wire(audience string) *wireClaims {
	return &wireClaims{
		Iss: c.Issuer, Aud: jwt.ClaimStrings{audience}, Sub: c.Subject, ClientID: c.ClientID, Jti: c.ID, Sid: c.SessionID,
		Username: c.Username, Role: c.Role, Channels: c.Channels,
		Iat: unixTime(c.IssuedAt.Unix()), Exp: unixTime(c.ExpiresAt.Unix()),
	}
}
