package ws

import "sync"

// channel is the sessions of this node that are subscribed to one name. It
// lives while it is used: Hub.enter makes it, Hub.leave forgets it.
type channel struct {
	name string // static after construction

	users int // sessions that are in or about to enter; guarded by Hub.mu

	mu        sync.Mutex // guards the rest, and gives a channel's frames one order
	members   map[*Session]struct{}
	occupants occupants
}

func newChannel(name string) *channel {
	return &channel{name: name, members: make(map[*Session]struct{}), occupants: make(occupants)}
}

// join adds s and calls greet while nothing else can be sent: what s is
// greeted with comes before every later frame of the channel. crossing is sent
// to the others where s is its user's first connection here.
func (c *channel) join(s *Session, crossing []byte, greet func(occupants)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.occupants.enter(s.claims.Subject, s.claims.Username) {
		c.send(crossing, "")
	}
	c.members[s] = struct{}{}
	greet(c.occupants)
}

// leave takes s out. crossing is sent to the others where s was its user's
// last connection here.
func (c *channel) leave(s *Session, crossing []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.members, s)
	if c.occupants.exit(s.claims.Subject) {
		c.send(crossing, "")
	}
}

// broadcast sends frame to all but the connection except.
func (c *channel) broadcast(frame []byte, except string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send(frame, except)
}

func (c *channel) send(frame []byte, except string) {
	for member := range c.members {
		if member.clientID != except {
			member.push(frame)
		}
	}
}

// view calls look with the channel's occupants.
func (c *channel) view(look func(occupants)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	look(c.occupants)
}
