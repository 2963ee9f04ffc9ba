package ws

import "sync"

// channel is the sessions of this node that are subscribed to one name. It
// lives while it is used: Hub.enter makes it, Hub.leave forgets it.
//
// A channel with history has one position, up to which it has given its
// messages to its members. A member that is behind reads the log until it has
// reached the channel, and is live from there on: what comes next is next.
type channel struct {
	// static after construction
	name  string
	keeps bool // it has history

	users int // sessions that are in or about to enter; guarded by Hub.mu

	opening sync.Mutex // held by the one who asks the log where the channel is

	mu        sync.Mutex // guards the rest, and gives a channel's frames one order
	opened    bool       // position is known; always so without history
	position  Position
	hinted    int64 // the highest number that the broker has told of
	advancing bool  // a goroutine of the hub reads what the broker lost
	members   map[*Session]*member
	occupants occupants
}

// member is one session's place in a channel.
type member struct {
	session *Session
	channel *channel

	// guarded by channel.mu
	live bool  // gets every message as it comes
	seq  int64 // what it has, while it is not live
	gone bool
}

func newChannel(name string, keeps bool) *channel {
	return &channel{name: name, keeps: keeps, opened: !keeps, members: make(map[*Session]*member), occupants: make(occupants)}
}

// add makes s a member, and tells the others with crossing where s is its
// user's first connection here. The caller holds mu.
func (c *channel) add(s *Session, crossing []byte) *member {
	if c.occupants.enter(s.Claims().Subject, s.Claims().Username) {
		c.send(crossing, "")
	}
	m := &member{session: s, channel: c}
	c.members[s] = m
	return m
}

// remove takes m out. crossing is sent to the others where m was its user's
// last connection here.
func (c *channel) remove(m *member, crossing []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.gone = true
	delete(c.members, m.session)
	if c.occupants.exit(m.session.Claims().Subject) {
		c.send(crossing, "")
	}
}

// send sends a frame to all but the connection except. The caller holds mu.
func (c *channel) send(frame []byte, except string) {
	for s := range c.members {
		if s.clientID != except {
			s.push(frame)
		}
	}
}

// sendLive sends a stored message's frame to all that are live, but for the
// connection except, and moves on to its number. The caller holds mu.
func (c *channel) sendLive(seq int64, frame []byte, except string) {
	c.position.Seq = seq
	for s, m := range c.members {
		if m.live && s.clientID != except {
			s.push(frame)
		}
	}
}

// place is the channel's position.
func (c *channel) place() Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position
}

// view calls look with the channel's occupants.
func (c *channel) view(look func(occupants)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	look(c.occupants)
}

// deliver takes what the broker brings. A message that is next goes to the
// live members, one that was given out already to nobody. It tells whether
// messages are missing before this one, which the log must give.
func (c *channel) deliver(e Envelope) (missing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Seq == 0 {
		c.send(e.frame(), e.Except)
		return false
	}
	if c.opened && e.Epoch != c.position.Epoch { // the log says what is true
		missing, c.advancing = !c.advancing, true
		return missing
	}
	c.hinted = max(c.hinted, e.Seq)
	if !c.opened { // whoever opens it looks at hinted
		return false
	}
	if e.Seq == c.position.Seq+1 {
		c.sendLive(e.Seq, e.frame(), e.Except)
	}
	return c.startAdvancing()
}

// startAdvancing tells whether the caller is to see to it that the channel
// reads what it has not been given. The caller holds mu.
func (c *channel) startAdvancing() bool {
	if c.advancing || c.hinted <= c.position.Seq {
		return false
	}
	c.advancing = true
	return true
}

// apply gives a page of the log to the live members, the senders too: a page can
// overtake the ack of a message that is in it. It tells whether the channel has
// reached the end of the page's channel.
func (c *channel) apply(page *Page) (reached bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch page.Epoch {
	case c.position.Epoch:
	case "": // forgotten; the next message begins it anew
		return true
	default:
		c.restart(page.Epoch)
		return false
	}
	for i := range page.Messages {
		m := &page.Messages[i]
		if m.Seq <= c.position.Seq {
			continue
		}
		if m.Seq > c.position.Seq+1 { // the log has trimmed what is between
			c.skip(m.Seq - 1)
		}
		c.sendLive(m.Seq, m.frame(), "")
	}
	if !page.More && page.Head > c.position.Seq {
		c.skip(page.Head) // and nothing is left of it
	}
	return !page.More
}

// restart begins the channel anew, as the log has done after it had forgotten
// the channel. The members are told, and are live again. The caller holds mu.
func (c *channel) restart(epoch string) {
	c.position.Epoch = epoch
	c.hinted = 0
	for _, m := range c.members {
		m.live = true
	}
	c.skip(0)
}

// skip moves on to seq past messages that are lost to the members, and tells
// the live ones; who is behind finds out by itself. The caller holds mu.
func (c *channel) skip(seq int64) {
	c.position.Seq = seq
	for s, m := range c.members {
		if m.live {
			s.push(s.lost(c, c.position, nil))
		}
	}
}
