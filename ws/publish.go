package ws

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// Publish sends m to everyone in its channel but this connection, from the
// session's user, and waits until it is stored where the channel has a history.
// Its errors are what a Handler returns: an *Error where rules, hook or limits
// of size refuse, or one of the Log's.
func (s *Session) Publish(ctx context.Context, m Message) (Receipt, error) {
	m.Sender = s.sender()
	return s.hub().publishAndWait(ctx, s.Claims(), publication{Message: m, from: s})
}

// Publish sends m to everyone in its channel, from the bearer of claims, who
// has no connection here. It is Session.Publish for REST.
func (h *Hub) Publish(ctx context.Context, claims auth.Claims, m Message) (Receipt, error) {
	m.Sender = Sender{UserID: claims.Subject, Username: claims.Username}
	return h.publishAndWait(ctx, claims, publication{Message: m})
}

// MayPublish answers nil where rules let the bearer of claims publish in a
// channel, and otherwise an *Error.
func (h *Hub) MayPublish(channel string, claims auth.Claims) error {
	return h.opts.Rules.Allow(ActionPublish, channel, claims)
}

// publication is a message on its way to its channel.
type publication struct {
	Message
	from  *Session      // nil where it came over REST
	began time.Duration // on the hub's clock
}

func (h *Hub) publishAndWait(ctx context.Context, claims auth.Claims, p publication) (Receipt, error) {
	type outcome struct {
		receipt Receipt
		err     error
	}
	stored := make(chan outcome, 1)
	err := h.publish(ctx, claims, p, func(r Receipt, err error) { stored <- outcome{r, err} })
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
	owed := false
	defer func() {
		if !owed { // refused, or a hook has panicked
			s.answers.done()
		}
	}()
	id, frameType, channel := f.ID, f.Type, m.Channel // all that is kept until the answer
	err := s.hub().publish(ctx, s.Claims(), publication{Message: m, from: s}, func(r Receipt, err error) {
		defer s.answers.done()
		switch {
		case err != nil:
			s.refuse(Frame{Type: frameType, ID: id}, inChannel(err, channel))
		case ack:
			s.ack(ackFrame{id: id, channel: channel, seq: r.Seq, timestamp: timestamp(r.Time), duplicate: r.Duplicate})
		}
	})
	owed = err == nil
	return err
}

func (s *Session) ack(a ackFrame) { s.push(a.frame()) }

// publish checks the right to send, has p stored where its channel has a
// history, calls done and hands p to the broker. done is not called where
// publish fails.
func (h *Hub) publish(ctx context.Context, claims auth.Claims, p publication, done func(Receipt, error)) error {
	p.began = h.elapsed()
	if p.Event == "" {
		p.Event = DefaultEvent
	}
	if err := checkMarks(p.Message); err != nil {
		return err
	}
	if err := h.MayPublish(p.Channel, claims); err != nil {
		return err
	}
	if hook := h.opts.Hooks.Publish; hook != nil {
		if err := hook(ctx, claims, p.Message); err != nil {
			return err
		}
	}
	if err := h.awaitRoom(ctx, p.Channel); err != nil {
		return err
	}
	if h.opts.Rules.History(p.Channel).Keeps() {
		return inChannel(h.store(p, done), p.Channel)
	}
	p.Time = h.opts.Now()
	if err := h.broadcast(ctx, p.envelope(Position{})); err != nil {
		return err
	}
	h.published(p)
	h.answer(p, Receipt{Time: p.Time}, nil, done)
	return nil
}

// store appends p to the log. Once it is there, the members on this node get it
// before its sender gets the ack, and other nodes hear of it last: a sender that
// subscribes just then is either excepted from it and acked behind its subscribed
// frame, or finds it in the log.
func (h *Hub) store(p publication, done func(Receipt, error)) error {
	return h.opts.Log.Append(p.Message, func(r Receipt, err error) {
		if err != nil || r.Duplicate {
			h.answer(p, r, err, done)
			return
		}
		p.Seq, p.Time = r.Seq, r.Time
		e := p.envelope(r.Position)
		h.deliver(e)
		h.published(p)
		h.answer(p, r, nil, done)
		if err := h.broadcast(context.Background(), e); err != nil {
			h.opts.Logger.Error("other nodes were not told of a message", "channel", p.Channel, "seq", p.Seq, "error", err)
		}
	})
}

func (h *Hub) published(p publication) { h.opts.Observer.Published(h.elapsed() - p.began) }

func (h *Hub) answer(p publication, r Receipt, err error, done func(Receipt, error)) {
	done(r, err)
	h.opts.Observer.Acked(h.elapsed() - p.began)
}

// envelope is p for its channel.
func (p *publication) envelope(at Position) Envelope {
	whole := p.frame()
	return Envelope{
		Channel: p.Channel, Position: at, Except: p.Sender.ClientID,
		Binary: p.Binary, Payload: payloadOf(whole),
		sender: p.from, whole: whole,
	}
}

// awaitRoom waits until little enough is pending in a channel. So one who
// publishes faster than the shards write is held up, and one channel brings nobody
// more in a round than a part of what their queue has room for. What waits for
// those who read too slowly is not counted: nobody waits for them.
func (h *Hub) awaitRoom(ctx context.Context, channel string) error {
	c := h.channel(channel)
	if c == nil {
		return nil
	}
	for room := c.full(h.roomBytes()); room != nil; room = c.full(h.roomBytes()) {
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
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
	return s.hub().broadcast(ctx, Envelope{Channel: channel, Except: s.clientID, Payload: payload, sender: s})
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
