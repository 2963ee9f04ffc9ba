package ws

import (
	"context"
	"encoding/json"
	"fmt"

	wire "github.com/gobwas/ws"
)

// subscription is what a client asks for with subscribe.
type subscription struct {
	Channel string    `json:"channel"`
	Since   *Position `json:"since"` // what it has already
	Last    *int      `json:"last"`  // or how many of the newest messages it wants

	id json.RawMessage
}

// beginning is where a subscription starts: at a position, with the messages
// that lead up to it.
type beginning struct {
	Position
	recovered *bool // nil where since was not given
	messages  []Message
}

func handleSubscribe(ctx context.Context, s *Session, f Frame) error {
	in := subscription{id: f.ID}
	if err := f.decode(&in); err != nil {
		return err
	}
	switch {
	case in.Since != nil && in.Last != nil:
		return badFrame("give since or last, not both")
	case in.Since != nil && (in.Since.Epoch == "" || in.Since.Seq < 0):
		return badFrame("since must hold epoch and seq, as subscribed gave them")
	case in.Last != nil && *in.Last < 0:
		return badFrame("last must not be negative")
	}
	return s.subscribe(ctx, in)
}

// subscribe joins a channel for the client, where rules, hook and limit let it.
// Subscribing again begins again.
func (s *Session) subscribe(ctx context.Context, in subscription) error {
	if err := s.maySubscribe(ctx, in.Channel); err != nil {
		return err
	}
	if in.Since != nil || in.Last != nil {
		if err := s.hub().opts.Rules.Allow(ActionRead, in.Channel, s.Claims()); err != nil {
			return err
		}
	}
	if m := s.member(in.Channel); m != nil {
		return s.begin(ctx, m.channel, in)
	}
	if limit := s.hub().opts.Subscriptions; limit > 0 && len(s.members) >= limit {
		return &Error{Code: CodeSubscriptionLimit, Channel: in.Channel, Message: fmt.Sprintf("a socket may be subscribed to %d channels; leave one first", limit)}
	}
	c, err := s.hub().enter(ctx, in.Channel)
	if err != nil {
		return err
	}
	if err := s.begin(ctx, c, in); err != nil {
		s.hub().leave(c)
		return err
	}
	return nil
}

// maySubscribe asks the rules and the hook.
func (s *Session) maySubscribe(ctx context.Context, name string) error {
	if err := s.hub().opts.Rules.Allow(ActionSubscribe, name, s.Claims()); err != nil {
		return err
	}
	if hook := s.hub().opts.Hooks.Subscribe; hook != nil {
		return hook(ctx, s, name)
	}
	return nil
}

// begin answers subscribed and makes the session a member, or the member that
// it is begin again. On an error nothing has changed.
func (s *Session) begin(ctx context.Context, c *channel, in subscription) error {
	for {
		from, err := s.hub().find(ctx, c, in)
		if err != nil {
			return err
		}
		if len(from.messages) > 0 {
			if err := s.await(ctx, s.hub().roomBytes()); err != nil {
				return err
			}
		}
		if s.enterAt(c, in, from) {
			return nil
		}
	}
}

// enterAt makes the session a member at from and answers the client. It fails
// where the channel has begun anew meanwhile.
func (s *Session) enterAt(c *channel, in subscription, from beginning) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from.Epoch != c.position.Epoch {
		return false
	}
	live := from.Seq == c.position.Seq
	m := s.member(c.name)
	if m == nil {
		m = c.add(s, live)
	}
	s.push(s.subscribed(c, in, from))
	m.seq = from.Seq
	m.setLive(live)
	if !live {
		s.follow(m)
	}
	return true
}

// subscribed is the answer. The caller holds the channel's mu.
func (s *Session) subscribed(c *channel, in subscription, from beginning) []byte {
	frame := subscribedFrame{Type: TypeSubscribed, ID: in.id, Channel: c.name, Recovered: from.recovered}
	if c.keeps && s.may(ActionRead, c.name) { // who cannot come back for more is not told where it is
		frame.Position = &from.Position
	}
	var presence []byte
	if s.may(ActionPresence, c.name) {
		presence = c.crowd.first()
	}
	const presenceName = `,"presence":`
	b := openFrame(frame, len(presenceName)+len(presence)+sizeOf(from.messages)+1)
	if presence != nil {
		b = append(append(b, presenceName...), presence...)
	}
	if in.Since != nil || in.Last != nil {
		b = appendMessageList(b, from.messages)
	}
	return seal(wire.OpText, append(b, '}'))
}

func (s *Session) may(action Action, channel string) bool {
	return s.hub().opts.Rules.Allow(action, channel, s.Claims()) == nil
}

// find looks where a subscription begins. It never is ahead of the channel.
func (h *Hub) find(ctx context.Context, c *channel, in subscription) (beginning, error) {
	at := c.place()
	switch {
	case in.Since == nil && in.Last == nil:
		return beginning{Position: at}, nil
	case !c.keeps && in.Last != nil:
		return beginning{}, nil
	case !c.keeps:
		return beginning{recovered: new(bool)}, nil
	case in.Last != nil:
		page, err := h.newest(ctx, c, at, *in.Last)
		return beginning{Position: at, messages: page}, err
	}
	from, ok, err := h.recover(ctx, c, *in.Since)
	if ok || err != nil {
		return from, err
	}
	at = c.place()
	page, err := h.newest(ctx, c, at, PageMax)
	return beginning{Position: at, recovered: new(bool), messages: page}, err
}

// recover gives what follows since, or not ok where that is not all there any
// more or never was.
func (h *Hub) recover(ctx context.Context, c *channel, since Position) (from beginning, ok bool, err error) {
	recovered := true
	if since.Seq > c.place().Seq {
		// Whoever saw a message stored can be ahead of what the broker has told.
		if err := h.advance(ctx, c); err != nil {
			return beginning{}, false, err
		}
	}
	at := c.place()
	switch {
	case since.Epoch != at.Epoch || since.Seq > at.Seq:
		return beginning{}, false, nil
	case since.Seq == at.Seq:
		return beginning{Position: at, recovered: &recovered}, true, nil
	}
	page, err := h.pages.between(ctx, c.name, since.Seq, at.Seq)
	if err != nil {
		return beginning{}, false, err
	}
	if page.Epoch != at.Epoch || !page.follows(since.Seq) {
		return beginning{}, false, nil
	}
	at.Seq = page.Messages[len(page.Messages)-1].Seq
	return beginning{Position: at, recovered: &recovered, messages: page.Messages}, true, nil
}

// follows tells whether the page begins right behind seq.
func (p *Page) follows(seq int64) bool { return len(p.Messages) > 0 && p.Messages[0].Seq == seq+1 }

// newest is the last messages up to a position, limit of them at most.
func (h *Hub) newest(ctx context.Context, c *channel, at Position, limit int) ([]Message, error) {
	if limit == 0 {
		return nil, nil
	}
	page, err := h.pages.newest(ctx, c.name, at.Seq, min(limit, PageMax))
	if err != nil {
		return nil, err
	}
	return page.Messages, nil
}

// member is the session's place in a channel, or nil. The reader calls it.
func (s *Session) member(channel string) *member {
	for _, m := range s.members {
		if m.channel.name == channel {
			return m
		}
	}
	return nil
}

// unsubscribe leaves a channel.
func (s *Session) unsubscribe(m *member) {
	m.channel.remove(m)
	s.hub().leave(m.channel)
}

func (s *Session) leaveAll() {
	for len(s.members) > 0 {
		s.unsubscribe(s.members[0])
	}
}

// crossing is user_joined or user_left of this session's user.
func (s *Session) crossing(frameType, channel string) []byte {
	verb := "joined"
	if frameType == TypeUserLeft {
		verb = "left"
	}
	return wireFrame(wire.OpText, encode(crossingFrame{
		Type: frameType, Channel: channel, Sender: s.sender(),
		Message:   fmt.Sprintf("%s %s %s", s.Claims().Username, verb, channel),
		Timestamp: timestamp(s.hub().opts.Now()),
	}))
}
