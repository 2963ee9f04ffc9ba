package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// rawSocket is a WebSocket whose client writes bytes of its own making.
type rawSocket struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// rawSocket opens one and reads welcome and subscribed.
func (s *server) rawSocket(token string) *rawSocket {
	s.t.Helper()
	conn := s.rawConn()
	if _, err := fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\n%s\r\n", handshakeHeaders("Authorization", "Bearer "+token)); err != nil {
		s.t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("handshake: %v %v", response, err)
	}
	r := &rawSocket{s.t, conn, in}
	for range 2 {
		r.read()
	}
	return r
}

// maskedFrame is a client's frame: first is FIN, RSV and opcode.
func maskedFrame(first byte, payload []byte) []byte {
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	mask := make([]byte, 4)
	_, _ = rand.Read(mask)
	frame = append(frame, mask...)
	for i, b := range payload {
		frame = append(frame, b^mask[i%4])
	}
	return frame
}

func (r *rawSocket) write(b []byte) {
	r.t.Helper()
	if _, err := r.conn.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

// read is the next frame from the server.
func (r *rawSocket) read() (opcode byte, payload []byte) {
	r.t.Helper()
	opcode, payload, err := r.tryRead()
	if err != nil {
		r.t.Fatalf("reading a frame: %v", err)
	}
	return opcode, payload
}

func (r *rawSocket) tryRead() (opcode byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return 0, nil, err
	}
	size := uint64(head[1])
	switch size {
	case 126:
		extended := make([]byte, 2)
		_, err = io.ReadFull(r.in, extended)
		size = uint64(binary.BigEndian.Uint16(extended))
	case 127:
		extended := make([]byte, 8)
		_, err = io.ReadFull(r.in, extended)
		size = binary.BigEndian.Uint64(extended)
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(r.in, payload)
	return head[0] & 0xf, payload, err
}

// closeCode reads until the close frame.
func (r *rawSocket) closeCode() int {
	r.t.Helper()
	for {
		if opcode, payload := r.read(); opcode == 8 {
			if len(payload) > 125 {
				r.t.Errorf("a close frame of %d bytes", len(payload))
			}
			if len(payload) < 2 {
				return websocket.CloseNoStatusReceived
			}
			return int(binary.BigEndian.Uint16(payload))
		}
	}
}

const (
	finText  = 0x81
	finCont  = 0x80
	finPing  = 0x89
	finClose = 0x88
)

// C3, C4, C5, L7: what breaks RFC 6455 closes the socket with the code that
// says so, and the peer gets to read it.
func TestFrameRulesC3C4C5L7(t *testing.T) {
	s := start(t, "--socket.close-timeout=200ms")
	half := []byte("ti\xe1\xba") // the first half of "tiế"
	unmasked := append([]byte{finText, 15}, `{"type":"ping"}`...)
	for _, row := range []struct {
		name string
		sent []byte
		code int
	}{
		{"C3 invalid UTF-8", maskedFrame(finText, []byte("\"\xff\xfe\"")), 1007},
		{"C3 invalid UTF-8 over two frames", append(maskedFrame(0x01, half), maskedFrame(finCont, []byte("\x28"))...), 1007},
		{"C3 a surrogate", maskedFrame(finText, []byte("\xed\xa0\x80")), 1007},
		{"C4 no mask", unmasked, 1002},
		{"C4 RSV1", maskedFrame(finText|0x40, []byte("{}")), 1002},
		{"C4 RSV2", maskedFrame(finText|0x20, []byte("{}")), 1002},
		{"C4 RSV3", maskedFrame(finText|0x10, []byte("{}")), 1002},
		{"C4 reserved opcode", maskedFrame(0x83, []byte("{}")), 1002},
		{"C4 reserved control opcode", maskedFrame(0x8b, nil), 1002},
		{"C4 a ping of 126 bytes", maskedFrame(finPing, make([]byte, 126)), 1002},
		{"C4 a ping in pieces", maskedFrame(0x09, nil), 1002},
		{"C4 a continuation of nothing", maskedFrame(finCont, []byte("{}")), 1002},
		{"C4 text within text", append(maskedFrame(0x01, []byte("{")), maskedFrame(finText, []byte("}"))...), 1002},
		{"C4 close code 1005", maskedFrame(finClose, []byte{1005 >> 8, 1005 & 0xff}), 1002},
		{"C4 close code 999", maskedFrame(finClose, []byte{999 >> 8, 999 & 0xff}), 1002},
		{"C4 close code 5000", maskedFrame(finClose, []byte{5000 >> 8, 5000 & 0xff}), 1002},
		{"C4 a close reason that is not UTF-8", maskedFrame(finClose, []byte{1000 >> 8, 1000 & 0xff, 0xff}), 1002},
		{"C5 compressed, which was not agreed", maskedFrame(finText|0x40, bytes.Repeat([]byte{0}, 100)), 1002},
		{"C4 half a close code", maskedFrame(finClose, []byte{3}), 1002},
		{"C4 a length beyond all bounds", []byte{finText, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, 1002},
		{"L7 64 KiB + 1", maskedFrame(finText, bytes.Repeat([]byte("x"), 65537)), 1009},
		{"L7 64 KiB + 1 in two frames", append(maskedFrame(0x01, bytes.Repeat([]byte("x"), 65536)), maskedFrame(finCont, []byte("x"))...), 1009},
		{"L7 a megabyte", maskedFrame(finText, bytes.Repeat([]byte("x"), 1<<20)), 1009},
		{"L7 says it is huge", []byte{finText, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, 1009},
		{"goodbye", maskedFrame(finClose, []byte{1000 >> 8, 1000 & 0xff}), 1000},
		{"goodbye with an own code", maskedFrame(finClose, []byte{4000 >> 8, 4000 & 0xff}), 4000},
		{"goodbye without a code", maskedFrame(finClose, nil), 1000},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := s.rawSocket(s.token("alice"))
			r.t = t
			r.write(row.sent)
			if code := r.closeCode(); code != row.code {
				t.Errorf("closed with %d, want %d", code, row.code)
			}
			if _, _, err := r.tryRead(); err != io.EOF {
				t.Errorf("behind the close frame: %v", err)
			}
			_ = r.conn.Close()
		})
	}
	eventually(t, "no session is left", func() bool { return s.presence("lobby") == 0 })
}

// What was right before a frame that breaks the rules is done and answered, in
// order, and the close frame is the last thing that comes.
func TestNothingIsLostBeforeTheClose(t *testing.T) {
	s := start(t, "--socket.close-timeout=200ms")
	for name, bad := range map[string][]byte{
		"C4 RSV1":         maskedFrame(finText|0x40, []byte("{}")),
		"L7 64 KiB + 1":   maskedFrame(finText, bytes.Repeat([]byte("x"), 65537)),
		"C3 not UTF-8":    maskedFrame(finText, []byte("\xff")),
		"a close frame":   maskedFrame(finClose, []byte{1000 >> 8, 1000 & 0xff}),
		"C4 an empty one": {0x8f, 0x80, 0, 0, 0, 0},
	} {
		for range 5 {
			r := s.rawSocket(s.token("alice"))
			var sent []byte
			const chats = 5
			for i := range chats {
				sent = append(sent, maskedFrame(finText, fmt.Appendf(nil, `{"type":"chat","id":%d,"message":"x"}`, i))...)
			}
			r.write(append(sent, bad...))
			for i := range chats {
				if _, payload := r.read(); !strings.Contains(string(payload), fmt.Sprintf(`"ack","id":%d`, i)) {
					t.Fatalf("%s: answer %d is %q", name, i, payload)
				}
			}
			if opcode, _ := r.read(); opcode != 8 {
				t.Errorf("%s: frame %x after the answers", name, opcode)
			}
			if _, _, err := r.tryRead(); err != io.EOF {
				t.Errorf("%s: behind the close frame: %v", name, err)
			}
			_ = r.conn.Close()
		}
	}
}

// L5: control frames and pieces of messages have a budget too: who floods is
// closed, and a ping within reason is answered even when messages are over
// their limit (RFC 6455, 5.5.2).
func TestFloodsOfControlFramesL5(t *testing.T) {
	s := start(t, "--limits.messages.rate=0.001", "--limits.messages.burst=1", "--limits.violations=20",
		"--limits.bytes.rate=1000", "--limits.bytes.burst=65536", "--socket.close-timeout=200ms")
	for name, frame := range map[string][]byte{
		"pings":            maskedFrame(finPing, make([]byte, 125)),
		"empty pings":      maskedFrame(finPing, nil),
		"pongs":            maskedFrame(0x8A, make([]byte, 125)),
		"empty pieces":     maskedFrame(0x00, nil),
		"pieces of a byte": maskedFrame(0x00, []byte("x")),
	} {
		r := s.rawSocket(s.token(escapeName(name)))
		r.write(maskedFrame(0x01, nil)) // what the pieces are pieces of
		flood := bytes.Repeat(frame, 100)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				if _, err := r.conn.Write(flood); err != nil {
					return
				}
			}
		}()
		if code := r.closeCode(); code != 4429 {
			t.Errorf("%s: closed with %d", name, code)
		}
		_ = r.conn.Close()
		<-done
	}
	r := s.rawSocket(s.token("bob"))
	for range 10 {
		r.write(maskedFrame(finText, []byte(`{"type":"chat","message":"x"}`)))
	}
	r.write(maskedFrame(finPing, []byte("alive?")))
	for {
		opcode, payload := r.read()
		if opcode == 0xA && string(payload) == "alive?" {
			return
		}
		if opcode == 8 {
			t.Fatal("closed")
		}
	}
}

func escapeName(s string) string { return strings.ReplaceAll(s, " ", "-") }

// presence is how many users are in a channel, seen by a service that is not.
func (s *server) presence(channel string) int {
	s.t.Helper()
	p := s.connect(s.tokenAs("watcher", "service"))
	p.ask(`{"type":"unsubscribe","id":"u","channel":"lobby"}`)
	f := p.ask(fmt.Sprintf(`{"type":"presence","id":"p","channel":%q}`, channel))
	p.leave()
	return int(f["count"].(float64))
}

// Valid frames in unusual shapes are taken: in pieces, with pings between.
func TestFragmentsAndPings(t *testing.T) {
	s := start(t)
	r := s.rawSocket(s.token("alice"))
	text := []byte(`{"type":"chat","id":1,"message":"tiếng Việt"}`)
	r.write(maskedFrame(0x01, text[:34])) // within a character
	r.write(maskedFrame(finPing, []byte("are you there")))
	if opcode, payload := r.read(); opcode != 0xA || string(payload) != "are you there" {
		t.Errorf("a ping is answered with %x %q", opcode, payload)
	}
	r.write(maskedFrame(0x00, nil))
	r.write(maskedFrame(finCont, text[34:]))
	if _, payload := r.read(); !strings.Contains(string(payload), `"ack"`) {
		t.Errorf("%s", payload)
	}
	r.write(maskedFrame(0x8A, []byte("a pong that nobody asked for")))
	r.write(maskedFrame(finText, []byte(`{"type":"ping"}`)))
	if _, payload := r.read(); !strings.Contains(string(payload), `"pong"`) {
		t.Errorf("%s", payload)
	}
}

// Frames behind the client's close frame are not handled, and the answer to
// the close is the last that comes.
func TestFramesAfterClose(t *testing.T) {
	s := start(t)
	bob := s.join("bob")
	r := s.rawSocket(s.token("alice"))
	bob.until("user_joined")
	chat := maskedFrame(finText, []byte(`{"type":"chat","message":"from the grave"}`))
	r.write(append(append(maskedFrame(finClose, []byte{1000 >> 8, 1000 & 0xff}), chat...), chat...))
	if code := r.closeCode(); code != 1000 {
		t.Errorf("closed with %d", code)
	}
	for {
		f := bob.next()
		if f.str("type") == "chat" {
			t.Fatalf("bob got %v", f)
		}
		if f.str("type") == "user_left" {
			return
		}
	}
}

// Who says goodbye and ends its side of the connection is answered all the same:
// first what it asked for, and then the goodbye.
func TestGoodbyeOfAHalfClosedPeer(t *testing.T) {
	s := start(t)
	token := s.token("alice")
	words := append(maskedFrame(finText, []byte(`{"type":"ping","id":1}`)), maskedFrame(finClose, []byte{1000 >> 8, 1000 & 0xff})...)
	for range 100 {
		r := s.rawSocket(token)
		r.write(words)
		if err := r.conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, payload := r.read(); !strings.Contains(string(payload), `"pong"`) {
			t.Fatalf("%s", payload)
		}
		if code := r.closeCode(); code != 1000 {
			t.Fatalf("closed with %d", code)
		}
		_ = r.conn.Close()
	}
}

// C6: a peer that does not answer pings is closed, its user is seen to leave,
// and nothing of it stays.
func TestFrozenPeerIsClosedC6(t *testing.T) {
	s := start(t, "--socket.ping-interval=300ms", "--socket.ping-timeout=200ms", "--socket.close-timeout=100ms")
	bob := s.join("bob") // answers, as the library does by itself
	before := sessionGoroutines()
	var frozen []*rawSocket
	for range 20 {
		frozen = append(frozen, s.rawSocket(s.token("alice")))
	}
	bob.until("user_joined")
	since := time.Now()
	if f := bob.until("user_left"); f.str("username") != "alice" {
		t.Errorf("%v", f)
	}
	if took := time.Since(since); took < 300*time.Millisecond {
		t.Errorf("closed after %v, before it could answer", took)
	}
	if opcode, _ := frozen[0].read(); opcode != 9 {
		t.Errorf("the first frame is %x, want a ping", opcode)
	}
	if code := frozen[0].closeCode(); code != 4408 {
		t.Errorf("closed with %d", code)
	}
	eventually(t, "goroutines are back where they were", func() bool { return sessionGoroutines() == before })
	// bob has answered several pings by now, and is still there.
	if f := bob.ask(`{"type":"presence","id":1,"channel":"lobby"}`); f.users() != "bob" {
		t.Errorf("%v", f)
	}
}

// C6: a peer that is in the middle of a slow frame cannot answer a ping, and is
// not silent.
func TestSlowFrameIsNoSilenceC6(t *testing.T) {
	s := start(t, "--socket.ping-interval=200ms", "--socket.ping-timeout=100ms")
	r := s.rawSocket(s.token("alice"))
	frame := maskedFrame(finText, []byte(`{"type":"chat","id":1,"message":"`+strings.Repeat("x", 100)+`"}`))
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for _, b := range frame { // more than a second
		<-pace.C
		r.write([]byte{b})
	}
	for {
		opcode, payload := r.read()
		if opcode == 8 {
			t.Fatalf("closed: %q", payload)
		}
		if opcode == 1 {
			return // the ack
		}
	}
}

// sessionGoroutines counts the goroutines that run in package ws.
func sessionGoroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "gatecast/ws.") {
			n++
		}
	}
	return n
}

// L8: a client that never reads is closed; the others lose nothing.
func TestClientThatNeverReadsL8(t *testing.T) {
	s := start(t, "--limits.queue-bytes=200000", "--socket.write-timeout=2s")
	stuck := s.rawSocket(s.token("stuck"))
	_ = stuck.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	reader, writer := s.join("reader"), s.join("writer")
	payload := strings.Repeat("x", 30_000)
	// The kernel's buffers hold much before the queue feels anything.
	sent, left := 0, false
	for ; !left && sent < 2000; sent++ {
		if f := writer.ask(fmt.Sprintf(`{"type":"chat","id":%d,"message":%q}`, sent, payload)); f.str("type") != "ack" {
			t.Fatalf("%v", f)
		}
		left = s.logged("too slow to read")
	}
	if !left {
		t.Fatalf("the stuck client is still there after %d messages", sent)
	}
	for n := 0; n < sent; {
		switch f := reader.next(); f.str("type") {
		case "chat":
			n++
		case "error":
			t.Fatalf("%v", f)
		}
	}
	eventually(t, "the stuck client has left", func() bool { return s.presence("lobby") == 2 })
	_ = stuck.conn.Close()
}

// C8: sockets that come and go in every way never mix up: each gets what was
// meant for it.
func TestChurnDoesNotMixUpC8(t *testing.T) {
	s := start(t, "--limits.connections-per-user=0")
	done := make(chan string)
	const clients, rounds = 20, 15
	for i := range clients {
		name := fmt.Sprint("user", i)
		header := http.Header{"Authorization": {"Bearer " + s.token(name)}}
		go func() {
			for round := range rounds {
				conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+s.addr+"/ws", header)
				if err != nil {
					done <- err.Error()
					return
				}
				own := fmt.Sprintf("%s-%d", name, round)
				_ = conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":"ping","id":%q}`, own))
				for {
					var f frame
					if err := conn.ReadJSON(&f); err != nil {
						done <- fmt.Sprintf("%s: %v", own, err)
						return
					}
					if f.str("type") == "welcome" && f.str("username") != name {
						done <- fmt.Sprintf("%s was welcomed as %s", name, f.str("username"))
						return
					}
					if f.str("type") == "pong" {
						if f.str("id") != own {
							done <- fmt.Sprintf("%s got the pong of %s", own, f.str("id"))
							return
						}
						break
					}
				}
				if round%3 == 0 { // a goodbye, or a line that is cut
					_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
				}
				_ = conn.Close()
			}
			done <- ""
		}()
	}
	for range clients {
		if problem := <-done; problem != "" {
			t.Error(problem)
		}
	}
	eventually(t, "nobody is left", func() bool { return s.presence("lobby") == 0 })
}
