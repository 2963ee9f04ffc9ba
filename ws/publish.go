package ws

import (
	"context"
	"fmt"
)

// Message is something that a session's user publishes.
type Message struct {
	Channel string
	Event   string // at most 64 bytes; empty is DefaultEvent
	Data    []byte // JSON, relayed byte for byte
	Key     string // the client's own mark, at most 128 bytes; may be empty
}

// Publish sends m to everyone in its channel but this connection, as a message
// frame from the session's user. Its errors are what a Handler returns: an
// *Error where rules, hook or limits of size refuse.
func (s *Session) Publish(ctx context.Context, m Message) error {
	_, err := s.publishMessage(ctx, m)
	return err
}

func (s *Session) publishMessage(ctx context.Context, m Message) (timestamp, error) {
	if m.Event == "" {
		m.Event = DefaultEvent
	}
	if len(m.Event) > maxEvent {
		return timestamp{}, badFrame(fmt.Sprintf("event is longer than %d bytes", maxEvent))
	}
	return s.publish(ctx, m, func(at timestamp) []byte {
		return withData(encode(messageFrame{
			Type: TypeMessage, Channel: m.Channel, Event: m.Event, sender: s.sender(), Timestamp: at, Key: m.Key,
		}), m.Data)
	})
}

// publish checks the right to send and hands the frame that others get to the
// broker. It answers the message's time.
func (s *Session) publish(ctx context.Context, m Message, frame func(at timestamp) []byte) (timestamp, error) {
	opts := &s.hub.opts
	at := timestamp(opts.Now())
	if len(m.Key) > maxKey {
		return at, badFrame(fmt.Sprintf("key is longer than %d bytes", maxKey))
	}
	if err := opts.Rules.Allow(ActionPublish, m.Channel, s.claims); err != nil {
		return at, err
	}
	if hook := opts.Hooks.Publish; hook != nil {
		if err := hook(ctx, s, m); err != nil {
			return at, err
		}
	}
	return at, s.broadcast(ctx, m.Channel, frame(at))
}

// broadcast sends a frame to everyone in a channel but this connection.
func (s *Session) broadcast(ctx context.Context, channel string, frame []byte) error {
	err := s.hub.opts.Broker.Publish(ctx, Envelope{Channel: channel, Except: s.clientID, Payload: frame})
	if err != nil {
		return fmt.Errorf("ws: publishing: %w", err)
	}
	return nil
}
