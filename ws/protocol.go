package ws

import (
	"encoding/json"
	"strconv"
	"time"

	wire "github.com/gobwas/ws"
)

// Version is the protocol's name, offered and echoed as WebSocket subprotocol.
const Version = "gatecast.v1"

// DefaultChannel is where chat and typing go that name no channel.
const DefaultChannel = "lobby"

// Frame types that clients send. docs/protocol.md describes each.
const (
	TypeSubscribe   = "subscribe"
	TypeUnsubscribe = "unsubscribe"
	TypePublish     = "publish"
	TypeChat        = "chat" // also what the server relays
	TypeTyping      = "typing"
	TypePresence    = "presence" // also the reply
	TypeHistory     = "history"  // also the reply
	TypeRefresh     = "refresh"
	TypePing        = "ping"
)

// Frame types that only the server sends.
const (
	TypeWelcome      = "welcome"
	TypeSubscribed   = "subscribed"
	TypeUnsubscribed = "unsubscribed"
	TypeAck          = "ack"
	TypeMessage      = "message"
	TypeRemoved      = "removed" // stands where a message was
	TypeUserJoined   = "user_joined"
	TypeUserLeft     = "user_left"
	TypeExpiring     = "expiring"
	TypeRefreshed    = "refreshed"
	TypePong         = "pong"
	TypeError        = "error"
)

const (
	// DefaultEvent is the event of a publish that names none.
	DefaultEvent = "message"

	maxDepth      = 32  // levels of JSON nesting
	maxID         = 64  // bytes of a frame's id as JSON
	maxKey        = 128 // bytes of an idempotency key
	maxEvent      = 64  // bytes of an event's name
	maxChannel    = 255 // bytes of a channel's name
	maxReason     = 123 // bytes of a close frame's reason (RFC 6455, 5.5)
	violationSpan = 10 * time.Second

	// PageDefault and PageMax are how many messages a history page holds.
	PageDefault = 50
	PageMax     = 100
	pageBytes   = 256 << 10 // bytes of data in a page, unless one message has more
)

// What a frame costs in tokens of the message bucket.
const (
	costMessage = 1
	costTyping  = 0.2
	costPing    = 0.1
)

type welcomeFrame struct {
	Type string `json:"type"`
	Sender
	Message     string    `json:"message"`
	ExpiresAt   timestamp `json:"expiresAt"`
	HeartbeatMs int64     `json:"heartbeatMs"`
	Limits      limits    `json:"limits"`
}

// limits are what a client may want to know before it runs into them; 0 is
// unlimited.
type limits struct {
	MessageBytes  int         `json:"messageBytes"`
	Subscriptions int         `json:"subscriptions"`
	Messages      messageRate `json:"messages"`
}

type messageRate struct {
	Rate  float64 `json:"rate"` // a second
	Burst int     `json:"burst"`
}

type typingFrame struct {
	Type    string `json:"type"`
	Channel string `json:"channel"`
	Sender
	IsTyping  bool      `json:"isTyping"`
	Timestamp timestamp `json:"timestamp"`
}

// crossingFrame is user_joined and user_left.
type crossingFrame struct {
	Type    string `json:"type"`
	Channel string `json:"channel"`
	Sender
	Message   string    `json:"message"`
	Timestamp timestamp `json:"timestamp"`
}

// subscribedFrame has presence and its messages put in behind, byte for byte.
type subscribedFrame struct {
	Type      string          `json:"type"`
	ID        json.RawMessage `json:"id,omitempty"`
	Channel   string          `json:"channel"`
	*Position                 // what the client now has; nil without history
	Recovered *bool           `json:"recovered,omitempty"`
}

// historyFrame has its messages put in behind, byte for byte.
type historyFrame struct {
	Type    string          `json:"type"`
	ID      json.RawMessage `json:"id,omitempty"`
	Channel string          `json:"channel"`
	Epoch   string          `json:"epoch,omitempty"` // of the messages' numbers
	More    bool            `json:"more"`
}

// presenceFrame is the reply, and without an ID the list that ends the
// summaries.
type presenceFrame struct {
	Type    string          `json:"type"`
	ID      json.RawMessage `json:"id,omitempty"`
	Channel string          `json:"channel"`
	Presence
}

// summaryFrame is who came and went in a large channel. It has no users, by which
// a client tells it from a list.
type summaryFrame struct {
	Type    string `json:"type"` // TypePresence
	Channel string `json:"channel"`
	Count   *int   `json:"count,omitempty"` // users in all; nil where it is not told
	Joined  []User `json:"joined"`
	Left    []User `json:"left"`
	More    bool   `json:"more,omitempty"` // others came or went too
}

type ackFrame struct {
	id        json.RawMessage
	channel   string
	seq       int64 // 0 in a channel without history
	timestamp timestamp
	duplicate bool
}

// ackBytes is about what an ack takes beside its channel's name.
const ackBytes = 160

// frame is the ack as a whole WebSocket frame. There is one for every message,
// and encoding/json would take ten times as long.
func (a *ackFrame) frame() []byte {
	b := make([]byte, headRoom, headRoom+ackBytes+len(a.channel))
	b = append(b, `{"type":"`+TypeAck+`"`...)
	if len(a.id) > 0 {
		b = append(b, `,"id":`...)
		b = append(b, a.id...)
	}
	b = appendMember(b, "channel", a.channel)
	if a.seq > 0 {
		b = append(b, `,"seq":`...)
		b = strconv.AppendInt(b, a.seq, 10)
	}
	b = append(b, `,"timestamp":`...)
	b = a.timestamp.append(b)
	if a.duplicate {
		b = append(b, `,"duplicate":true`...)
	}
	return seal(wire.OpText, append(b, '}'))
}

// expiryFrame is expiring and refreshed.
type expiryFrame struct {
	Type      string          `json:"type"`
	ID        json.RawMessage `json:"id,omitempty"`
	ExpiresAt timestamp       `json:"expiresAt"`
}

// replyFrame is a reply that says no more than that: unsubscribed, pong.
type replyFrame struct {
	Type      string          `json:"type"`
	ID        json.RawMessage `json:"id,omitempty"`
	Channel   string          `json:"channel,omitempty"`
	Timestamp timestamp       `json:"timestamp,omitzero"`
}

type errorFrame struct {
	Type         string          `json:"type"`
	Code         string          `json:"code"`
	Message      string          `json:"message"`
	ID           json.RawMessage `json:"id,omitempty"`
	Channel      string          `json:"channel,omitempty"`
	RetryAfterMs int64           `json:"retryAfterMs,omitempty"`
}

// timestamp is ISO 8601 in UTC with milliseconds, as JavaScript writes it.
type timestamp time.Time

func (t timestamp) IsZero() bool { return time.Time(t).IsZero() }

func (t timestamp) MarshalJSON() ([]byte, error) { return t.append(nil), nil }

func (t timestamp) append(b []byte) []byte {
	utc := time.Time(t).UTC()
	year, month, day := utc.Date()
	hour, minute, second := utc.Clock()
	b = append(b, '"')
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), int(month), 2)
	b = appendDigits(append(b, '-'), day, 2)
	b = appendDigits(append(b, 'T'), hour, 2)
	b = appendDigits(append(b, ':'), minute, 2)
	b = appendDigits(append(b, ':'), second, 2)
	b = appendDigits(append(b, '.'), utc.Nanosecond()/int(time.Millisecond), 3)
	return append(b, 'Z', '"')
}

// appendDigits appends the last digits of n. There is a time in every message and
// every ack, and time's own AppendFormat takes four times as long.
func appendDigits(b []byte, n, digits int) []byte {
	b = append(b, "0000"[:digits]...)
	for i := len(b) - 1; digits > 0; i, digits = i-1, digits-1 {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// openFrame is v's text frame without its end, for members to be appended that
// are JSON already, of about so many bytes. seal ends it, behind the closing brace.
func openFrame(v any, bytes int) []byte {
	encoded := encode(v)
	b := make([]byte, headRoom, headRoom+len(encoded)+bytes)
	return append(b, encoded[:len(encoded)-1]...)
}

// appendMessageList appends messages as the member of that name.
func appendMessageList(b []byte, messages []Message) []byte {
	return AppendMessages(append(b, `,"messages":`...), messages)
}

// sizeOf is about what messages take as such a member.
func sizeOf(messages []Message) int {
	size := len(`,"messages":[]`)
	for i := range messages {
		size += messages[i].size() + 1
	}
	return size
}

// AppendMessages appends messages as a JSON array, as every list of them is.
func AppendMessages(b []byte, messages []Message) []byte {
	b = append(b, '[')
	for i := range messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = messages[i].AppendJSON(b)
	}
	return append(b, ']')
}
