package ws

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	wire "github.com/gobwas/ws"
)

// inbox is what a client has begun to send.
type inbox struct {
	rest     []byte      // the beginning of a frame whose end has not come
	message  []byte      // the pieces so far
	opcode   wire.OpCode // of the message that the pieces belong to
	inPieces bool
}

// frameReader takes what a client sends apart, and holds it to RFC 6455. Its
// buffers go from session to session.
type frameReader struct {
	limit   int64 // bytes of a message; 0 is unlimited
	in      inbox
	fresh   []byte // what has not been looked at
	begun   bool   // in.rest holds what fresh is a part of
	source  bytes.Reader
	scratch [wire.MaxHeaderSize]byte
}

// maskBit stands before the length of a frame.
const maskBit = 0x80

// noFrame is the opcode where the next frame has not come whole.
const noFrame = wire.OpCode(0xff)

// begin takes p behind what has come before. p is not kept.
func (r *frameReader) begin(before *inbox, p []byte) {
	r.in, r.fresh = inbox{}, p
	if before != nil {
		r.in = *before
	}
	if r.begun = len(r.in.rest) > 0; r.begun {
		r.in.rest = append(r.in.rest, p...)
		r.fresh = r.in.rest
	}
}

// end gives what is to be kept until more comes, or nil.
func (r *frameReader) end() *inbox {
	switch {
	case len(r.fresh) == 0:
		r.in.rest = nil
	case r.begun:
		r.in.rest = r.in.rest[:copy(r.in.rest, r.fresh)]
	default:
		r.in.rest = slices.Clone(r.fresh)
	}
	r.source.Reset(nil)
	kept := r.in
	r.in, r.fresh = inbox{}, nil
	if len(kept.rest) == 0 && !kept.inPieces {
		return nil
	}
	return &kept
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
// that a piece of a message has come (continuation), or noFrame. A close frame is
// a *goodbye, a broken rule a *protocolError. The payload is the caller's.
func (r *frameReader) next() (wire.OpCode, []byte, error) {
	r.source.Reset(r.fresh)
	header, err := wire.ReadHeaderBuffer(&r.source, r.scratch[:0])
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return noFrame, nil, nil
	case err != nil:
		return 0, nil, &protocolError{CloseProtocol, err.Error()}
	}
	if header.OpCode.IsControl() && r.fresh[1]&^maskBit >= length16 {
		return 0, nil, &protocolError{CloseProtocol, "a control frame may have 125 bytes, and tells so in one"}
	}
	if err := r.in.check(header, r.limit); err != nil {
		return 0, nil, err
	}
	if int64(r.source.Len()) < header.Length {
		return noFrame, nil, nil
	}
	start := len(r.fresh) - r.source.Len()
	payload := slices.Clone(r.fresh[start : start+int(header.Length)])
	wire.Cipher(payload, header.Mask, 0)
	r.fresh = r.fresh[start+int(header.Length):]
	if header.OpCode.IsControl() {
		return control(header.OpCode, payload)
	}
	opcode, message := r.in.piece(header, payload)
	return opcode, message, nil
}

// check looks at a header before its payload has come.
func (i *inbox) check(header wire.Header, limit int64) error {
	state := wire.StateServerSide
	if i.inPieces {
		state = state.Set(wire.StateFragmented)
	}
	if err := wire.CheckHeader(header, state); err != nil {
		return &protocolError{CloseProtocol, err.Error()}
	}
	if limit > 0 && !header.OpCode.IsControl() && header.Length > limit-int64(len(i.message)) {
		return &protocolError{CloseTooBig, fmt.Sprintf("a message may have %d bytes", limit)}
	}
	return nil
}

// piece takes a frame of a message, and gives the message where it is the last.
func (i *inbox) piece(header wire.Header, payload []byte) (wire.OpCode, []byte) {
	if header.OpCode != wire.OpContinuation {
		i.opcode = header.OpCode
	}
	whole := header.Fin && !i.inPieces
	i.inPieces = !header.Fin
	if whole {
		return i.opcode, payload
	}
	i.message = append(i.message, payload...)
	if i.inPieces {
		return wire.OpContinuation, nil
	}
	message := i.message
	i.message = nil // it is the handler's now
	return i.opcode, message
}

func control(opcode wire.OpCode, payload []byte) (wire.OpCode, []byte, error) {
	if opcode != wire.OpClose {
		return opcode, payload, nil
	}
	switch len(payload) {
	case 0:
		return 0, nil, &goodbye{CloseNormal}
	case 1:
		return 0, nil, &protocolError{CloseProtocol, "half a close code"}
	}
	code, reason := wire.ParseCloseFrameData(payload)
	known := code
	if code == CloseRestart || code == CloseTryLater { // younger than the RFC, and unknown to the codec
		known = CloseNormal
	}
	if err := wire.CheckCloseFrameData(known, reason); err != nil {
		return 0, nil, &protocolError{CloseProtocol, err.Error()}
	}
	if code > wire.StatusRangePrivate.Max { // the codec lets these pass
		return 0, nil, &protocolError{CloseProtocol, "a close code above 4999"}
	}
	return 0, nil, &goodbye{int(code)}
}
