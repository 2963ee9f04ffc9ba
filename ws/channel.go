package ws

import (
	"iter"
	"slices"
	"sync"
)

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

	entered int // sessions that are in or about to be; guarded by Hub.mu

	opening sync.Mutex // held by the one who asks the log where the channel is

	mu        sync.Mutex // guards the rest, and gives a channel's frames one order
	opened    bool       // position is known; always so without history
	position  Position
	hinted    int64 // the highest number that the broker has told of
	advancing bool  // a goroutine of the hub reads what the broker lost
	crowd     *crowd

	parts []*part // by shard; nil where the channel has nobody; changed under the shard's mu too
}

func (h *Hub) newChannel(name string) *channel {
	keeps := h.opts.Rules.History(name).Keeps()
	return &channel{
		name: name, keeps: keeps, opened: !keeps,
		crowd: newCrowd(name, h.opts.DetailMax, h.opts.Now()),
		parts: make([]*part, len(h.shards)),
	}
}

// add makes s a member, live or behind, and tells the others at once where s is
// its user's first connection here and they are few. The caller holds mu.
func (c *channel) add(s *Session, live bool) *member {
	if c.crowd.enter(s.user()) {
		c.send(s.crossing(TypeUserJoined, c.name), nil)
	}
	s.hub().noteCrowd(c)
	m := &member{session: s, channel: c, live: live, seesPresence: s.may(ActionPresence, c.name)}
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c.parts[sh.number] == nil {
		c.parts[sh.number] = &part{shard: sh}
	}
	c.parts[sh.number].put(m)
	s.members = append(s.members, m)
	sh.hub.subscriptions.Add(1)
	return m
}

// remove takes m out, and tells the others at once where m was its user's last
// connection here and they are few.
func (c *channel) remove(m *member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := m.session
	m.leave()
	if c.crowd.exit(s.bearer.Load().Subject()) {
		c.send(s.crossing(TypeUserLeft, c.name), nil)
	}
	s.hub().noteCrowd(c)
}

// leave takes m from its part and its session. The caller holds the channel's mu.
func (m *member) leave() {
	s := m.session
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.settle(m) // what does not fit is lost with the membership
	m.gone = true
	m.channel.parts[s.shard.number].pull(m)
	i := slices.Index(s.members, m)
	s.members = slices.Delete(s.members, i, i+1)
	s.hub().subscriptions.Add(-1)
}

// setLive has m get every message as it comes, or wait until it has caught up.
// The caller holds the channel's mu.
func (m *member) setLive(live bool) {
	if m.live == live {
		return
	}
	s := m.session
	s.shard.mu.Lock()
	fits := s.settle(m)
	p := m.channel.parts[s.shard.number]
	p.pull(m)
	m.live = live
	p.put(m)
	s.shard.mu.Unlock()
	if !fits {
		s.tooSlow()
	}
}

// send sends a frame to all but the connection except. The caller holds mu.
func (c *channel) send(frame []byte, except *Session) { c.give(frame, except, true) }

// sendLive sends a stored message's frame to all that are live, but for the
// connection except, and moves on to its number. The caller holds mu.
func (c *channel) sendLive(seq int64, frame []byte, except *Session) {
	c.position.Seq = seq
	c.give(frame, except, false)
}

func (c *channel) give(frame []byte, except *Session, toAll bool) {
	for _, p := range c.parts {
		if p == nil {
			continue
		}
		for _, s := range p.give(frame, except, toAll) {
			s.tooSlow()
		}
	}
}

// full answers nil where no part has more than limit bytes pending, and
// otherwise what is closed when it is worth another look.
func (c *channel) full(limit int) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.parts {
		if p == nil {
			continue
		}
		if room := p.wait(limit); room != nil {
			return room
		}
	}
	return nil
}

// liveMembers are all of them, of all parts. The caller holds mu.
func (c *channel) liveMembers() iter.Seq[*member] {
	return func(yield func(*member) bool) {
		for _, p := range c.parts {
			if p == nil {
				continue
			}
			for _, m := range p.members {
				if !yield(m) {
					return
				}
			}
		}
	}
}

// connection is the session of that client ID that is a member here, or nil. The
// caller holds mu.
func (c *channel) connection(clientID string) *Session {
	if clientID == "" {
		return nil
	}
	for _, p := range c.parts {
		if p == nil {
			continue
		}
		for _, list := range [...][]*member{p.members, p.behind} {
			for _, m := range list {
				if m.session.clientID == clientID {
					return m.session
				}
			}
		}
	}
	return nil
}

// place is the channel's position.
func (c *channel) place() Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position
}

// deliver takes what the broker brings. A message that is next goes to the
// live members, one that was given out already to nobody. It tells whether
// messages are missing before this one, which the log must give.
func (c *channel) deliver(e Envelope) (missing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sender := e.sender
	if sender == nil {
		sender = c.connection(e.Except)
	}
	if e.Seq == 0 {
		c.send(e.frame(), sender)
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
		c.sendLive(e.Seq, e.frame(), sender)
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
		c.sendLive(m.Seq, m.frame(), nil)
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
	for _, p := range c.parts {
		if p != nil {
			for _, m := range slices.Clone(p.behind) {
				m.setLive(true)
			}
		}
	}
	c.skip(0)
}

// skip moves on to seq past messages that are lost to the members, and tells
// the live ones; who is behind finds out by itself. The caller holds mu.
func (c *channel) skip(seq int64) {
	c.position.Seq = seq
	for m := range c.liveMembers() {
		m.session.push(m.session.lost(c, c.position, nil))
	}
}
