package ws

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Opcodes of RFC 6455, 5.2.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// wireFrame is a whole unmasked WebSocket frame (RFC 6455, 5.2). A server's
// frames are the same bytes for every client, so a broadcast is encoded once.
func wireFrame(opcode byte, payload []byte) []byte {
	const final = 0x80
	frame := make([]byte, 0, len(payload)+10)
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, final|opcode, byte(n))
	case n < 1<<16:
		frame = append(frame, final|opcode, 126)
		frame = binary.BigEndian.AppendUint16(frame, uint16(n))
	default:
		frame = append(frame, final|opcode, 127)
		frame = binary.BigEndian.AppendUint64(frame, uint64(n))
	}
	return append(frame, payload...)
}

// closeFrame cuts reason to what a control frame holds, at a whole character.
func closeFrame(code int, reason string) []byte {
	for len(reason) > maxReason {
		_, size := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-size]
	}
	return wireFrame(opClose, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
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
