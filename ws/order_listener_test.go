package ws_test

import (
	"context"
	"encoding/json"
	"fmt"

	wire "github.com/gobwas/ws"

	"github.com/gatecast/gatecast/ws"
)

// listener goes through what a speaker was sent, from the first byte to the last.
type listener struct {
	*speaker
	totals map[string]int        // frames by type, of all speakers
	acked  map[string]bool       // messages of all speakers, by id
	known  map[string]*utterance // of all speakers, by id
	waits  []*utterance          // its own that are not answered, in order
	seats  map[string]*seatOf    // by channel
}

// seatOf is a client's place in a channel.
type seatOf struct {
	joined *utterance // the subscribe that made it a member; nil where it is none
	seq    int64
	last   map[*speaker]int // number of the last message from each, since it joined
}

func newListener(s *speaker, acked map[string]bool, totals map[string]int) *listener {
	l := &listener{speaker: s, acked: acked, totals: totals, known: make(map[string]*utterance), seats: make(map[string]*seatOf)}
	for _, other := range s.w.speakers {
		for _, u := range other.said {
			l.known[u.id] = u
		}
	}
	l.waits = append(l.waits, s.said...)
	for _, channel := range channelsOfSalon {
		l.seats[channel] = &seatOf{}
	}
	return l
}

func (l *listener) wrong(format string, args ...any) {
	l.w.t.Helper()
	l.w.t.Errorf("%s: %s", l.name, fmt.Sprintf(format, args...))
}

func (l *listener) check() {
	all, rest := l.conn.frames()
	if len(rest) > 0 {
		l.wrong("%d bytes of a frame whose end does not come", len(rest))
	}
	closed := 0
	for i, frame := range all {
		if frame.Header.OpCode == wire.OpClose {
			code, _ := wire.ParseCloseFrameData(frame.Payload)
			closed = int(code)
			if i != len(all)-1 {
				l.wrong("%d frames come behind the close frame", len(all)-1-i)
			}
			l.totals[fmt.Sprint(closed)]++
			break
		}
		f, err := readHeard(frame)
		if err != nil {
			l.wrong("%v in %.200q", err, frame.Payload)
			return
		}
		l.totals[f.Type]++
		if (i == 0) != (f.Type == ws.TypeWelcome) {
			l.wrong("frame %d is %s", i, f.Type)
		}
		l.take(f)
	}
	switch {
	case closed == ws.CloseTooSlow && l.w.tight:
	case closed == 0 || closed == ws.CloseNormal:
		l.checkEnd(closed == 0)
	default:
		l.wrong("closed with %d", closed)
	}
}

// heardFrame is what a client reads of a frame.
type heardFrame struct {
	Type, ID, Channel, Key, UserID, Code string
	Seq                                  int64
}

func readHeard(frame wire.Frame) (*heardFrame, error) {
	f := &heardFrame{}
	return f, json.Unmarshal(frame.Payload, f)
}

// acknowledged are the messages that speakers were told have been sent: what
// somebody says who is being closed is dropped.
func acknowledged(speakers []*speaker) map[string]bool {
	acked := make(map[string]bool)
	for _, s := range speakers {
		frames, _ := s.conn.frames()
		for _, frame := range frames {
			if f, err := readHeard(frame); err == nil && f.Type == ws.TypeAck {
				acked[f.ID] = true
			}
		}
	}
	return acked
}

func (l *listener) take(f *heardFrame) {
	if f.ID != "" {
		l.takeAnswer(f)
		return
	}
	if f.Type == ws.TypeWelcome {
		return
	}
	seat := l.seats[f.Channel]
	if seat == nil || seat.joined == nil {
		l.wrong("it is not in %s, and gets %+v", f.Channel, *f)
		return
	}
	switch f.Type {
	case ws.TypeMessage:
		l.takeMessage(seat, f)
	case ws.TypeTyping, ws.TypeUserJoined:
		if f.UserID == l.name {
			l.wrong("it is told of itself: %+v", *f)
		}
	case ws.TypeUserLeft:
	default:
		l.wrong("it gets %+v", *f)
	}
}

var answerTo = map[string]string{
	"publish": ws.TypeAck, "typing": ws.TypeAck, "subscribe": ws.TypeSubscribed, "unsubscribe": ws.TypeUnsubscribed,
	"presence": ws.TypePresence, "ping": ws.TypePong,
}

// takeAnswer wants answers in the order of the questions; those that wait for
// the log keep one of their own for each channel.
func (l *listener) takeAnswer(f *heardFrame) {
	u := l.known[f.ID]
	if u == nil || u.by != l.speaker || answerTo[u.kind] != f.Type || u.channel != f.Channel {
		l.wrong("%+v answers none of its frames", *f)
		return
	}
	for i, before := range l.waits {
		if before == u {
			l.waits = append(l.waits[:i:i], l.waits[i+1:]...)
			break
		}
		if queueOf(before) == queueOf(u) {
			l.wrong("%s %s is answered before %s %s", u.kind, u.id, before.kind, before.id)
		}
	}
	seat := l.seats[f.Channel]
	switch f.Type {
	case ws.TypeSubscribed:
		if seat.joined == nil {
			seat.joined, seat.last = u, make(map[*speaker]int)
		}
		seat.seq = f.Seq
	case ws.TypeUnsubscribed:
		l.checkWhole(u.channel, seat, u.began)
		seat.joined = nil
	case ws.TypeAck:
		if seat.joined != nil && f.Seq == seat.seq+1 {
			seat.seq++
		}
	}
}

// queueOf names what u is answered in the order of.
func queueOf(u *utterance) string {
	if u.kind == "publish" && u.channel[0] == 'r' {
		return u.channel
	}
	return ""
}

// takeMessage wants the next one: of the channel where that remembers, and
// otherwise of its speaker.
func (l *listener) takeMessage(seat *seatOf, f *heardFrame) {
	u := l.known[f.Key]
	switch {
	case u == nil || u.kind != "publish" || u.channel != f.Channel || u.by.name != f.UserID:
		l.wrong("nobody has said %+v", *f)
	case f.Seq == 0 && u.by == l.speaker:
		l.wrong("it gets its own message %+v", *f)
	case f.Seq == 0:
		if last, heard := seat.last[u.by]; heard && u.number != last+1 {
			l.wrong("message %d of %s in %s comes behind %d", u.number, u.by.name, u.channel, last)
		}
		seat.last[u.by] = u.number
	case f.Seq == seat.seq+1:
		seat.seq++
	case f.Seq > seat.seq || u.by != l.speaker:
		l.wrong("%d of %s comes behind %d", f.Seq, u.channel, seat.seq)
	}
}

// checkWhole looks whether all has come that was said in a channel that does not
// remember, after the client had joined and before the tick until.
func (l *listener) checkWhole(channel string, seat *seatOf, until int64) {
	if channel[0] == 'r' {
		return
	}
	for _, other := range l.w.speakers {
		newest := 0
		for _, u := range other.said {
			if u.kind == "publish" && u.channel == channel && l.acked[u.id] && u.began > seat.joined.ended && u.ended < until {
				newest = u.number
			}
		}
		if other != l.speaker && seat.last[other] < newest {
			l.wrong("message %d of %s in %s has not come, but %d", newest, other.name, channel, seat.last[other])
		}
	}
}

// checkEnd looks whether everything has come, of a client that was not closed for
// being slow. Who has said goodbye is sent no message after it.
func (l *listener) checkEnd(stays bool) {
	for _, u := range l.waits {
		if u.ended > 0 {
			l.wrong("%s %s is not answered", u.kind, u.id)
		}
	}
	for channel, seat := range l.seats {
		if seat.joined == nil || !stays {
			continue
		}
		l.checkWhole(channel, seat, l.w.tick.Load()+1)
		page, err := l.w.log.Read(context.Background(), channel, ws.Span{Limit: 1, Newest: true})
		if err != nil || page.Head != seat.seq {
			l.wrong("it has %d of %s, which is at %d: %v", seat.seq, channel, page.Head, err)
		}
	}
}
