package ws

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParseFrame(f *testing.F) {
	for _, seed := range []string{
		`{"type":"chat","message":"xin chào"}`, `{"type":"ping","id":1}`, `{"id":"a\"b","type":"subscribe","channel":"room:1"}`,
		`{"type":5}`, `{"type":"x","id":{}}`, `[]`, `null`, `"`, ``, `{"type":"ping"}{}`, strings.Repeat("[", 100), `{"type":"a","type":"b"}`,
		`{"id":-1.5e9,"type":"ping"}`, `{"type":"\ud800"}`, " \n{\"type\":\"ping\"}\t",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !utf8.Valid(raw) {
			t.Skip("a text frame that is not UTF-8 never gets here")
		}
		frame, err := parseFrame(raw)
		if err != nil {
			told, internal := asError(err)
			if internal || told.Code == "" || told.Message == "" {
				t.Fatalf("%q is refused with %v", raw, err)
			}
		} else {
			if !json.Valid(raw) || depth(raw) > maxDepth {
				t.Fatalf("%q is taken", raw)
			}
			for _, into := range []any{&channelFields{}, &map[string]json.RawMessage{}} {
				if err := frame.Decode(into); err != nil {
					if told, internal := asError(err); internal || told.Code != CodeBadFrame {
						t.Fatalf("%q: decoding fails with %v", raw, err)
					}
				}
			}
		}
		// Whatever came in, what goes out is JSON, and the id comes back.
		reply := encode(errorFrame{Type: TypeError, Code: "x", Message: frame.Type, ID: frame.ID})
		var out struct{ ID json.RawMessage }
		if err := json.Unmarshal(reply, &out); err != nil {
			t.Fatalf("the reply to %q is %q: %v", raw, reply, err)
		}
		if len(frame.ID) > maxID {
			t.Fatalf("an id of %d bytes", len(frame.ID))
		}
	})
}

func FuzzParseChannel(f *testing.F) {
	for _, seed := range []string{"lobby", "room:42", "user:ABC", "a:b:c", "", ":", "room:", "Room:1", "room:*", "room:../x", "room:ế", "a\x00b", strings.Repeat("x", 256)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		namespace, rest, err := ParseChannel(name)
		if err != nil {
			if told, internal := asError(err); internal || told.Message == "" {
				t.Fatalf("%q is refused with %v", name, err)
			}
			return
		}
		again := namespace
		if rest != "" {
			again += ":" + rest
		}
		if again != name || len(name) > maxChannel {
			t.Fatalf("%q is taken as %q and %q", name, namespace, rest)
		}
		for _, r := range name {
			if r <= ' ' || r > '~' || strings.ContainsRune(`*/\"'<>%?#&`, r) {
				t.Fatalf("%q is taken", name)
			}
		}
	})
}
