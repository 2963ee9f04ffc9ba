package ws

import (
	"bytes"
	"fmt"
	"io"

	wire "github.com/gobwas/ws"
)

// inbox reads what a client sends, and holds it to RFC 6455. It is owned by
// readLoop.
type inbox struct {
	in     io.Reader // buffered: fasthttp's connection is, with what came behind the handshake
	limit  int64     // bytes of a message; 0 is unlimited
	header [wire.MaxHeaderSize]byte

	message  bytes.Buffer // the pieces so far
	opcode   wire.OpCode  // of the message that the pieces belong to
	inPieces bool
}

func newInbox(from io.Reader, limit int) *inbox {
	return &inbox{in: from, limit: int64(limit)}
}

// protocolError is a mistake of the peer's that ends the connection with a code.
type protocolError struct {
	code   int
	reason string
}

func (v *protocolError) Error() string {
	return fmt.Sprintf("ws: the peer broke the protocol: %d %s", v.code, v.reason)
}

// goodbye is the peer's own close frame.
type goodbye struct{ code int }

func (g *goodbye) Error() string { return fmt.Sprintf("ws: the peer said goodbye: %d", g.code) }

// next is the next whole message (text or binary), ping or pong, or the notice
// that a piece of a message has come (continuation). A close frame is a
// *goodbye, a broken rule a *protocolError, and all else the connection's own
// error.
func (i *inbox) next() (wire.OpCode, []byte, error) {
	header, err := wire.ReadHeaderBuffer(i.in, i.header[:0])
	if err == wire.ErrHeaderLengthMSB {
		return 0, nil, &protocolError{CloseProtocol, err.Error()}
	}
	if err != nil {
		return 0, nil, err
	}
	state := wire.StateServerSide
	if i.inPieces {
		state = state.Set(wire.StateFragmented)
	}
	if err := wire.CheckHeader(header, state); err != nil {
		return 0, nil, &protocolError{CloseProtocol, err.Error()}
	}
	if header.OpCode.IsControl() {
		return i.control(header)
	}
	return i.data(header)
}

func (i *inbox) control(header wire.Header) (wire.OpCode, []byte, error) {
	payload := make([]byte, header.Length) // 125 at most: CheckHeader saw to it
	if _, err := io.ReadFull(i.in, payload); err != nil {
		return 0, nil, err
	}
	wire.Cipher(payload, header.Mask, 0)
	if header.OpCode != wire.OpClose {
		return header.OpCode, payload, nil
	}
	switch len(payload) {
	case 0:
		return 0, nil, &goodbye{CloseNormal}
	case 1:
		return 0, nil, &protocolError{CloseProtocol, "half a close code"}
	}
	code, reason := wire.ParseCloseFrameData(payload)
	if err := wire.CheckCloseFrameData(code, reason); err != nil {
		return 0, nil, &protocolError{CloseProtocol, err.Error()}
	}
	if code > wire.StatusRangePrivate.Max { // the codec lets these pass
		return 0, nil, &protocolError{CloseProtocol, "a close code above 4999"}
	}
	return 0, nil, &goodbye{int(code)}
}

func (i *inbox) data(header wire.Header) (wire.OpCode, []byte, error) {
	before := i.message.Len()
	if i.limit > 0 && header.Length > i.limit-int64(before) {
		return 0, nil, &protocolError{CloseTooBig, fmt.Sprintf("a message may have %d bytes", i.limit)}
	}
	piece, err := i.payload(header)
	if err != nil {
		return 0, nil, err
	}
	if header.OpCode != wire.OpContinuation {
		i.opcode = header.OpCode
	}
	i.inPieces = !header.Fin
	if before == 0 && header.Fin {
		return i.opcode, piece, nil
	}
	i.message.Write(piece)
	if i.inPieces {
		return wire.OpContinuation, nil, nil
	}
	message := i.message.Bytes()
	i.message = bytes.Buffer{} // the message is the handler's now
	return i.opcode, message, nil
}

// trusted is how many bytes a client gets memory for because it announces them.
// For more it gets memory as it sends.
const trusted = 4 << 10

// payload reads what follows a header.
func (i *inbox) payload(header wire.Header) ([]byte, error) {
	piece := make([]byte, min(header.Length, trusted))
	_, err := io.ReadFull(i.in, piece)
	if rest := header.Length - int64(len(piece)); err == nil && rest > 0 {
		grown := bytes.NewBuffer(piece)
		_, err = io.CopyN(grown, i.in, rest)
		piece = grown.Bytes()
	}
	wire.Cipher(piece, header.Mask, 0)
	return piece, err
}
