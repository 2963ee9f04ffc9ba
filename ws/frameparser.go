package ws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	wire "github.com/gobwas/ws"
)

// lenient leaves it to who gets the data what names stand in it twice, and what
// escapes mean nothing. Of our own names the last one counts.
var lenient = jsonv2.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// frameParser reads frames in one pass, whatever their type. It is reused, and
// what it gives is good until the next frame.
type frameParser struct {
	source  bytes.Reader
	decoder jsontext.Decoder
	members []jsonMember
}

// jsonMember is a member of an object; value is a part of the object's text.
type jsonMember struct {
	name  string
	value json.RawMessage
}

// parse reads a message: a JSON object, or a binary frame that begins with one.
func (p *frameParser) parse(opcode wire.OpCode, message []byte) (Frame, error) {
	if opcode == wire.OpText {
		return p.parseText(message)
	}
	header, payload, err := splitBinary(message)
	if err != nil {
		return Frame{}, err
	}
	if !utf8.Valid(header) { // its id goes back in a text frame
		return Frame{}, badFrame("the header of a binary frame must be UTF-8")
	}
	frame, err := p.parseText(header)
	frame.Binary, frame.Payload = true, payload
	if told, _ := AsError(err); err != nil && told.Code == CodeUnknownType && frame.Type == "" {
		frame.Type, err = TypePublish, nil // what a binary frame is for
	}
	return frame, err
}

// parseText reads the part that all frames share. The frame that comes back with
// an error carries the ID where there was one, for the reply.
func (p *frameParser) parseText(raw []byte) (Frame, error) {
	f := Frame{raw: raw}
	isObject, err := p.read(raw)
	switch {
	case err != nil:
		return f, badFrame("the frame is not JSON")
	case !isObject:
		return f, badFrame("a frame must be a JSON object")
	}
	f.members = p.members
	if err := f.takeID(f.value("id")); err != nil {
		return f, err
	}
	if err := CheckDepth(raw); err != nil {
		return f, err
	}
	if f.value("type") == nil {
		return f, &Error{Code: CodeUnknownType, Message: `the frame has no "type"`}
	}
	f.Type, err = f.text("type")
	return f, err
}

// read takes the members of an object. It fails on what is not JSON.
func (p *frameParser) read(raw []byte) (isObject bool, err error) {
	p.members = p.members[:0]
	p.source.Reset(raw)
	p.decoder.Reset(&p.source, lenient)
	isObject = p.decoder.PeekKind() == '{'
	if !isObject {
		_, err = p.decoder.ReadValue()
	} else if err = p.readMembers(raw); err == nil {
		_, err = p.decoder.ReadToken()
	}
	if err != nil {
		return isObject, err
	}
	if _, err := p.decoder.ReadToken(); err != io.EOF {
		return isObject, fmt.Errorf("something follows: %w", err)
	}
	return isObject, nil
}

func (p *frameParser) readMembers(raw []byte) error {
	if _, err := p.decoder.ReadToken(); err != nil {
		return err
	}
	for p.decoder.PeekKind() == '"' {
		name, err := p.decoder.ReadValue()
		if err != nil {
			return err
		}
		m := jsonMember{name: p.name(name)}
		value, err := p.decoder.ReadValue()
		if err != nil {
			return err
		}
		end := int(p.decoder.InputOffset())
		m.value = raw[end-len(value) : end : end]
		p.members = append(p.members, m)
	}
	return nil
}

// name takes no memory for the names that our frames have.
func (*frameParser) name(quoted jsontext.Value) string {
	for _, known := range [...]string{"type", "id", "channel", "data", "message", "key", "event", "isTyping"} {
		if len(quoted) == len(known)+2 && string(quoted[1:len(quoted)-1]) == known {
			return known
		}
	}
	return unquote(json.RawMessage(quoted))
}

// value is the JSON of a member, or nil where there is none; the last one counts.
func (f *Frame) value(name string) json.RawMessage {
	for _, m := range slices.Backward(f.members) {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// text is a member that must be a string where it is there; null is as good as
// nothing.
func (f *Frame) text(name string) (string, error) {
	switch value := f.value(name); firstByte(value) {
	case 0, 'n':
		return "", nil
	case '"':
		return unquote(value), nil
	default:
		return "", badFrame(name + " must be a string")
	}
}

// textInto is where a member that is text goes.
type textInto struct {
	name string
	into *string
}

// texts reads members as text does.
func (f *Frame) texts(members ...textInto) (err error) {
	for _, m := range members {
		if *m.into, err = f.text(m.name); err != nil {
			return err
		}
	}
	return nil
}

// unquote is the string that a JSON string means.
func unquote(value json.RawMessage) string {
	if inner := value[1 : len(value)-1]; isPlain(inner) {
		return string(inner)
	}
	text, _ := jsontext.AppendUnquote(nil, value) // what escapes mean nothing becomes U+FFFD
	return string(text)
}
