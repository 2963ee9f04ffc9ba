package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
)

// post publishes over REST.
func (s *server) post(token, channel, body string, header ...string) answer {
	s.t.Helper()
	return s.do("POST", "/channels/"+channel+"/messages", body, append(header, "Authorization", "Bearer "+token)...)
}

// get is a GET with a token.
func (s *server) get(token, path string) answer {
	s.t.Helper()
	return s.do("GET", path, "", "Authorization", "Bearer "+token)
}

// subscribe joins a channel.
func (p *peer) subscribe(channel string) {
	p.t.Helper()
	if f := p.ask(fmt.Sprintf(`{"type":"subscribe","id":"join %s","channel":%q}`, channel, channel)); f.str("type") != "subscribed" {
		p.t.Fatalf("%s may not join %s: %v", p.name, channel, f)
	}
}

// textOf is the next frame of a type, as it came.
func (p *peer) textOf(frameType string) string {
	p.t.Helper()
	for {
		if text := p.text(); strings.Contains(text, `"type":"`+frameType+`"`) {
			return text
		}
	}
}

var receiptPattern = regexp.MustCompile(`^\{("seq":\d+,)?"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","duplicate":(true|false)\}$`)

// What is posted is stored, told by its number, and reaches everyone in the
// channel, the sender's own sockets too, byte for byte.
func TestPostIsRelayedByteForByte(t *testing.T) {
	s := start(t)
	alice, bob := s.join("alice"), s.join("bob")
	alice.subscribe("room:1")
	bob.subscribe("room:1")
	data := `{ "b" : 1.0, "a":[1e3, "\u00e9é<>&\/", null],` + "\n\t" + `"twice":1,"twice":2 }`
	a := s.post(s.token("alice"), "room:1", `{"event":"move", "data": `+data+" }\n")
	if a.status != http.StatusCreated || !receiptPattern.MatchString(a.body) || a.field("seq") != "1" || a.field("duplicate") != "false" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	want := fmt.Sprintf(`{"type":"message","channel":"room:1","seq":1,"event":"move","userId":"ID-alice","username":"alice","timestamp":%q,"data":%s}`, a.field("timestamp"), data)
	for _, p := range []*peer{alice, bob} {
		if got := p.textOf("message"); got != want {
			t.Errorf("%s got\n%s, want\n%s", p.name, got, want)
		}
	}
	if a := s.get(s.token("bob"), "/channels/room:1/messages"); !strings.HasPrefix(a.body, `{"messages":[`+want+`],"epoch":"`) || !strings.HasSuffix(a.body, `","more":false}`) || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("history is %v\n%s", a.header, a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" { // H5
		t.Errorf("headers %v", a.header)
	}
}

// A chat that is posted is a chat on the socket.
func TestPostedChat(t *testing.T) {
	s := start(t)
	bob := s.join("bob")
	a := s.post(s.token("alice"), "lobby", `{"event":"chat","data":"Xin chào"}`)
	if f := bob.until("chat"); a.status != 201 || f.str("message") != "Xin chào" || f.str("username") != "alice" || f.str("seq") != "1" {
		t.Errorf("%d %s, and bob got %v", a.status, a.body, f)
	}
	if a := s.get(s.token("bob"), "/channels/lobby/messages"); !strings.Contains(a.body, `"type":"chat"`) {
		t.Errorf("history is %s", a.body)
	}
	// What is no text is no chat.
	s.post(s.token("alice"), "lobby", `{"event":"chat","data":{"text":"Xin chào"}}`)
	if f := bob.until("message"); f.str("event") != "chat" {
		t.Errorf("bob got %v", f)
	}
}

// Bytes come in as base64 and go out as a binary frame, and the other way
// round.
func TestBinaryOverREST(t *testing.T) {
	s := start(t)
	bob := s.join("bob")
	bob.subscribe("room:1")
	var raw [256]byte
	for i := range raw {
		raw[i] = byte(i)
	}
	inBase64 := base64.StdEncoding.EncodeToString(raw[:])
	a := s.post(s.token("alice"), "room:1", fmt.Sprintf(`{"event":"chat","encoding":"base64","data":%q}`, inBase64))
	if a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if f := bob.until("message"); f["payload"] != string(raw[:]) || f.str("event") != "chat" || f.str("userId") != "ID-alice" || f.str("seq") != "1" || f["data"] != nil {
		t.Errorf("bob got %v", f)
	}
	header := `{"channel":"room:1","event":"sample","id":"b"}`
	message := append(binary.BigEndian.AppendUint32(nil, uint32(len(header))), header...)
	if err := bob.conn.WriteMessage(websocket.BinaryMessage, append(message, raw[:]...)); err != nil {
		t.Fatal(err)
	}
	bob.until("ack")
	list := s.get(s.token("alice"), "/channels/room:1/messages")
	if strings.Count(list.body, `"encoding":"base64","data":"`+inBase64+`"}`) != 2 {
		t.Errorf("history is %s", list.body)
	}
	if a := s.post(s.token("alice"), "room:1", `{"encoding":"base64","data":""}`); a.status != 201 {
		t.Errorf("no bytes: %d %s", a.status, a.body)
	}
	if f := bob.until("message"); f["payload"] != "" {
		t.Errorf("no bytes: bob got %v", f)
	}
}

// A key names one message of a user in a channel, wherever it is sent.
func TestKeysOverRESTAndSocket(t *testing.T) {
	s := start(t)
	alice, bob := s.join("alice"), s.join("bob")
	bob.subscribe("room:1")
	first := s.post(s.token("alice"), "room:1", `{"data":1}`, "Idempotency-Key", `"k1"`)
	if first.status != 201 || first.field("seq") != "1" || first.field("duplicate") != "false" {
		t.Fatalf("%d %s", first.status, first.body)
	}
	again := s.post(s.token("alice"), "room:1", `{"data":2}`, "Idempotency-Key", "k1")
	if again.status != 201 || again.body != strings.Replace(first.body, "false", "true", 1) {
		t.Errorf("again: %d %s, the first was %s", again.status, again.body, first.body)
	}
	if f := alice.ask(`{"type":"publish","id":1,"channel":"room:1","data":3,"key":"k1"}`); f.str("seq") != "1" || f["duplicate"] != true {
		t.Errorf("on the socket: %v", f)
	}
	if f := alice.ask(`{"type":"publish","id":2,"channel":"room:1","data":4,"key":"k2"}`); f.str("seq") != "2" || f["duplicate"] != nil {
		t.Errorf("another key: %v", f)
	}
	for _, row := range []struct{ user, channel, key, seq, duplicate string }{
		{"alice", "room:1", "k2", "2", "true"},
		{"alice", "room:1", "K2", "3", "false"},
		{"bob", "room:1", "k2", "4", "false"},
		{"alice", "room:2", "k2", "1", "false"},
		{"alice", "room:1", strings.Repeat("k", 128), "5", "false"},
		{"alice", "room:1", `"` + strings.Repeat("k", 128) + `"`, "5", "true"},
		{"alice", "room:1", "khoá", "6", "false"},
		{"alice", "room:1", `""`, "7", "false"}, // no key at all
		{"alice", "room:1", "", "8", "false"},
	} {
		a := s.post(s.token(row.user), row.channel, `{"data":5}`, "Idempotency-Key", row.key)
		if a.field("seq") != row.seq || a.field("duplicate") != row.duplicate {
			t.Errorf("%+v: %d %s", row, a.status, a.body)
		}
	}
	for _, want := range []string{`"key":"k1","data":1}`, `"key":"k2","data":4}`, `"key":"K2","data":5}`} {
		if got := bob.textOf("message"); !strings.HasSuffix(got, want) {
			t.Errorf("bob got %s, want %s", got, want)
		}
	}
}

// A channel without history numbers nothing.
func TestPostToALiveChannel(t *testing.T) {
	s := start(t, `--namespaces={"tick:*": {subscribe: [user], publish: [user], read: [user]}}`)
	bob := s.join("bob")
	for _, channel := range []string{"live:1", "tick:1"} {
		bob.subscribe(channel)
		a := s.post(s.token("alice"), channel, `{"data":1}`, "Idempotency-Key", "k")
		if a.status != 201 || !receiptPattern.MatchString(a.body) || a.field("seq") != "" || a.field("duplicate") != "false" {
			t.Errorf("%s: %d %s", channel, a.status, a.body)
		}
		if f := bob.until("message"); f.str("channel") != channel || f["seq"] != nil || f.str("timestamp") != a.field("timestamp") {
			t.Errorf("%s: bob got %v", channel, f)
		}
	}
	for _, channel := range []string{"tick:1", "live:1"} {
		if a := s.get(s.token("bob"), "/channels/"+channel+"/messages"); a.status != 200 || a.body != `{"messages":[],"more":false}` {
			t.Errorf("history of %s: %d %s", channel, a.status, a.body)
		}
	}
	if a := s.get(s.token("bob"), "/channels"); strings.Contains(a.body, "live") || strings.Contains(a.body, "tick") {
		t.Errorf("channels: %s", a.body)
	}
}

// L7, H6: each refusal of a message is a problem that explains itself, and
// nothing of what was refused is stored.
func TestPostRefusalsL7H6(t *testing.T) {
	s := start(t)
	nested := func(levels int) string {
		return `{"data":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + "}"
	}
	for _, row := range []struct {
		name, channel, body string
		header              []string
		status              int
		code, says          string
	}{
		{"no body", "room:1", "", []string{"Content-Type", "application/json"}, 400, "bad_body", "empty"},
		{"no JSON", "room:1", "data=1", nil, 400, "bad_body", "not JSON"},
		{"an array", "room:1", `[1]`, nil, 400, "bad_body", "object"},
		{"trailing data", "room:1", `{"data":1}{}`, nil, 400, "bad_body", "goes on"},
		{"an unknown field", "room:1", `{"data":1,"username":"eve"}`, nil, 400, "bad_body", "username"},
		{"no data", "room:1", `{"event":"x"}`, nil, 400, "bad_body", "data is required"},
		{"an event that is no text", "room:1", `{"data":1,"event":5}`, nil, 400, "bad_body", "event"},
		{"a long event", "room:1", `{"data":1,"event":"` + strings.Repeat("e", 65) + `"}`, nil, 400, "bad_body", "64 bytes"},
		{"NUL in an event", "room:1", `{"data":1,"event":"\u0000"}`, nil, 400, "bad_body", "NUL"},
		{"another encoding", "room:1", `{"data":"00","encoding":"hex"}`, nil, 400, "bad_body", "base64"},
		{"a number in base64", "room:1", `{"data":1,"encoding":"base64"}`, nil, 400, "bad_body", "string"},
		{"null in base64", "room:1", `{"data":null,"encoding":"base64"}`, nil, 400, "bad_body", "string"},
		{"base64 of URLs", "room:1", `{"data":"-_-_","encoding":"base64"}`, nil, 400, "bad_body", "standard base64"},
		{"base64 without its end", "room:1", `{"data":"AA","encoding":"base64"}`, nil, 400, "bad_body", "standard base64"},
		{"invalid UTF-8", "room:1", "{\"data\":\"\xff\"}", nil, 400, "bad_body", "UTF-8"},
		{"33 levels", "room:1", nested(33), nil, 400, "bad_body", "32 levels"},
		{"20,000 levels", "room:1", nested(20_000), nil, 400, "bad_body", "32 levels"},
		{"a long key", "room:1", `{"data":1}`, []string{"Idempotency-Key", strings.Repeat("k", 129)}, 400, "bad_key", "128 bytes"},
		{"a key that is not UTF-8", "room:1", `{"data":1}`, []string{"Idempotency-Key", "\xff"}, 400, "bad_key", "UTF-8"},
		{"a form", "room:1", `data=1`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "media_type", "JSON"},
		{"no channel's name", "Room:1", `{"data":1}`, nil, 400, "bad_channel", "letters"},
		{"a slash in the name", "room:a%2Fb", `{"data":1}`, nil, 400, "bad_channel", "letters"},
		{"a long name", "room:" + strings.Repeat("x", 251), `{"data":1}`, nil, 400, "bad_channel", "255 bytes"},
		{"NUL in the name", "room:%00", `{"data":1}`, nil, 400, "bad_channel", "letters"},
		{"no rule", "nowhere:1", `{"data":1}`, nil, 403, "forbidden", "no rule"},
		{"a rule that refuses", "user:ID-alice", `{"data":1}`, nil, 403, "forbidden", `rule \"user:*\"`},
		{"65,537 bytes", "room:1", `{"data":"` + strings.Repeat("x", 65_535) + `"}`, nil, 413, "too_large", "data"},
		{"65,537 bytes in base64", "room:1", `{"encoding":"base64","data":"` + base64.StdEncoding.EncodeToString(make([]byte, 65_537)) + `"}`, nil, 413, "too_large", "data"},
		{"a megabyte", "room:1", `{"data":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "too_large", "body"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := s.post(s.token("alice"), row.channel, row.body, row.header...)
			if a.status != row.status || a.field("code") != row.code || !strings.Contains(a.body, row.says) || a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %.300s, want %d %s %q", a.status, a.body, row.status, row.code, row.says)
			}
			challenge := map[int]string{403: `Bearer error="insufficient_scope"`}[row.status] // H2
			if got := a.header.Get("WWW-Authenticate"); got != challenge {
				t.Errorf("challenge %q, want %q", got, challenge)
			}
		})
	}
	if a := s.get(s.token("alice"), "/channels"); a.body != `{"channels":[],"more":false}` {
		t.Errorf("something was stored: %s", a.body)
	}
	// The limits themselves pass, and what a name holds may be escaped.
	for name, body := range map[string]string{
		"32 levels":              nested(32),
		"65,536 bytes":           `{"data":"` + strings.Repeat("x", 65_534) + `"}`,
		"65,536 bytes in base64": `{"encoding":"base64","event":"` + strings.Repeat("e", 64) + `","data":"` + base64.StdEncoding.EncodeToString(make([]byte, 65_536)) + `"}`,
		"null":                   `{"data":null}`,
		"no encoding":            `{"data":"x","encoding":null,"event":null}`,
	} {
		if a := s.post(s.token("alice"), "room%3AA%7e1", body, "Content-Type", "application/json; charset=utf-8"); a.status != 201 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := s.get(s.token("alice"), "/channels"); !strings.HasPrefix(a.body, `{"channels":[{"channel":"room:A~1",`) {
		t.Errorf("stored in %.100s", a.body)
	}
}

// Where frames are unlimited, what is read whole is not.
func TestUnlimitedMessagesAreBounded(t *testing.T) {
	s := start(t, "--limits.message-bytes=0")
	for size, status := range map[int]int{4 << 20: 201, 4<<20 + 1: 413} {
		if a := s.post(s.token("alice"), "room:1", `{"data":"`+strings.Repeat("x", size-2)+`"}`); a.status != status {
			t.Errorf("%d bytes: %d %.300s", size, a.status, a.body)
		}
	}
}

// rawRequest sends a request as it is, with a token, and reads the answer.
func (s *server) rawRequest(line, token, rest string) answer {
	s.t.Helper()
	conn := s.rawConn()
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n%s", line, token, rest); err != nil {
		s.t.Fatal(err)
	}
	return readAnswer(s.t, conn, strings.Fields(line)[0])
}

// A path that net/http would not send.
func TestHalfAnEscape(t *testing.T) {
	s := start(t)
	for _, name := range []string{"room:%", "room:%2", "room:%zz"} {
		if a := s.rawRequest("GET /channels/"+name+"/presence", s.token("alice"), "\r\n"); a.status != 400 || a.field("code") != "bad_channel" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// Who may not publish is told so before the body has come: fasthttp waits for
// its first byte, where there is a Content-Length, and for no more.
func TestForbiddenBeforeTheBody(t *testing.T) {
	s := start(t, "--limits.messages.rate=0.01", "--limits.messages.burst=3")
	for _, rest := range []string{
		"Content-Length: 60000\r\n\r\n{",
		"Transfer-Encoding: chunked\r\n\r\n",
		"Content-Length: 60000\r\nIdempotency-Key: k\r\n\r\n{",
	} {
		a := s.rawRequest("POST /channels/user:ID-bob/messages", s.token("alice"), rest)
		if a.status != 403 || a.field("code") != "forbidden" {
			t.Errorf("%q: %d %s", rest, a.status, a.body)
		}
	}
	for _, rest := range []string{"Content-Length: 60000\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n"} {
		a := s.rawRequest("POST /channels/lobby/messages", s.token("alice"), rest)
		if a.status != 429 || a.field("code") != "rate_limited" {
			t.Errorf("over the limit: %d %s", a.status, a.body)
		}
	}
}

// L12: what Fiber gives of a request is copied before it is kept. A message
// that waits for the database longer than its request does is stored as it was
// sent, though other requests have come over the connection meanwhile.
func TestStringsAreCopiedL12(t *testing.T) {
	s := start(t, "--http.request-timeout=200ms")
	token := s.token("alice")
	lock, err := s.database().Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Rollback() }()
	var sent bytes.Buffer
	const requests = 5
	for i := range requests {
		fmt.Fprintf(&sent, "POST /channels/room:%d/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nIdempotency-Key: k%d\r\nContent-Length: 10\r\n\r\n{\"data\":%d}", i, token, i, i)
	}
	sent.WriteString("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	conn := s.rawConn()
	if _, err := conn.Write(sent.Bytes()); err != nil {
		t.Fatal(err)
	}
	var answers bytes.Buffer
	if _, err := answers.ReadFrom(conn); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(answers.String(), `"code":"unknown"`); n != requests {
		t.Fatalf("%d of %d wait too long: %s", n, requests, answers.String())
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	for i := range requests {
		path := fmt.Sprintf("/channels/room:%d/messages", i)
		eventually(t, path+" has its message", func() bool { return s.page(token, path).seqs() == "1-1" })
		if a := s.get(token, path); !strings.Contains(a.body, fmt.Sprintf(`"key":"k%d","data":%d}`, i, i)) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

// H3: pages of listed origins may send all that this takes.
func TestCORSOfChannelsH3(t *testing.T) {
	s := start(t, "--http.origins=https://app.example")
	for method, path := range map[string]string{"POST": "/channels/lobby/messages", "GET": "/channels", "DELETE": "/me"} {
		a := s.do("OPTIONS", path, "", "Origin", "https://app.example",
			"Access-Control-Request-Method", method, "Access-Control-Request-Headers", "authorization,content-type,idempotency-key")
		if a.status != 204 || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), method) ||
			!strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key") {
			t.Errorf("%s %s: %d %v", method, path, a.status, a.header)
		}
	}
}
