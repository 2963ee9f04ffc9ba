package ws

import "context"

// Handler does what a frame asks. An *Error that it returns is told to the
// client; any other error is logged and told as unavailable. It runs on the
// session's reader, one frame at a time.
type Handler func(ctx context.Context, s *Session, f Frame) error

// FrameType is what the Hub knows of a type of frame.
type FrameType struct {
	Cost      float64 // tokens of the message bucket
	Forgiving bool    // too many of them are refused and not counted against the socket
	Binary    bool    // may come in a binary frame
	Handle    Handler
}

// protocolFrames is the table of all frames that clients send.
func protocolFrames() map[string]FrameType {
	return map[string]FrameType{
		TypeSubscribe:   {Cost: costMessage, Handle: handleSubscribe},
		TypeUnsubscribe: {Cost: costMessage, Handle: handleUnsubscribe},
		TypePublish:     {Cost: costMessage, Binary: true, Handle: handlePublish},
		TypeChat:        {Cost: costMessage, Handle: handleChat},
		TypeTyping:      {Cost: costTyping, Handle: handleTyping},
		TypePresence:    {Cost: costMessage, Handle: handlePresence},
		TypeHistory:     {Cost: costMessage, Handle: handleHistory},
		TypeRefresh:     {Cost: costMessage, Handle: handleRefresh},
		TypePing:        {Cost: costPing, Forgiving: true, Handle: handlePing},
	}
}

type channelFields struct {
	Channel string `json:"channel"`
}

func handleUnsubscribe(_ context.Context, s *Session, f Frame) error {
	var in channelFields
	if err := f.decode(&in); err != nil {
		return err
	}
	if _, _, err := ParseChannel(in.Channel); err != nil {
		return err
	}
	m := s.member(in.Channel)
	if m == nil {
		return &Error{Code: CodeNotSubscribed, Channel: in.Channel, Message: "this socket is not subscribed to the channel"}
	}
	s.unsubscribe(m)
	s.send(replyFrame{Type: TypeUnsubscribed, ID: f.ID, Channel: in.Channel})
	return nil
}

func handleChat(ctx context.Context, s *Session, f Frame) error {
	m := Message{Event: TypeChat, Data: f.value("message")}
	if err := f.texts(textInto{"channel", &m.Channel}, textInto{"key", &m.Key}); err != nil {
		return err
	}
	switch first := firstByte(m.Data); {
	case first == 0 || first == 'n' || string(m.Data) == `""`:
		return badFrame("message is required")
	case first != '"':
		return badFrame("message must be a string")
	}
	if m.Channel == "" {
		m.Channel = DefaultChannel
	}
	// The tutorials' clients give no id and know no ack.
	return s.publish(ctx, f, len(f.ID) > 0, m)
}

func handlePublish(ctx context.Context, s *Session, f Frame) error {
	m := Message{Data: f.value("data")}
	if err := f.texts(textInto{"channel", &m.Channel}, textInto{"event", &m.Event}, textInto{"key", &m.Key}); err != nil {
		return err
	}
	switch {
	case f.Binary && m.Data != nil:
		return badFrame("a binary frame has its data behind the header, not in it")
	case f.Binary:
		m.Binary, m.Data = true, f.Payload
	case m.Data == nil:
		return badFrame("data is required")
	}
	return s.publish(ctx, f, true, m)
}

func handleTyping(ctx context.Context, s *Session, f Frame) error {
	var in struct {
		Channel  string `json:"channel"`
		IsTyping *bool  `json:"isTyping"`
	}
	if err := f.decode(&in); err != nil {
		return err
	}
	if in.IsTyping == nil {
		return badFrame("isTyping is required")
	}
	if in.Channel == "" {
		in.Channel = DefaultChannel
	}
	if err := s.hub().opts.Rules.Allow(ActionPublish, in.Channel, s.Claims()); err != nil {
		return err
	}
	at := timestamp(s.hub().opts.Now())
	err := s.broadcast(ctx, in.Channel, encode(typingFrame{
		Type: TypeTyping, Channel: in.Channel, Sender: s.sender(), IsTyping: *in.IsTyping, Timestamp: at,
	}))
	if err == nil && len(f.ID) > 0 {
		s.ack(ackFrame{id: f.ID, channel: in.Channel, timestamp: at})
	}
	return err
}

func handlePing(_ context.Context, s *Session, f Frame) error {
	s.send(replyFrame{Type: TypePong, ID: f.ID, Timestamp: timestamp(s.hub().opts.Now())})
	return nil
}
