package auth

import (
	"time"
	"unique"
)

// Bearer is the claims of whoever has shown a token, as they are kept for as long
// as a socket lives: in half the memory of Claims. It does not change, and all
// who need it share it.
type Bearer struct {
	common   unique.Handle[commonClaims]
	subject  string    // by itself, since others keep it for longer
	texts    string    // the ID, the SessionID and the Username, one behind the other
	ends     [2]uint32 // of the first two
	channels Capabilities
	issued   int64 // microseconds since 1970
	expires  int64
}

// commonClaims are texts that many tokens share.
type commonClaims struct{ issuer, clientID, role string }

// NewBearer makes a Bearer of claims. Their times are kept in microseconds.
func NewBearer(c Claims) *Bearer {
	return &Bearer{
		common:  unique.Make(commonClaims{c.Issuer, c.ClientID, c.Role}),
		subject: c.Subject, texts: c.ID + c.SessionID + c.Username, channels: c.Channels,
		ends:   [2]uint32{uint32(len(c.ID)), uint32(len(c.ID) + len(c.SessionID))},
		issued: c.IssuedAt.UnixMicro(), expires: c.ExpiresAt.UnixMicro(),
	}
}

// Subject is the user's ID.
func (b *Bearer) Subject() string { return b.subject }

// Claims are what the token says.
func (b *Bearer) Claims() Claims {
	common := b.common.Value()
	return Claims{
		Issuer: common.issuer, ClientID: common.clientID, Role: common.role,
		Subject: b.subject, Channels: b.channels,
		ID: b.texts[:b.ends[0]], SessionID: b.texts[b.ends[0]:b.ends[1]], Username: b.texts[b.ends[1]:],
		IssuedAt: time.UnixMicro(b.issued).UTC(), ExpiresAt: time.UnixMicro(b.expires).UTC(),
	}
}
