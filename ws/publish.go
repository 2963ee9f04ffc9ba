package ws

import (
	"context"
	"fmt"
)

// publication is a message of this session's user on its way out.
type publication struct {
	Message
	key     string
	at      timestamp
	payload func() []byte // the frame that others get
	ack     bool          // tell the sender that it is done
}

// publish checks the right to send, hands the message to the broker and acks.
func (s *Session) publish(ctx context.Context, f Frame, p publication) error {
	opts := &s.hub.opts
	if len(p.key) > maxKey {
		return badFrame(fmt.Sprintf("key is longer than %d bytes", maxKey))
	}
	if err := opts.Rules.Allow(ActionPublish, p.Channel, s.claims); err != nil {
		return err
	}
	if hook := opts.Hooks.Publish; hook != nil {
		if err := hook(ctx, s, p.Message); err != nil {
			return err
		}
	}
	if err := opts.Broker.Publish(ctx, Envelope{Channel: p.Channel, Except: s.clientID, Payload: p.payload()}); err != nil {
		return fmt.Errorf("ws: publishing: %w", err)
	}
	if p.ack {
		s.send(replyFrame{Type: TypeAck, ID: f.ID, Channel: p.Channel, Timestamp: p.at})
	}
	return nil
}
