package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
)

// Everything wrong that a frame can be is answered in words, carries the id
// where it could be read, and leaves the socket as it was.
func TestBadFrames(t *testing.T) {
	s := start(t)
	alice, bob := s.join("alice"), s.join("bob")
	nested := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, row := range []struct{ name, text, code, says string }{
		{"malformed JSON", `{"type":`, "bad_frame", "not JSON"},
		{"no JSON", `hello`, "bad_frame", "not JSON"},
		{"empty", ``, "bad_frame", "not JSON"},
		{"an array", `[{"type":"chat"}]`, "bad_frame", "object"},
		{"a string", `"chat"`, "bad_frame", "object"},
		{"null", `null`, "bad_frame", "object"},
		{"trailing data", `{"type":"ping"} {}`, "bad_frame", "not JSON"},
		{"a byte order mark", "\ufeff" + `{"type":"ping"}`, "bad_frame", "not JSON"},
		{"type is a number", `{"id":1,"type":5}`, "bad_frame", "type must be a string"},
		{"no type", `{"id":1}`, "unknown_type", "no \"type\""},
		{"unknown type", `{"id":1,"type":"shout"}`, "unknown_type", `"shout"`},
		{"a long unknown type", `{"id":1,"type":"` + strings.Repeat("\u007f", 60000) + `"}`, "unknown_type", "no frame type"},
		{"a type that only the server sends", `{"id":1,"type":"welcome"}`, "unknown_type", `"welcome"`},
		{"id is an object", `{"id":{},"type":"ping"}`, "bad_frame", "id must be"},
		{"id is true", `{"id":true,"type":"ping"}`, "bad_frame", "id must be"},
		{"a long id", `{"id":"` + strings.Repeat("x", 64) + `","type":"ping"}`, "bad_frame", "id is longer"},
		{"message is a number", `{"id":1,"type":"chat","message":42}`, "bad_frame", "message must be a string"},
		{"no message", `{"id":1,"type":"chat"}`, "bad_frame", "message is required"},
		{"message is null", `{"id":1,"type":"chat","message":null}`, "bad_frame", "message is required"},
		{"message is empty", `{"id":1,"type":"chat","message":""}`, "bad_frame", "message is required"},
		{"isTyping is a string", `{"id":1,"type":"typing","isTyping":"yes"}`, "bad_frame", "isTyping must be true or false"},
		{"no isTyping", `{"id":1,"type":"typing"}`, "bad_frame", "isTyping is required"},
		{"no channel", `{"id":1,"type":"subscribe"}`, "bad_frame", "channel is required"},
		{"channel is a number", `{"id":1,"type":"subscribe","channel":1}`, "bad_frame", "channel must be a string"},
		{"unsubscribe without a channel", `{"id":1,"type":"unsubscribe"}`, "bad_frame", "channel is required"},
		{"presence without a channel", `{"id":1,"type":"presence"}`, "bad_frame", "channel is required"},
		{"publish without a channel", `{"id":1,"type":"publish","data":1}`, "bad_frame", "channel is required"},
		{"publish without data", `{"id":1,"type":"publish","channel":"lobby"}`, "bad_frame", "data is required"},
		{"a long event", `{"id":1,"type":"publish","channel":"lobby","data":1,"event":"` + strings.Repeat("e", 65) + `"}`, "bad_frame", "event is longer"},
		{"a long key", `{"id":1,"type":"chat","message":"x","key":"` + strings.Repeat("k", 129) + `"}`, "bad_frame", "key is longer"},
		{"a channel with a space", `{"id":1,"type":"subscribe","channel":"room:a b"}`, "bad_channel", "letters"},
		{"a channel with markup", `{"id":1,"type":"subscribe","channel":"room:<b>"}`, "bad_channel", "letters"},
		{"a channel with a slash", `{"id":1,"type":"subscribe","channel":"room:../x"}`, "bad_channel", "letters"},
		{"a channel with NUL", `{"id":1,"type":"subscribe","channel":"room:\u0000"}`, "bad_channel", "letters"},
		{"a channel with a star", `{"id":1,"type":"subscribe","channel":"room:*"}`, "bad_channel", "letters"},
		{"a channel without a rest", `{"id":1,"type":"subscribe","channel":"room:"}`, "bad_channel", "letters"},
		{"a channel without a namespace", `{"id":1,"type":"subscribe","channel":":42"}`, "bad_channel", "letters"},
		{"a namespace in upper case", `{"id":1,"type":"subscribe","channel":"Room:42"}`, "bad_channel", "letters"},
		{"a channel of 256 bytes", `{"id":1,"type":"subscribe","channel":"room:` + strings.Repeat("x", 251) + `"}`, "bad_channel", "255 bytes"},
		{"chat to a bad channel", `{"id":1,"type":"chat","message":"x","channel":"no way"}`, "bad_channel", "letters"},
		{"100 levels", `{"id":1,"type":"publish","channel":"lobby","data":` + nested + `}`, "bad_frame", "32 levels"},
	} {
		t.Run(row.name, func(t *testing.T) {
			alice.t = t
			alice.send(row.text)
			f := alice.until("error")
			if f.str("code") != row.code || !strings.Contains(f.str("message"), row.says) || len(f.str("message")) > 512 {
				t.Errorf("%v, want %s %q", f, row.code, row.says)
			}
			if strings.Contains(row.text, `"id":1,`) && f.str("id") != "1" {
				t.Errorf("the error does not carry the id: %v", f)
			}
		})
	}
	alice.t = t
	// L7: the limits themselves pass.
	for _, text := range []string{
		`{"id":1,"type":"subscribe","channel":"room:` + strings.Repeat("x", 250) + `"}`,
		`{"id":2,"type":"publish","channel":"lobby","data":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`,
		`{"id":3,"type":"chat","message":"` + strings.Repeat("x", 65536-len(`{"id":3,"type":"chat","message":""}`)) + `"}`,
	} {
		if f := alice.ask(text); f.str("type") == "error" {
			t.Errorf("%.80s is refused: %v", text, f)
		}
	}
	for _, row := range []struct{ frame, code, says string }{
		{"", "bad_frame", "binary"},
		{"\x00\x00", "bad_frame", "binary"},
		{"\x00\x00\x00\x03{}", "bad_frame", "longer than the frame"},
		{"\xff\xff\xff\xff{}", "bad_frame", "longer than the frame"},
		{"\x00\x00\x00\x00", "bad_frame", "not JSON"},
		{"\x00\x00\x00\x02[]", "bad_frame", "object"},
		{"\x00\x00\x00\x02{}data", "bad_frame", "channel"},
		{"\x00\x00\x00\x0f{\"type\":\"chat\"}data", "bad_frame", "binary"},
		{"\x00\x00\x00\x0f{\"type\":\"dice\"}data", "unknown_type", "dice"},
		{"\x00\x00\x00\x1c{\"channel\":\"lobby\",\"data\":1}data", "bad_frame", "data behind"},
		{"\x00\x00\x00\x0a{\"id\":\"\xff\"}data", "bad_frame", "UTF-8"},
	} {
		if err := alice.conn.WriteMessage(websocket.BinaryMessage, []byte(row.frame)); err != nil {
			t.Fatal(err)
		}
		if f := alice.until("error"); f.str("code") != row.code || !strings.Contains(f.str("message"), row.says) {
			t.Errorf("binary %q: %v", row.frame, f)
		}
	}
	// Nothing of all that was refused reached anyone, and the socket still works.
	alice.send(`{"type":"chat","message":"still here"}`)
	for i, want := range []string{"message", "chat", "chat"} { // the two at the limit, and the last
		f := bob.next()
		if f.str("type") != want || (f.str("message") == "still here") != (i == 2) {
			t.Errorf("bob got %.200v", f)
		}
	}
}

// The fields that only matter where they are used may hold anything.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	s := start(t)
	alice := s.join("alice")
	if f := alice.ask(fmt.Sprintf(`{"id":"a","type":"chat","message":"x","username":{"deep":%s},"color":1}`, `[1,2,[3]]`)); f.str("type") != "ack" {
		t.Errorf("%v", f)
	}
}
