package auth

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"sync"
	"time"
)

// Ticket lets one socket in, once, for the bearer of the access token that it
// was asked for with.
type Ticket struct {
	Claims    Claims
	Origin    string // mark of the origin of the page that asked; empty where that was no page
	ExpiresAt time.Time
}

// TicketStore keeps tickets by their hash.
type TicketStore interface {
	// KeepTicket keeps one and may forget those that expired before now. It
	// fails with ErrBusy where there is no room.
	KeepTicket(ctx context.Context, hash Hash, t Ticket, now time.Time) error
	// TakeTicket gives a ticket to one caller alone; ErrNotFound if it is not
	// there, or not any more.
	TakeTicket(ctx context.Context, hash Hash) (Ticket, error)
}

// TicketOptions of Tickets.
type TicketOptions struct {
	TTL time.Duration    // life of a ticket
	Now func() time.Time // nil means time.Now
}

// Tickets are for pages, which cannot send a header with a socket's handshake: a
// URL may hold what is good once, for seconds, and from one origin.
type Tickets struct {
	store       TicketStore
	revocations *Revocations
	opts        TicketOptions
}

// NewTickets makes Tickets.
func NewTickets(store TicketStore, revocations *Revocations, opts TicketOptions) *Tickets {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Tickets{store, revocations, opts}
}

// TTL is the life of a ticket.
func (t *Tickets) TTL() time.Duration { return t.opts.TTL }

// Issue gives the bearer of claims a ticket of 130 random bits, for a page of
// origin.
func (t *Tickets) Issue(ctx context.Context, claims Claims, origin string) (string, error) {
	ticket, now := rand.Text(), t.opts.Now()
	err := t.store.KeepTicket(ctx, hashOf(ticket), Ticket{Claims: claims, Origin: originMark(origin), ExpiresAt: now.Add(t.opts.TTL)}, now)
	if err != nil {
		return "", err
	}
	return ticket, nil
}

// Spend answers whom a ticket lets in. It is spent even where it comes from
// another origin than it was issued to. Everything but one good use is an
// ErrInvalidTicket.
func (t *Tickets) Spend(ctx context.Context, ticket, origin string) (*Bearer, error) {
	kept, err := t.store.TakeTicket(ctx, hashOf(ticket))
	now := t.opts.Now()
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, ErrInvalidTicket
	case err != nil:
		return nil, err
	case kept.Origin != originMark(origin) || !now.Before(kept.ExpiresAt) || !now.Before(kept.Claims.ExpiresAt) || t.revocations.Revoked(kept.Claims):
		return nil, ErrInvalidTicket
	}
	return NewBearer(kept.Claims), nil
}

// originMark stands for an origin. What a client writes there may be of any length
// and any bytes, and neither memory nor a database is to keep that.
func originMark(origin string) string {
	if origin == "" {
		return ""
	}
	sum := hashOf(origin)
	return hex.EncodeToString(sum[:])
}

// MemoryTickets is the TicketStore of a server that runs alone. It is safe for
// concurrent use.
type MemoryTickets struct {
	capacity int // static after construction

	mu      sync.Mutex // guards the rest
	tickets map[Hash]Ticket
}

// NewMemoryTickets keeps at most capacity tickets.
func NewMemoryTickets(capacity int) *MemoryTickets {
	return &MemoryTickets{capacity: capacity, tickets: make(map[Hash]Ticket)}
}

// KeepTicket implements TicketStore.
func (m *MemoryTickets) KeepTicket(_ context.Context, hash Hash, t Ticket, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetSome(now)
	if len(m.tickets) >= m.capacity {
		return ErrBusy
	}
	m.tickets[hash] = t
	return nil
}

// forgetLook is how many tickets each new one looks at, to forget the expired
// ones; over one, so that the map shrinks.
const forgetLook = 4

// forgetSome relies on the map's walk, which begins anywhere. The caller holds
// mu.
func (m *MemoryTickets) forgetSome(now time.Time) {
	looked := 0
	for hash, t := range m.tickets {
		if looked++; looked > forgetLook {
			return
		}
		if !now.Before(t.ExpiresAt) {
			delete(m.tickets, hash)
		}
	}
}

// TakeTicket implements TicketStore.
func (m *MemoryTickets) TakeTicket(_ context.Context, hash Hash) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tickets[hash]
	if !ok {
		return Ticket{}, ErrNotFound
	}
	delete(m.tickets, hash)
	return t, nil
}
