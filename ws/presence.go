package ws

import (
	"cmp"
	"slices"
)

// Presence is who is in a channel: users, not connections.
type Presence struct {
	Count int    `json:"count"` // users in all
	Users []User `json:"users"` // by name; a part of them where there are many
}

// User is one user who is online.
type User struct {
	UserID   string `json:"userId"`
	Username string `json:"username"`
}

// occupants counts each user's connections to one channel.
type occupants map[string]*occupant // by user ID

type occupant struct {
	username    string
	connections int
}

// enter tells whether this is the user's first connection.
func (o occupants) enter(userID, username string) bool {
	who := o[userID]
	if who == nil {
		who = &occupant{username: username}
		o[userID] = who
	}
	who.connections++
	return who.connections == 1
}

// exit tells whether this was the user's last connection.
func (o occupants) exit(userID string) bool {
	who := o[userID]
	who.connections--
	if who.connections > 0 {
		return false
	}
	delete(o, userID)
	return true
}

// list names at most limit users.
func (o occupants) list(limit int) Presence {
	p := Presence{Count: len(o), Users: make([]User, 0, min(limit, len(o)))}
	for id, who := range o {
		if len(p.Users) == limit {
			break
		}
		p.Users = append(p.Users, User{UserID: id, Username: who.username})
	}
	slices.SortFunc(p.Users, func(a, b User) int { return cmp.Compare(a.Username, b.Username) })
	return p
}
