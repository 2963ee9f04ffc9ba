package ws

import (
	"errors"
	"fmt"
	"unicode/utf8"

	wire "github.com/gobwas/ws"
)

// receive handles one message.
func (s *Session) receive(opcode wire.OpCode, payload []byte) {
	if opcode == wire.OpText && !utf8.Valid(payload) {
		s.Close(CloseInvalidText, "a text frame must be UTF-8")
		return
	}
	parser := s.hub().parsers.Get().(*frameParser)
	defer s.hub().parsers.Put(parser)
	frame, err := parser.parse(opcode, payload)
	frameType, known := s.hub().frames[frame.Type]
	if !known {
		frameType.Cost = costMessage
		if err == nil {
			err = &Error{Code: CodeUnknownType, Message: fmt.Sprintf("there is no frame type %.64q", frame.Type)}
		}
	}
	if err == nil && frame.Binary && !frameType.Binary {
		err = badFrame(fmt.Sprintf("%.64q is not taken in a binary frame; send it as JSON in a text frame", frame.Type))
	}
	if refusal := s.admit(frameType, len(payload)); refusal != nil {
		err = refusal
	}
	if err == nil {
		err = frameType.Handle(s.lifetime(), s, frame)
	}
	if err != nil {
		s.refuse(frame, err)
	}
}

// refuse tells the client why its frame was not handled.
func (s *Session) refuse(f Frame, err error) {
	if s.closing.Load() && errors.Is(err, errFinished) || s.isFinished() {
		return // nobody reads it, and the end of the session is what err tells of
	}
	told, internal := AsError(err)
	if internal {
		s.hub().opts.Logger.Error("frame handler failed", "type", f.Type, "client", s.clientID, "user", s.bearer.Load().Subject(), "error", err)
	}
	s.hub().counts.refuse(told.Code)
	s.send(errorFrame{
		Type: TypeError, Code: told.Code, Message: told.Message, ID: f.ID, Channel: told.Channel,
		RetryAfterMs: told.RetryAfter.Milliseconds(),
	})
}

func (s *Session) isFinished() bool {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	return s.finished
}
