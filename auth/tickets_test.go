package auth_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// T2: a ticket is good once, for 30 s, for its page, and no longer than the token
// that it was asked for with. A wrong page spends it too.
func TestTicketsEndT2(t *testing.T) {
	const app = "https://app.example"
	for name, row := range map[string]struct {
		token time.Duration // life of the token
		waits time.Duration
		from  string
		good  bool
	}{
		"at once":               {time.Hour, 0, app, true},
		"at the last moment":    {time.Hour, 30*time.Second - time.Millisecond, app, true},
		"too late":              {time.Hour, 30 * time.Second, app, false},
		"the token has ended":   {10 * time.Second, 10 * time.Second, app, false},
		"another page":          {time.Hour, 0, "https://evil.example", false},
		"no page":               {time.Hour, 0, "", false},
		"before the token ends": {10 * time.Second, 9 * time.Second, app, true},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1_800_000_000, 0)
			tickets := auth.NewTickets(auth.NewMemoryTickets(10), nil, auth.TicketOptions{TTL: 30 * time.Second, Now: func() time.Time { return now }})
			asked := auth.Claims{Subject: "alice", SessionID: "s", ExpiresAt: now.Add(row.token)}
			ticket, err := tickets.Issue(t.Context(), asked, app)
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(row.waits)
			bearer, err := tickets.Spend(t.Context(), ticket, row.from)
			if row.good != (err == nil && bearer.Subject() == "alice") || !row.good && !errors.Is(err, auth.ErrInvalidTicket) {
				t.Errorf("%+v, %v", bearer, err)
			}
			if _, err := tickets.Spend(t.Context(), ticket, app); !errors.Is(err, auth.ErrInvalidTicket) {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// More tickets than there is room for are refused, until some have ended.
func TestTicketsAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tickets := auth.NewTickets(auth.NewMemoryTickets(3), nil, auth.TicketOptions{TTL: 30 * time.Second, Now: func() time.Time { return now }})
	issue := func() error {
		_, err := tickets.Issue(t.Context(), auth.Claims{Subject: "alice", ExpiresAt: now.Add(time.Hour)}, "")
		return err
	}
	for range 3 {
		if err := issue(); err != nil {
			t.Fatal(err)
		}
	}
	if err := issue(); !errors.Is(err, auth.ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	now = now.Add(30 * time.Second)
	if err := issue(); err != nil {
		t.Errorf("when the others have ended: %v", err)
	}
}
