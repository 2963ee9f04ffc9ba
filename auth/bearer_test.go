package auth_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// What is kept of a token is all that it says.
func TestBearerKeepsClaims(t *testing.T) {
	for name, claims := range map[string]auth.Claims{
		"nothing": {IssuedAt: time.Time{}.UTC(), ExpiresAt: time.Time{}.UTC()},
		"everything": {
			Issuer: "iss", Subject: "1", ClientID: "client", ID: "jti", SessionID: "sid", Username: "alice", Role: auth.RoleAdmin,
			Channels: auth.Capabilities{"room:1": {"subscribe"}},
			IssuedAt: time.Unix(1_800_000_000, 5000).UTC(), ExpiresAt: time.Unix(1_800_000_900, 0).UTC(),
		},
		"texts that are empty":      {ID: "jti", Username: "alice"},
		"a session alone":           {SessionID: "sid"},
		"the last time there is":    {IssuedAt: time.Unix(1<<42, 0).UTC(), ExpiresAt: time.Unix(1<<42, 0).UTC()},
		"all that fits into tokens": {Subject: strings.Repeat("s", 250), ID: strings.Repeat("j", 8<<10), SessionID: strings.Repeat("s", 8<<10), Username: "ü"},
	} {
		bearer := auth.NewBearer(claims)
		if got := bearer.Claims(); !reflect.DeepEqual(got, claims) || bearer.Subject() != claims.Subject {
			t.Errorf("%s: %+v, want %+v", name, got, claims)
		}
	}
}
