package ws

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// Frame is one object that a client sent.
type Frame struct {
	Type string
	// ID is the client's own mark, as JSON; empty where it gave none. Exactly
	// one reply carries it.
	ID json.RawMessage
	// Binary tells that the frame is a binary one: Payload is what followed its
	// JSON header.
	Binary  bool
	Payload []byte

	raw []byte
}

// Decode reads the frame's fields into v as encoding/json does. What does not
// fit is an *Error that names the field.
func (f Frame) Decode(v any) error { return decodeJSON(f.raw, v) }

// parseFrame reads the part that all frames share. The frame that comes back
// with an error carries the ID where there was one, for the reply.
func parseFrame(raw []byte) (Frame, error) {
	f := Frame{raw: raw}
	if firstByte(raw) != '{' && json.Valid(raw) {
		return f, badFrame("a frame must be a JSON object")
	}
	var head struct {
		Type json.RawMessage `json:"type"`
		ID   json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(raw, &head); err != nil { // it bounds the depth of what it looks at itself
		return f, badFrame("the frame is not JSON")
	}
	if err := f.takeID(head.ID); err != nil {
		return f, err
	}
	if err := CheckDepth(raw); err != nil {
		return f, err
	}
	if len(head.Type) == 0 {
		return f, &Error{Code: CodeUnknownType, Message: `the frame has no "type"`}
	}
	if err := json.Unmarshal(head.Type, &f.Type); err != nil {
		return f, badFrame("type must be a string")
	}
	return f, nil
}

func (f *Frame) takeID(id json.RawMessage) error {
	switch first := firstByte(id); {
	case first == 0 || first == 'n': // absent or null
		return nil
	case first == '"' || first == '-' || first >= '0' && first <= '9':
		if len(id) > maxID {
			return badFrame(fmt.Sprintf("id is longer than %d bytes", maxID))
		}
		f.ID = id
		return nil
	default:
		return badFrame("id must be a string or a number")
	}
}

func decodeJSON(raw []byte, v any) error {
	err := json.Unmarshal(raw, v)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return badFrame(fmt.Sprintf("%s must be %s", wrong.Field, jsonKind(wrong)))
	default:
		return badFrame("the frame is not JSON")
	}
}

// jsonKind names what a field should have been, in JSON's words.
func jsonKind(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	default:
		return "a whole number"
	}
}

// CheckDepth answers an *Error where JSON nests deeper than a frame may.
func CheckDepth(raw []byte) error {
	if depth(raw) > maxDepth {
		return badFrame(fmt.Sprintf("the JSON is nested deeper than %d levels", maxDepth))
	}
	return nil
}

// depth is how deep brackets nest in JSON text.
func depth(raw []byte) int {
	deepest, now, inString := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch b := raw[i]; {
		case inString:
			if b == '\\' {
				i++
			} else if b == '"' {
				inString = false
			}
		case b == '"':
			inString = true
		case b == '{' || b == '[':
			now++
			deepest = max(deepest, now)
		case b == '}' || b == ']':
			now--
		}
	}
	return deepest
}

// firstByte is the first that is not white space, or 0.
func firstByte(raw []byte) byte {
	for _, b := range raw {
		if b != ' ' && b != '\t' && b != '\r' && b != '\n' {
			return b
		}
	}
	return 0
}
