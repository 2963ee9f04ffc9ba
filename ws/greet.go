package ws

import "fmt"

// greet welcomes the client and joins the channels that all join. It tells
// whether the client was let in.
func (s *Session) greet() bool {
	if hook := s.hub().opts.Hooks.Connect; hook != nil {
		if err := hook(s.lifetime(), s); err != nil {
			s.turnAway(err)
			return false
		}
	}
	s.send(s.welcome())
	for _, name := range s.hub().opts.AutoSubscribe {
		// A rule or hook may keep this user out of a channel that others join.
		if err := s.subscribe(s.lifetime(), subscription{Channel: name}); err != nil {
			s.missOut(name, err)
		}
	}
	return true
}

// turnAway closes a session that the Connect hook refused: for good where the
// hook says so in an *Error, and otherwise to try again later.
func (s *Session) turnAway(err error) {
	told, internal := AsError(err)
	if internal {
		s.hub().opts.Logger.Error("connect hook failed", "client", s.clientID, "user", s.bearer.Load().Subject(), "error", err)
		s.Close(CloseTryLater, told.Message)
		return
	}
	s.Close(CloseForbidden, told.Message)
}

// missOut is for a channel that all join and this session could not.
func (s *Session) missOut(channel string, err error) {
	if told, internal := AsError(err); internal && s.lifetime().Err() == nil {
		s.hub().opts.Logger.Error("a session could not join", "channel", channel, "client", s.clientID, "error", err)
		s.Close(CloseTryLater, told.Message)
	}
}

func (s *Session) welcome() welcomeFrame {
	o := &s.hub().opts
	return welcomeFrame{
		Type: TypeWelcome, Sender: s.sender(),
		Message:     fmt.Sprintf("Welcome, %s!", s.Claims().Username),
		ExpiresAt:   timestamp(s.Claims().ExpiresAt),
		HeartbeatMs: o.PingInterval.Milliseconds(),
		Limits: limits{
			MessageBytes: o.MessageBytes, Subscriptions: o.Subscriptions,
			Messages: messageRate{Rate: o.Messages.PerSecond, Burst: o.Messages.Burst},
		},
	}
}
