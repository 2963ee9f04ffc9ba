package ws

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	wire "github.com/gobwas/ws"
)

// Message is what is published in a channel. Whoever publishes fills in the
// first part, the server the second.
type Message struct {
	Channel string
	Event   string // at most 64 bytes; empty is DefaultEvent
	Data    []byte // JSON, relayed byte for byte; any bytes where Binary is set
	Binary  bool
	Key     string // the client's own mark, at most 128 bytes; may be empty

	Sender  Sender
	Seq     int64 // 0 in a channel without history
	Time    time.Time
	Removed bool // its sender's account is gone, and with it all but the place
}

// Sender is who a message comes from, as the token says.
type Sender struct {
	ClientID string `json:"clientId,omitempty"` // empty where it came over REST
	UserID   string `json:"userId"`
	Username string `json:"username"`
}

// isChat tells whether m travels as a chat frame: event chat with a text.
func (m *Message) isChat() bool { return m.Event == TypeChat && !m.Binary && firstByte(m.Data) == '"' }

// frame is m as the WebSocket frame that members of its channel get.
func (m *Message) frame() []byte {
	b := m.payload()
	if m.Binary {
		return seal(wire.OpBinary, b)
	}
	return seal(wire.OpText, b)
}

// headBytes is what a message takes beside its texts and its data, but for escapes.
const headBytes = 168

// size is about what m takes as JSON.
func (m *Message) size() int {
	return headBytes + len(m.Channel) + len(m.Event) + len(m.Key) + len(m.Sender.ClientID) + len(m.Sender.UserID) + len(m.Sender.Username) + len(m.Data)
}

// payload is what the frame carries, behind headRoom bytes.
func (m *Message) payload() []byte {
	b := make([]byte, headRoom, headRoom+m.size())
	if !m.Binary {
		return m.AppendJSON(b)
	}
	b = append(m.appendHead(append(b, make([]byte, headerLength)...)), '}')
	binary.BigEndian.PutUint32(b[headRoom:], uint32(len(b)-headRoom-headerLength))
	return append(b, m.Data...)
}

// AppendJSON appends m as the object that message lists hold, which is also
// the frame of a message that is not binary. Binary data is in base64.
func (m *Message) AppendJSON(b []byte) []byte {
	b = m.appendHead(b)
	switch {
	case m.Removed:
	case m.isChat():
		b = append(b, `,"message":`...)
		b = append(b, m.Data...)
	case m.Binary:
		b = append(b, `,"encoding":"base64","data":"`...)
		b = base64.StdEncoding.AppendEncode(b, m.Data)
		b = append(b, '"')
	default:
		b = append(b, `,"data":`...)
		b = append(b, m.Data...)
	}
	return append(b, '}')
}

// appendHead appends all but the content and the closing brace.
func (m *Message) appendHead(b []byte) []byte {
	frameType := TypeMessage
	switch {
	case m.Removed:
		frameType = TypeRemoved
	case m.isChat():
		frameType = TypeChat
	}
	b = append(b, `{"type":"`...)
	b = append(b, frameType...)
	b = append(b, '"')
	b = appendMember(b, "channel", m.Channel)
	if m.Seq > 0 {
		b = append(b, `,"seq":`...)
		b = strconv.AppendInt(b, m.Seq, 10)
	}
	if !m.Removed {
		if frameType == TypeMessage {
			b = appendMember(b, "event", m.Event)
		}
		if m.Sender.ClientID != "" {
			b = appendMember(b, "clientId", m.Sender.ClientID)
		}
		b = appendMember(b, "userId", m.Sender.UserID)
		b = appendMember(b, "username", m.Sender.Username)
	}
	b = append(b, `,"timestamp":`...)
	b = timestamp(m.Time).append(b)
	if m.Key != "" {
		b = appendMember(b, "key", m.Key)
	}
	return b
}

// appendMember appends a string as a further member of an object.
func appendMember(b []byte, name, value string) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	if isPlain(value) {
		b = append(b, '"')
		b = append(b, value...)
		return append(b, '"')
	}
	return append(b, encode(value)...)
}

// isPlain tells whether s needs no escape in JSON.
func isPlain[text string | []byte | json.RawMessage](s text) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// headerLength is how many bytes tell the length of a binary frame's header.
const headerLength = 4

// splitBinary takes a binary frame apart into its JSON header and its payload.
func splitBinary(raw []byte) (header json.RawMessage, payload []byte, err error) {
	if len(raw) < headerLength {
		return nil, nil, badFrame("a binary frame begins with the length of its header in 4 bytes")
	}
	length := binary.BigEndian.Uint32(raw)
	if uint64(length) > uint64(len(raw)-headerLength) {
		return nil, nil, badFrame("the header of a binary frame is longer than the frame")
	}
	raw = raw[headerLength:]
	return json.RawMessage(raw[:length]), raw[length:], nil
}
