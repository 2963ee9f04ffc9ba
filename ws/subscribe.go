package ws

import (
	"context"
	"encoding/json"
	"fmt"

	wire "github.com/gobwas/ws"
)

// subscribe joins a channel for the client, where rules, hook and limit let it.
func (s *Session) subscribe(ctx context.Context, name string, id json.RawMessage) error {
	if err := s.maySubscribe(ctx, name); err != nil {
		return err
	}
	if c := s.channels[name]; c != nil { // again: answer with what is there
		c.view(s.subscribed(name, id))
		return nil
	}
	if limit := s.hub.opts.Subscriptions; limit > 0 && len(s.channels) >= limit {
		return &Error{Code: CodeSubscriptionLimit, Channel: name, Message: fmt.Sprintf("a socket may be subscribed to %d channels; leave one first", limit)}
	}
	s.join(name, id)
	return nil
}

// maySubscribe asks the rules and the hook.
func (s *Session) maySubscribe(ctx context.Context, name string) error {
	if err := s.hub.opts.Rules.Allow(ActionSubscribe, name, s.claims); err != nil {
		return err
	}
	if hook := s.hub.opts.Hooks.Subscribe; hook != nil {
		return hook(ctx, s, name)
	}
	return nil
}

// join enters a channel and answers subscribed.
func (s *Session) join(name string, id json.RawMessage) {
	if s.channels[name] != nil { // named twice in AutoSubscribe
		return
	}
	c := s.hub.enter(name)
	s.channels[name] = c
	c.join(s, s.crossing(TypeUserJoined, name), s.subscribed(name, id))
}

// subscribed makes the function that answers subscribed.
func (s *Session) subscribed(name string, id json.RawMessage) func(occupants) {
	return func(o occupants) {
		frame := subscribedFrame{Type: TypeSubscribed, ID: id, Channel: name}
		if err := s.hub.opts.Rules.Allow(ActionPresence, name, s.claims); err == nil {
			list := o.list(s.hub.opts.DetailMax)
			frame.Presence = &list
		}
		s.send(frame)
	}
}

// part leaves a channel and tells whether the session was in it.
func (s *Session) part(name string) bool {
	c := s.channels[name]
	if c == nil {
		return false
	}
	delete(s.channels, name)
	c.leave(s, s.crossing(TypeUserLeft, name))
	s.hub.leave(c)
	return true
}

func (s *Session) leaveAll() {
	for name := range s.channels {
		s.part(name)
	}
}

// crossing is user_joined or user_left of this session's user.
func (s *Session) crossing(frameType, channel string) []byte {
	verb := "joined"
	if frameType == TypeUserLeft {
		verb = "left"
	}
	return wireFrame(wire.OpText, encode(crossingFrame{
		Type: frameType, Channel: channel, sender: s.sender(),
		Message:   fmt.Sprintf("%s %s %s", s.claims.Username, verb, channel),
		Timestamp: timestamp(s.hub.opts.Now()),
	}))
}
