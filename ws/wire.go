package ws

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	wire "github.com/gobwas/ws"
)

// wireFrame is a whole unmasked WebSocket frame (RFC 6455, 5.2). A server's
// frames are the same bytes for every client, so a broadcast is encoded once.
func wireFrame(opcode wire.OpCode, payload []byte) []byte {
	return seal(opcode, append(make([]byte, headRoom, headRoom+len(payload)), payload...))
}

// What stands in the place of a length that has 16 or 64 bits of its own.
const (
	length16 = 126
	length64 = 127
)

// headRoom is how many bytes the header of a server's frame takes at most.
const headRoom = 10

// seal writes the header right before the payload, which stands in b behind
// headRoom bytes, and gives the frame: what is encoded there is not copied again.
func seal(opcode wire.OpCode, b []byte) []byte {
	const final = 0x80
	start := headRoom - 2
	switch size := len(b) - headRoom; {
	case size < length16:
		b[start+1] = byte(size)
	case size < 1<<16:
		start = headRoom - 4
		b[start+1] = length16
		binary.BigEndian.PutUint16(b[start+2:], uint16(size))
	default:
		start = headRoom - 10
		b[start+1] = length64
		binary.BigEndian.PutUint64(b[start+2:], uint64(size))
	}
	b[start] = final | byte(opcode)
	return b[start:]
}

// frameSize is the size of the frame of ours that b begins with, and of its
// header.
func frameSize(b []byte) (size, header int) {
	switch length := b[1]; length {
	case length16:
		return 4 + int(binary.BigEndian.Uint16(b[2:])), 4
	case length64:
		return 10 + int(binary.BigEndian.Uint64(b[2:])), 10
	default:
		return 2 + int(length), 2
	}
}

// payloadOf is what a frame of ours carries.
func payloadOf(frame []byte) []byte {
	_, header := frameSize(frame)
	return frame[header:]
}

// closeFrame cuts reason to what a control frame holds, at a whole character.
func closeFrame(code int, reason string) []byte {
	for len(reason) > maxReason {
		_, size := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-size]
	}
	return wireFrame(wire.OpClose, wire.NewCloseFrameBody(wire.StatusCode(code), reason))
}

// encode is v as JSON. Our frames cannot fail to encode: they hold strings,
// numbers and JSON that was checked when it came in.
func encode(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // text for people would grow sixfold
	if err := encoder.Encode(v); err != nil {
		panic(fmt.Sprintf("ws: encoding %T: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
