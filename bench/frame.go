package main

import (
	"bytes"
	"encoding/binary"
)

// Opcodes of RFC 6455, 5.2.
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// frame is a frame from the server.
type frame struct {
	opcode  byte
	payload []byte
}

// readFrame reads the frame that b begins with; size is 0 where it is not all
// there.
func readFrame(b []byte) (f frame, size int) {
	if len(b) < 2 {
		return f, 0
	}
	length, head := uint64(b[1]&0x7f), 2
	switch {
	case length == 126 && len(b) >= 4:
		length, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case length == 127 && len(b) >= 10:
		length, head = binary.BigEndian.Uint64(b[2:]), 10
	case length >= 126:
		return f, 0
	}
	if uint64(len(b)-head) < length {
		return f, 0
	}
	size = head + int(length)
	return frame{b[0] & 0xf, b[head:size]}, size
}

// is tells whether it is a frame of that type. The server writes the type first.
func (f frame) is(frameType string) bool {
	const before = `{"type":"`
	rest, ok := bytes.CutPrefix(f.payload, []byte(before))
	return ok && len(rest) > len(frameType) && string(rest[:len(frameType)]) == frameType && rest[len(frameType)] == '"'
}

// tellsOfOthers is for who comes and who goes: no load waits for that.
func (f frame) tellsOfOthers() bool {
	return f.is("user_joined") || f.is("user_left") || f.is("presence")
}

// mask is what clients' frames are masked with. It makes no difference here
// that it is always the same.
var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// appendFrame appends a client's frame.
func appendFrame(b []byte, opcode byte, payload []byte) []byte {
	b = append(b, 0x80|opcode)
	if n := len(payload); n < 126 {
		b = append(b, 0x80|byte(n))
	} else {
		b = append(b, 0x80|126)
		b = binary.BigEndian.AppendUint16(b, uint16(n)) // nothing here is longer
	}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i&3])
	}
	return b
}

// template is a frame that is made once, with numbers in it that are written
// anew each time.
type template struct {
	frame []byte
	head  int // bytes before the payload
	slots []slotOf
}

// slotOf is where a number of a fixed width is.
type slotOf struct{ at, width int }

// newTemplate makes a text frame of text, in which each run of # is a number.
func newTemplate(text string) *template {
	payload := []byte(text)
	t := &template{}
	for i := 0; i < len(payload); i++ {
		start := i
		for i < len(payload) && payload[i] == '#' {
			i++
		}
		if i > start {
			t.slots = append(t.slots, slotOf{start, i - start})
		}
	}
	t.frame = appendFrame(nil, opText, payload)
	t.head = len(t.frame) - len(payload)
	return t
}

// fill writes numbers into the slots and gives the frame, which is good until
// the next fill.
func (t *template) fill(numbers ...int) []byte {
	for i, n := range numbers {
		s := t.slots[i]
		for at := s.at + s.width - 1; at >= s.at; at-- {
			t.frame[t.head+at] = byte('0'+n%10) ^ mask[at&3]
			n /= 10
		}
	}
	return t.frame
}
