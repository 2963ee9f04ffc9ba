package ws

import "slices"

// part is those members of a channel that are in one shard. What the channel
// says is put into pending once for all of them.
//
// members, behind and what they hold change under both the channel's mu and the
// shard's, so either is enough to read them.
type part struct {
	// static after construction
	shard *shard

	// guarded by the channel's mu and the shard's
	members []*member // that are live
	behind  []*member // that are not

	// guarded by the shard's mu
	pending []byte        // whole frames, for the next round; nobody changes what is in it
	queued  bool          // it is in shard.parts
	room    chan struct{} // closed when pending has been taken; nil while nobody waits
}

// member is one session's place in a channel.
type member struct {
	// static after construction
	session      *Session
	channel      *channel
	seesPresence bool // no newer token changes that

	// guarded as the part's lists are
	live  bool // gets every message as it comes
	gone  bool
	index int32 // in the part's list

	offset int   // into part.pending: what is before it is not for this member; guarded by the shard's mu
	seq    int64 // what it has, while it is not live; guarded by the channel's mu
}

// list is where m is to stand. The caller holds the shard's mu.
func (p *part) list(m *member) *[]*member {
	if m.live {
		return &p.members
	}
	return &p.behind
}

// put takes m in: nothing that is pending already is for it. The caller holds
// the channel's mu and the shard's.
func (p *part) put(m *member) {
	list := p.list(m)
	m.offset, m.index = len(p.pending), int32(len(*list))
	*list = append(*list, m)
}

// pull takes m out. The caller has settled it, and holds the channel's mu and
// the shard's.
func (p *part) pull(m *member) {
	list := p.list(m)
	last := len(*list) - 1
	moved := (*list)[last]
	(*list)[m.index], moved.index = moved, m.index
	*list = slices.Delete(*list, last, last+1)
}

// give puts a frame into pending for all members but the connection except, and
// with toAll for those that are behind too. It answers the sessions whose queue
// has run over. The caller holds the channel's mu.
func (p *part) give(frame []byte, except *Session, toAll bool) (tooSlow []*Session) {
	sh := p.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sender, given := p.of(except), len(p.members)
	if sender != nil && sender.live {
		given--
		if !except.settle(sender) {
			tooSlow = append(tooSlow, except)
		}
	}
	if given > 0 {
		p.append(frame)
	}
	if sender != nil && sender.live {
		sender.offset = len(p.pending)
	}
	if toAll {
		for _, m := range p.behind {
			if m == sender {
				continue
			}
			given++
			if !m.session.queue(frame, true) {
				tooSlow = append(tooSlow, m.session)
			}
		}
	}
	sh.deliveries += uint64(given)
	sh.delivered += uint64(given * len(frame))
	return tooSlow
}

// tell gives the members what each of them may know of the crowd. It answers the
// sessions whose queue has run over. The caller holds the channel's mu.
func (p *part) tell(b bulletin) (tooSlow []*Session) {
	sh := p.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	most, apart := p.mostSee(), []*member(nil)
	for _, m := range p.members {
		if m.seesPresence == most {
			continue
		}
		if apart = append(apart, m); !m.session.settle(m) {
			tooSlow = append(tooSlow, m.session)
		}
	}
	if len(apart) < len(p.members) {
		for _, frame := range b.of(most) {
			p.append(frame)
		}
	}
	for _, m := range apart {
		m.offset = len(p.pending)
	}
	for _, m := range append(apart, p.behind...) {
		for _, frame := range b.of(m.seesPresence) {
			if !m.session.queue(frame, true) {
				tooSlow = append(tooSlow, m.session)
			}
		}
	}
	return tooSlow
}

// mostSee tells whether most of the live members may see presence. What most are
// told is shared, and the others have a copy each. The caller holds the shard's mu.
func (p *part) mostSee() bool {
	seeing := 0
	for _, m := range p.members {
		if m.seesPresence {
			seeing++
		}
	}
	return 2*seeing >= len(p.members)
}

// append has the worker come by for a frame. The caller holds the shard's mu.
func (p *part) append(frame []byte) {
	if p.pending == nil {
		p.pending = p.shard.buffer()
	}
	p.pending = append(p.pending, frame...)
	if !p.queued {
		p.queued = true
		p.shard.parts = append(p.shard.parts, p)
		p.shard.wakeUp()
	}
}

// of is the session's member here, or nil. The caller holds the shard's mu.
func (p *part) of(s *Session) *member {
	if s == nil || s.shard != p.shard {
		return nil
	}
	for _, m := range s.members {
		if m.channel.parts[s.shard.number] == p {
			return m
		}
	}
	return nil
}

// take empties pending. The caller holds the shard's mu.
func (p *part) take() []byte {
	taken := p.pending
	p.pending, p.queued = nil, false
	if p.room != nil {
		close(p.room)
		p.room = nil
	}
	return taken
}

// wait gives nil where no more than limit bytes are pending, and otherwise what
// is closed when it is worth another look.
func (p *part) wait(limit int) <-chan struct{} {
	p.shard.mu.Lock()
	defer p.shard.mu.Unlock()
	if len(p.pending) <= limit {
		return nil
	}
	if p.room == nil {
		p.room = make(chan struct{})
	}
	return p.room
}
