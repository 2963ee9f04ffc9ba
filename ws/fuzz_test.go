package ws

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	wire "github.com/gobwas/ws"
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
		frame, err := new(frameParser).parseText(raw)
		if err != nil {
			told, internal := AsError(err)
			if internal || told.Code == "" || told.Message == "" {
				t.Fatalf("%q is refused with %v", raw, err)
			}
		} else {
			if !json.Valid(raw) || depth(raw) > maxDepth {
				t.Fatalf("%q is taken", raw)
			}
			for _, into := range []any{&channelFields{}, &map[string]json.RawMessage{}} {
				if err := frame.Decode(into); err != nil {
					if told, internal := AsError(err); internal || told.Code != CodeBadFrame {
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

// Whatever bytes a client sends, reading them comes to an end, within the
// limit, and with an error that tells whose fault it was.
func FuzzFrameReader(f *testing.F) {
	for _, seed := range [][]byte{
		{0x81, 0x82, 1, 2, 3, 4, 5, 6}, {0x01, 0x80, 0, 0, 0, 0, 0x80, 0x80, 0, 0, 0, 0}, {0x88, 0x80, 0, 0, 0, 0},
		{0x88, 0x82, 0, 0, 0, 0, 3, 0xe8}, {0x89, 0x81, 0, 0, 0, 0, 1}, {0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0}, {0x81, 0xff, 0x80}, {0xc1, 0x80}, {0x81, 0x01},
	} {
		f.Add(seed)
	}
	const limit = 100
	f.Fuzz(func(t *testing.T, sent []byte) {
		var in *inbox
		r := frameReader{limit: limit}
		for len(sent) > 0 {
			piece := sent[:min(len(sent), 1+int(sent[0])%7)] // as the network cuts it
			sent = sent[len(piece):]
			r.begin(in, piece)
			if !takeFrames(t, &r, limit) {
				return
			}
			in = r.end()
			if in != nil && (len(in.rest) > limit+wire.MaxHeaderSize+128 || len(in.message) > limit) {
				t.Fatalf("%d and %d bytes are kept", len(in.rest), len(in.message))
			}
		}
	})
}

// takeFrames tells whether more may come.
func takeFrames(t *testing.T, r *frameReader, limit int) bool {
	for range len(r.fresh) + 1 {
		opcode, payload, err := r.next()
		var bye *goodbye
		var broken *protocolError
		switch {
		case err == nil && opcode == noFrame:
			return true
		case err == nil:
			if opcode.IsReserved() || len(payload) > limit && opcode.IsData() || len(payload) > 125 && opcode.IsControl() {
				t.Fatalf("opcode %x with %d bytes", opcode, len(payload))
			}
		case errors.As(err, &bye):
			if bye.code < 1000 || bye.code == 1005 || bye.code == 1006 || bye.code == 1015 || bye.code > 4999 {
				t.Fatalf("it says goodbye with %d", bye.code)
			}
			return false
		case errors.As(err, &broken):
			if broken.code != CloseProtocol && broken.code != CloseTooBig || broken.reason == "" {
				t.Fatal(err)
			}
			return false
		default:
			t.Fatal(err)
		}
	}
	t.Fatal("there are more frames than bytes")
	return false
}

func FuzzParseChannel(f *testing.F) {
	for _, seed := range []string{"lobby", "room:42", "user:ABC", "a:b:c", "", ":", "room:", "Room:1", "room:*", "room:../x", "room:ế", "a\x00b", strings.Repeat("x", 256)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		namespace, rest, err := ParseChannel(name)
		if err != nil {
			if told, internal := AsError(err); internal || told.Message == "" {
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
