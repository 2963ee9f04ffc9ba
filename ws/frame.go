package ws

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
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

	raw     []byte
	members []jsonMember // of raw; good until the Handler returns
}

// Decode reads the frame's fields into v as encoding/json does, whatever the case of
// their names. What does not fit is an *Error that names the field.
func (f Frame) Decode(v any) error {
	return decodeJSON(f.raw, v, jsonv2.JoinOptions(lenient, jsonv2.MatchCaseInsensitiveNames(true)))
}

// decode is Decode for the protocol's own frames, whose names are in camelCase and
// nothing else.
func (f Frame) decode(v any) error { return decodeJSON(f.raw, v, lenient) }

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

func decodeJSON(raw []byte, v any, how jsonv2.Options) error {
	err := jsonv2.Unmarshal(raw, v, how)
	var wrong *jsonv2.SemanticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		field := strings.ReplaceAll(strings.TrimPrefix(string(wrong.JSONPointer), "/"), "/", ".")
		return badFrame(fmt.Sprintf("%s must be %s", field, jsonKind(wrong.GoType)))
	default:
		return badFrame("the frame is not JSON")
	}
}

// jsonKind names what a field should have been, in JSON's words.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
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
