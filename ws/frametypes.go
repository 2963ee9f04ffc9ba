package ws

import (
	"context"
	"encoding/json"
)

// Handler does what a frame asks. An *Error that it returns is told to the
// client; any other error is logged and told as unavailable. It runs on the
// session's reader, one frame at a time.
type Handler func(ctx context.Context, s *Session, f Frame) error

// FrameType is what the Hub knows of a type of frame.
type FrameType struct {
	Cost      float64 // tokens of the message bucket
	Forgiving bool    // too many of them are refused and not counted against the socket
	Handle    Handler
}

// protocolFrames is the table of all frames that clients send.
func protocolFrames() map[string]FrameType {
	return map[string]FrameType{
		TypeSubscribe:   {Cost: costMessage, Handle: handleSubscribe},
		TypeUnsubscribe: {Cost: costMessage, Handle: handleUnsubscribe},
		TypePublish:     {Cost: costMessage, Handle: handlePublish},
		TypeChat:        {Cost: costMessage, Handle: handleChat},
		TypeTyping:      {Cost: costTyping, Handle: handleTyping},
		TypePresence:    {Cost: costMessage, Handle: handlePresence},
		TypePing:        {Cost: costPing, Forgiving: true, Handle: handlePing},
	}
}

type channelFields struct {
	Channel string `json:"channel"`
}

func handleSubscribe(ctx context.Context, s *Session, f Frame) error {
	var in channelFields
	if err := f.Decode(&in); err != nil {
		return err
	}
	return s.subscribe(ctx, in.Channel, f.ID)
}

func handleUnsubscribe(_ context.Context, s *Session, f Frame) error {
	var in channelFields
	if err := f.Decode(&in); err != nil {
		return err
	}
	if _, _, err := ParseChannel(in.Channel); err != nil {
		return err
	}
	if !s.part(in.Channel) {
		return &Error{Code: CodeNotSubscribed, Channel: in.Channel, Message: "this socket is not subscribed to the channel"}
	}
	s.send(replyFrame{Type: TypeUnsubscribed, ID: f.ID, Channel: in.Channel})
	return nil
}

func handleChat(ctx context.Context, s *Session, f Frame) error {
	var in struct {
		Channel string  `json:"channel"`
		Message *string `json:"message"`
		Key     string  `json:"key"`
	}
	if err := f.Decode(&in); err != nil {
		return err
	}
	if in.Message == nil || *in.Message == "" {
		return badFrame("message is required")
	}
	if in.Channel == "" {
		in.Channel = DefaultChannel
	}
	message := Message{Channel: in.Channel, Event: TypeChat, Data: encode(*in.Message), Key: in.Key}
	at, err := s.publish(ctx, message, func(at timestamp) []byte {
		return encode(chatFrame{
			Type: TypeChat, Channel: in.Channel, sender: s.sender(), Message: *in.Message, Timestamp: at, Key: in.Key,
		})
	})
	if err == nil && len(f.ID) > 0 { // the tutorials' clients give no id and know no ack
		s.ack(f, in.Channel, at)
	}
	return err
}

func handlePublish(ctx context.Context, s *Session, f Frame) error {
	var in struct {
		Channel string          `json:"channel"`
		Event   string          `json:"event"`
		Data    json.RawMessage `json:"data"`
		Key     string          `json:"key"`
	}
	if err := f.Decode(&in); err != nil {
		return err
	}
	if len(in.Data) == 0 {
		return badFrame("data is required")
	}
	at, err := s.publishMessage(ctx, Message{Channel: in.Channel, Event: in.Event, Data: in.Data, Key: in.Key})
	if err == nil {
		s.ack(f, in.Channel, at)
	}
	return err
}

func handleTyping(ctx context.Context, s *Session, f Frame) error {
	var in struct {
		Channel  string `json:"channel"`
		IsTyping *bool  `json:"isTyping"`
	}
	if err := f.Decode(&in); err != nil {
		return err
	}
	if in.IsTyping == nil {
		return badFrame("isTyping is required")
	}
	if in.Channel == "" {
		in.Channel = DefaultChannel
	}
	if err := s.hub.opts.Rules.Allow(ActionPublish, in.Channel, s.claims); err != nil {
		return err
	}
	at := timestamp(s.hub.opts.Now())
	err := s.broadcast(ctx, in.Channel, encode(typingFrame{
		Type: TypeTyping, Channel: in.Channel, sender: s.sender(), IsTyping: *in.IsTyping, Timestamp: at,
	}))
	if err == nil && len(f.ID) > 0 {
		s.ack(f, in.Channel, at)
	}
	return err
}

func handlePresence(_ context.Context, s *Session, f Frame) error {
	var in channelFields
	if err := f.Decode(&in); err != nil {
		return err
	}
	if err := s.hub.opts.Rules.Allow(ActionPresence, in.Channel, s.claims); err != nil {
		return err
	}
	s.send(presenceFrame{Type: TypePresence, ID: f.ID, Channel: in.Channel, Presence: s.hub.Presence(in.Channel)})
	return nil
}

func (s *Session) ack(f Frame, channel string, at timestamp) {
	s.send(replyFrame{Type: TypeAck, ID: f.ID, Channel: channel, Timestamp: at})
}

func handlePing(_ context.Context, s *Session, f Frame) error {
	s.send(replyFrame{Type: TypePong, ID: f.ID, Timestamp: timestamp(s.hub.opts.Now())})
	return nil
}
