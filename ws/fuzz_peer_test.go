package ws

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fasthttp/websocket"
	wire "github.com/gobwas/ws"
)

// fuzzLimit is how many bytes a message may have, for both.
const fuzzLimit = 300

// story is what became of a client's bytes: what came of them, and how it ended.
type story struct {
	heard  []string // messages, pings and pongs
	end    int      // the client's own close code, or the one that it is told; 0 where more is waited for
	mine   bool     // it is told that one
	reason string
	half   bool // the last bytes are a part of a header, of which we want the whole
}

func (s *story) hear(opcode wire.OpCode, payload []byte) {
	s.heard = append(s.heard, fmt.Sprintf("%x %x", byte(opcode), payload))
}

// C3, C4: however a client's bytes are cut, they are to us what they are to
// fasthttp/websocket, but where we are stricter on purpose.
func FuzzFramesLikeFasthttp(f *testing.F) {
	for _, seed := range peerSeeds() {
		f.Add(seed, uint64(0))
		f.Add(seed, uint64(1))
	}
	f.Fuzz(func(t *testing.T, sent []byte, cut uint64) {
		ours, theirs := ourStory(cutUp(sent, cut)), theirStory(t, cutUp(sent, cut))
		if onPurpose(sent, ours, theirs) != "" {
			return
		}
		if !slices.Equal(ours.heard, theirs.heard) || ours.end != theirs.end || ours.mine != theirs.mine {
			t.Errorf("%x:\n ours   %+v\n theirs %+v", sent, ours, theirs)
		}
	})
}

// onPurpose names the rule by which we refuse what fasthttp/websocket takes, or
// tells apart what it cannot.
func onPurpose(sent []byte, ours, theirs story) string {
	before := len(ours.heard) <= len(theirs.heard) && slices.Equal(ours.heard, theirs.heard[:len(ours.heard)])
	same := len(ours.heard) == len(theirs.heard) && before
	switch {
	case ours.mine && ours.end == CloseInvalidText && before && len(theirs.heard) > len(ours.heard):
		return "C3: a text message is UTF-8"
	case same && ours.mine && ours.end == CloseProtocol && ours.reason == reasonHalfCode && !theirs.mine && theirs.end == CloseNormal:
		return "C4: a close frame has a whole code or none"
	case same && ours.mine && ours.end == CloseProtocol && ours.reason == wire.ErrHeaderLengthMSB.Error() && theirs.end == CloseTooBig:
		return "C4: a length has 63 bits"
	case same && ours.half && theirs.mine: // and would be refused when it is whole
		again := ourStory([][]byte{slices.Concat(sent, make([]byte, wire.MaxHeaderSize))})
		if again.mine && slices.Equal(again.heard, ours.heard) && (again.end == theirs.end || onPurpose(sent, again, theirs) != "") {
			return "C4: half a header"
		}
	}
	return ""
}

const reasonHalfCode = "half a close code"

// cutUp cuts as the network may: with 0, not at all.
func cutUp(sent []byte, cut uint64) (pieces [][]byte) {
	if cut == 0 {
		return [][]byte{sent}
	}
	rng := rand.New(rand.NewPCG(cut, 1))
	for most := 1 + rng.IntN(20); len(sent) > 0; {
		n := min(len(sent), 1+rng.IntN(most))
		pieces, sent = append(pieces, sent[:n]), sent[n:]
	}
	return pieces
}

// ourStory does with frames what a session does.
func ourStory(pieces [][]byte) (s story) {
	r := frameReader{limit: fuzzLimit}
	var in *inbox
	for _, piece := range pieces {
		r.begin(in, slices.Clone(piece))
		for {
			opcode, payload, err := r.next()
			var bye *goodbye
			var wrong *protocolError
			switch {
			case errors.As(err, &bye):
				s.end = bye.code
				return s
			case errors.As(err, &wrong):
				s.end, s.mine, s.reason = wrong.code, true, wrong.reason
				return s
			case opcode == wire.OpText && !utf8.Valid(payload): // receive looks at that
				s.end, s.mine = CloseInvalidText, true
				return s
			case opcode != noFrame && opcode != wire.OpContinuation:
				s.hear(opcode, payload)
			}
			if opcode == noFrame {
				break
			}
		}
		in = r.end()
	}
	if in != nil {
		_, err := wire.ReadHeader(bytes.NewReader(in.rest))
		s.half = len(in.rest) > 0 && err != nil
	}
	return s
}

func theirStory(t *testing.T, pieces [][]byte) (s story) {
	conn, told := upgraded(t, pieces)
	conn.SetReadLimit(fuzzLimit)
	conn.SetPingHandler(func(text string) error { s.hear(wire.OpPing, []byte(text)); return nil })
	conn.SetPongHandler(func(text string) error { s.hear(wire.OpPong, []byte(text)); return nil })
	conn.SetCloseHandler(func(code int, _ string) error {
		if s.end = code; code == websocket.CloseNoStatusReceived {
			s.end = CloseNormal
		}
		return nil
	})
	for {
		opcode, payload, err := conn.ReadMessage()
		if err != nil {
			s.reason = err.Error()
			break
		}
		s.hear(wire.OpCode(opcode), payload)
	}
	switch header, err := wire.ReadHeader(told); {
	case err == nil:
		code, _ := wire.ParseCloseFrameData(told.Next(int(header.Length)))
		s.end, s.mine = int(code), true
	case strings.Contains(s.reason, websocket.ErrReadLimit.Error()): // a length that it cannot count with: it says nothing
		s.end, s.mine = CloseTooBig, true
	}
	return s
}

// upgraded is a server's connection on which the pieces come. told is what it
// writes behind its handshake.
func upgraded(t *testing.T, pieces [][]byte) (conn *websocket.Conn, told *bytes.Buffer) {
	t.Helper()
	told = &bytes.Buffer{}
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
		request.Header.Set(name, value)
	}
	upgrader := websocket.Upgrader{ReadBufferSize: 256, WriteBufferSize: 256}
	conn, err := upgrader.Upgrade(hijacked{httptest.NewRecorder(), &pieceConn{pieces: pieces, told: told}}, request, nil)
	if err != nil {
		t.Fatal(err)
	}
	told.Reset()
	return conn, told
}

// hijacked gives its connection away.
type hijacked struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// pieceConn is a connection on which pieces come, and then nothing more.
type pieceConn struct {
	net.Conn // nil: what is not here is not called
	pieces   [][]byte
	told     *bytes.Buffer
}

func (c *pieceConn) Read(p []byte) (int, error) {
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	c.pieces[0] = c.pieces[0][n:]
	return n, nil
}

func (c *pieceConn) Write(p []byte) (int, error)      { return c.told.Write(p) }
func (*pieceConn) Close() error                       { return nil }
func (*pieceConn) SetDeadline(time.Time) error        { return nil }
func (*pieceConn) SetReadDeadline(time.Time) error    { return nil }
func (*pieceConn) SetWriteDeadline(t time.Time) error { return nil }

// peerSeeds has one for each rule.
func peerSeeds() (seeds [][]byte) {
	const fin, rsv1, rsv2, rsv3 = 0x80, 0x40, 0x20, 0x10
	frame := func(first byte, payload string) []byte {
		b := []byte{first, 0x80 | byte(len(payload))}
		if len(payload) > 125 {
			b = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(len(payload)))
		}
		mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
		masked := []byte(payload)
		wire.Cipher(masked, mask, 0)
		return slices.Concat(b, mask[:], masked)
	}
	code := func(n int, reason string) string {
		return string(binary.BigEndian.AppendUint16(nil, uint16(n))) + reason
	}
	seeds = [][]byte{
		frame(fin|1, `{"type":"ping"}`), frame(fin|2, "\x00\x00\x00\x02{}x"), frame(fin|1, ""), frame(fin|1, strings.Repeat("x", 126)),
		frame(fin|9, ""), frame(fin|9, "are you there"), frame(fin|10, strings.Repeat("x", 125)),
		slices.Concat(frame(1, "ti\xe1\xba"), frame(fin|9, "between"), frame(0, ""), frame(fin, "\xbfng"), frame(fin|1, "next")),
		slices.Concat(frame(2, "a"), frame(fin, "b"), frame(fin|8, code(1000, ""))), slices.Concat(frame(1, ""), frame(fin, "")),
		// C3
		frame(fin|1, "\xff"), frame(fin|1, "\xed\xa0\x80"), slices.Concat(frame(1, "\xe1"), frame(fin, "x")), frame(fin|8, code(1000, "\xff")),
		// C4
		{fin | 1, 2, '{', '}'}, frame(fin|rsv1|1, "{}"), frame(fin|rsv2|1, "{}"), frame(fin|rsv3|1, "{}"), frame(fin|rsv1|9, ""), frame(fin|3, ""), frame(fin|7, ""),
		frame(fin|11, ""), frame(fin|15, ""), frame(fin|9, strings.Repeat("x", 126)), frame(9, ""), frame(8, ""), frame(fin, "{}"), frame(0, "{}"),
		slices.Concat(frame(1, "{"), frame(fin|1, "}")), slices.Concat(frame(1, "{"), frame(2, "}")), slices.Concat(frame(fin|1, "x"), frame(fin, "y")),
		{fin | 1, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, {fin | 1, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		{fin | 9, 0xfe, 0, 1, 0, 0, 0, 0, 'x'}, {fin | 8, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {fin | 1, 0xfe, 0, 1, 0, 0, 0, 0, 'x'},
		// L7
		frame(fin|1, strings.Repeat("x", fuzzLimit)), frame(fin|1, strings.Repeat("x", fuzzLimit+1)),
		slices.Concat(frame(1, strings.Repeat("x", fuzzLimit)), frame(fin, "")), slices.Concat(frame(1, strings.Repeat("x", fuzzLimit)), frame(fin, "x")),
		frame(fin|8, ""), frame(fin|8, "\x03"), slices.Concat(frame(fin|8, code(1001, "gone")), frame(fin|1, "more")),
	}
	for _, n := range []int{0, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1016, 2999, 3000, 3999, 4000, 4999, 5000, 65535} {
		seeds = append(seeds, frame(fin|8, code(n, "so long")))
	}
	return seeds
}
