package ws

import (
	"context"
	"fmt"
	"strings"

	"github.com/gatecast/gatecast/auth"
)

// Publish sends m to everyone in its channel but this connection, from the
// session's user, and waits until it is stored where the channel has a history.
// Its errors are what a Handler returns: an *Error where rules, hook or limits
// of size refuse, or one of the Log's.
func (s *Session) Publish(ctx context.Context, m Message) (Receipt, error) {
	m.Sender = s.sender()
	return s.hub.publishAndWait(ctx, s.Claims(), m)
}

// Publish sends m to everyone in its channel, from the bearer of claims, who
// has no connection here. It is Session.Publish for REST.
func (h *Hub) Publish(ctx context.Context, claims auth.Claims, m Message) (Receipt, error) {
	m.Sender = Sender{UserID: claims.Subject, Username: claims.Username}
	return h.publishAndWait(ctx, claims, m)
}

// MayPublish answers nil where rules let the bearer of claims publish in a
// channel, and otherwise an *Error.
func (h *Hub) MayPublish(channel string, claims auth.Claims) error {
	return h.opts.Rules.Allow(ActionPublish, channel, claims)
}

func (h *Hub) publishAndWait(ctx context.Context, claims auth.Claims, m Message) (Receipt, error) {
	type outcome struct {
		receipt Receipt
		err     error
	}
	stored := make(chan outcome, 1)
	err := h.publish(ctx, claims, m, func(r Receipt, err error) { stored <- outcome{r, err} })
	if err != nil {
		return Receipt{}, err
	}
	select {
	case o := <-stored:
		return o.receipt, o.err
	case <-ctx.Done():
		return Receipt{}, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}

// publish answers a frame that publishes: with an ack, where one is wanted,
// once the message is stored, or with an error. It does not wait for that, so
// that one client's messages can share a commit.
func (s *Session) publish(ctx context.Context, f Frame, ack bool, m Message) error {
	m.Sender = s.sender()
	if err := s.answers.add(ctx); err != nil {
		return err
	}
	err := s.hub.publish(ctx, s.Claims(), m, func(r Receipt, err error) {
		defer s.answers.done()
		switch {
		case err != nil:
			s.refuse(f, inChannel(err, m.Channel))
		case ack:
			s.ack(ackFrame{id: f.ID, channel: m.Channel, seq: r.Seq, timestamp: timestamp(r.Time), duplicate: r.Duplicate})
		}
	})
	if err != nil {
		s.answers.done()
	}
	return err
}

func (s *Session) ack(a ackFrame) { s.push(a.frame()) }

// publish checks the right to send, has m stored where its channel has a
// history, calls done and hands m to the broker. done is not called where
// publish fails.
func (h *Hub) publish(ctx context.Context, claims auth.Claims, m Message, done func(Receipt, error)) error {
	if m.Event == "" {
		m.Event = DefaultEvent
	}
	if err := checkMarks(m); err != nil {
		return err
	}
	if err := h.MayPublish(m.Channel, claims); err != nil {
		return err
	}
	if hook := h.opts.Hooks.Publish; hook != nil {
		if err := hook(ctx, claims, m); err != nil {
			return err
		}
	}
	if h.opts.Rules.History(m.Channel).Keeps() {
		return inChannel(h.store(m, done), m.Channel)
	}
	m.Time = h.opts.Now()
	if err := h.broadcast(ctx, m.envelope(Position{})); err != nil {
		return err
	}
	done(Receipt{Time: m.Time}, nil)
	return nil
}

// store appends m to the log. Once m is there, the members on this node get it
// before its sender gets the ack, and other nodes hear of it last: a sender that
// subscribes just then is either excepted from m and acked behind its subscribed
// frame, or finds m in the log.
func (h *Hub) store(m Message, done func(Receipt, error)) error {
	return h.opts.Log.Append(m, func(r Receipt, err error) {
		if err != nil || r.Duplicate {
			done(r, err)
			return
		}
		m.Seq, m.Time = r.Seq, r.Time
		e := m.envelope(r.Position)
		h.deliver(e)
		done(r, nil)
		if err := h.broadcast(context.Background(), e); err != nil {
			h.opts.Logger.Error("other nodes were not told of a message", "channel", m.Channel, "seq", m.Seq, "error", err)
		}
	})
}

// envelope is m on its way to its channel.
func (m *Message) envelope(at Position) Envelope {
	return Envelope{Channel: m.Channel, Position: at, Except: m.Sender.ClientID, Binary: m.Binary, Payload: m.payload()}
}

func (h *Hub) broadcast(ctx context.Context, e Envelope) error {
	if err := h.opts.Broker.Publish(ctx, e); err != nil {
		return fmt.Errorf("ws: publishing: %w", err)
	}
	return nil
}

// broadcast sends a frame that is not kept to everyone in a channel but this
// connection.
func (s *Session) broadcast(ctx context.Context, channel string, payload []byte) error {
	return s.hub.broadcast(ctx, Envelope{Channel: channel, Except: s.clientID, Payload: payload})
}

// checkMarks holds the names that travel with a message to their bounds. A NUL
// cannot be stored in every database.
func checkMarks(m Message) error {
	switch {
	case len(m.Event) > maxEvent:
		return badFrame(fmt.Sprintf("event is longer than %d bytes", maxEvent))
	case len(m.Key) > maxKey:
		return badFrame(fmt.Sprintf("key is longer than %d bytes", maxKey))
	case strings.ContainsRune(m.Event, 0) || strings.ContainsRune(m.Key, 0):
		return badFrame("event and key must not hold a NUL character")
	}
	return nil
}

// inChannel names the channel in what a client is told of the log's errors.
func inChannel(err error, channel string) error {
	if err == nil {
		return nil
	}
	told, internal := AsError(err)
	if internal {
		return err
	}
	located := *told
	located.Channel = channel
	return &located
}
