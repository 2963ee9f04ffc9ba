package ws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	wire "github.com/gobwas/ws"
)

// wireFrame is a whole unmasked WebSocket frame (RFC 6455, 5.2). A server's
// frames are the same bytes for every client, so a broadcast is encoded once.
func wireFrame(opcode wire.OpCode, payload []byte) []byte {
	return wire.MustCompileFrame(wire.NewFrame(opcode, true, payload))
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
