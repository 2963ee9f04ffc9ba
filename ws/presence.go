package ws

import (
	"context"

	"github.com/gatecast/gatecast/auth"
)

// Presence is who is in a channel: users, not connections.
type Presence struct {
	Count int    `json:"count"`          // users in all
	Users []User `json:"users"`          // by name; a part of them where Next is given
	Next  string `json:"next,omitempty"` // where the others are, for PresenceQuery.After; empty where there are none
}

// User is one user who is online.
type User struct {
	UserID   string `json:"userId"`
	Username string `json:"username"`
}

// user is whom the session is of.
func (s *Session) user() User {
	claims := s.Claims()
	return User{UserID: claims.Subject, Username: claims.Username}
}

// PresenceQuery asks who is in a channel.
type PresenceQuery struct {
	Channel string `json:"channel"`
	After   string `json:"after"` // Next of the page before; empty for the first page
	// Limit is how many are named, Options.DetailMax at most. Where it is nil all
	// are, or 20 where the channel has more users than that.
	Limit *int `json:"limit"`
}

// Presence is who is in a channel, as its members have been told, where rules
// let the bearer of claims see it. Its errors are what a Handler returns.
func (h *Hub) Presence(claims auth.Claims, q PresenceQuery) (p Presence, err error) {
	err = h.viewPresence(claims, q, func(page Presence) { p = page })
	return p, err
}

// viewPresence calls view with the page that q asks for. Until view returns,
// nobody in the channel is told anything.
func (h *Hub) viewPresence(claims auth.Claims, q PresenceQuery, view func(Presence)) error {
	if err := h.opts.Rules.Allow(ActionPresence, q.Channel, claims); err != nil {
		return err
	}
	after, err := arrivalOf(q.After)
	if err != nil {
		return err
	}
	limit := 0
	if q.Limit != nil {
		if limit = *q.Limit; limit < 1 {
			return badFrame("limit must be 1 at least")
		}
	}
	c := h.channel(q.Channel)
	if c == nil {
		view(Presence{Users: []User{}})
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	view(c.crowd.page(after, limit))
	return nil
}

func handlePresence(_ context.Context, s *Session, f Frame) error {
	var q PresenceQuery
	if err := f.decode(&q); err != nil {
		return err
	}
	return s.hub().viewPresence(s.Claims(), q, func(page Presence) {
		s.send(presenceFrame{Type: TypePresence, ID: f.ID, Channel: q.Channel, Presence: page})
	})
}
