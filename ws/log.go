package ws

import (
	"context"
	"errors"
	"time"
)

// Log is the durable memory of the channels that have a history. What it has
// acknowledged is stored; a channel's messages are numbered 1, 2, 3 without a
// hole, and its epoch tells one life of the channel from another.
type Log interface {
	// Append queues m and returns at once: ErrBusy where the queue is full, and
	// then done is not called. Otherwise done is called once, after the commit
	// or with ErrUnavailable or ErrUnknown, on a goroutine of the Log that must
	// not be kept long. Messages of one channel are done in their order.
	Append(m Message, done func(Receipt, error)) error
	// Open tells where a channel is, after giving it its epoch where it had
	// none, and keeps the channel from being forgotten until Close.
	Open(ctx context.Context, channel string) (Position, error)
	// Close takes back one successful Open.
	Close(channel string)
	// Read gives a part of a channel. A channel that the Log does not know is an
	// empty Page.
	Read(ctx context.Context, channel string, span Span) (Page, error)
	// List describes channels, by name. more tells that there are others behind
	// them.
	List(ctx context.Context, q ListQuery) (list []ChannelInfo, more bool, err error)
}

var (
	// ErrBusy: more is waiting to be stored than may wait; try again soon.
	ErrBusy = errors.New("ws: the log is busy")
	// ErrUnavailable: the log cannot store or read now. What it refused is not
	// stored.
	ErrUnavailable = errors.New("ws: the log is unavailable")
	// ErrUnknown: the log lost its database while it stored, and cannot tell
	// whether it has. Sending again with the same key is safe.
	ErrUnknown = errors.New("ws: it is not known whether the log has stored this")
)

// Position is a place in a channel: everything up to and with Seq.
type Position struct {
	Epoch string `json:"epoch"`
	Seq   int64  `json:"seq"`
}

// Receipt tells where a message is stored.
type Receipt struct {
	Position
	Time      time.Time // in whole milliseconds
	Duplicate bool      // the key was there: this is the first message's place
}

// History is how much of a channel is kept. The zero History keeps nothing;
// otherwise a zero Count or Age sets no bound of its kind.
type History struct {
	Count int           // messages
	Age   time.Duration // since a message was stored
}

// Keeps tells whether anything is kept.
func (h History) Keeps() bool { return h != History{} }

// Span asks for the messages with After < seq < Before, in ascending order: the
// first ones, or the last ones where Newest is set.
type Span struct {
	After, Before int64 // Before 0 is no bound
	Limit         int   // messages
	Bytes         int   // of data, after which the Page ends; it holds one message at least
	Newest        bool
}

// Page is a part of a channel.
type Page struct {
	Epoch    string // empty where the channel is unknown
	Head     int64  // number of the newest message; 0 before the first
	Tail     int64  // number of the newest message that is no longer kept
	Messages []Message
	More     bool // the Span has more on the far side
}

// NameRange is the channels with From <= name < To, by bytes.
type NameRange struct{ From, To string }

// ListQuery asks for the channels in Ranges, which do not overlap and are in
// order, behind the name After.
type ListQuery struct {
	Ranges []NameRange
	After  string
	Limit  int // channels
	Bytes  int // of their last messages' data, after which the list ends; it has one channel at least
}

// ChannelInfo is what a list of channels says of one.
type ChannelInfo struct {
	Name string
	Position
	Last *Message // nil where nothing is kept
}
