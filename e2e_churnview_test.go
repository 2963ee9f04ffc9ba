package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// churnFrame is what a client of TestChurn reads of a frame, or of a message in a
// list.
type churnFrame struct {
	Type      string       `json:"type"`
	ID        string       `json:"id"`
	Channel   string       `json:"channel"`
	ClientID  string       `json:"clientId"`
	Username  string       `json:"username"`
	Key       string       `json:"key"`
	Epoch     string       `json:"epoch"`
	Seq       int64        `json:"seq"`
	Recovered *bool        `json:"recovered"`
	Code      string       `json:"code"`
	Data      string       `json:"data"`
	Messages  []churnFrame `json:"messages"`
}

// parseChurnFrame reads no more than the channel of those long lists that every
// member is sent all the time.
func parseChurnFrame(data []byte) (*churnFrame, error) {
	f := &churnFrame{}
	if list, ok := bytes.CutPrefix(data, []byte(`{"type":"presence","channel":"`)); ok {
		channel, _, _ := bytes.Cut(list, []byte(`"`))
		f.Type, f.Channel = "presence", string(channel)
		return f, nil
	}
	return f, json.Unmarshal(data, f)
}

// churnSpot is a place in a channel that remembers.
type churnSpot struct {
	epoch string
	seq   int64
}

// churnView is what a client has of one channel.
type churnView struct {
	name  string
	keeps bool

	joined   bool
	changing bool           // it has asked to join or to leave
	at       churnSpot      // through all connections
	numbers  map[string]int // of the last message, by connection
}

func newChurnView(name string) *churnView {
	keeps := strings.HasPrefix(name, "room:") || strings.HasPrefix(name, "short:")
	return &churnView{name: name, keeps: keeps, numbers: make(map[string]int)}
}

// forgetConnection is for a client that comes back.
func (v *churnView) forgetConnection() { v.joined, v.changing = false, false }

// take holds a frame against what the client may be sent. mu is held.
func (l *churnLife) take(f *churnFrame) {
	l.w.count(f.Type)
	ask, asked := l.pending[f.ID]
	delete(l.pending, f.ID)
	switch {
	case f.ID != "" && (!asked || ask.answer != f.Type || ask.channel != f.Channel):
		l.w.wrong("%s asked for %+v, and is answered %+v", l.tag, ask, *f)
		return
	case f.Type == "welcome":
		if f.Username != l.user || l.clientID != "" {
			l.w.wrong("%s is welcomed as %s", l.tag, f.Username)
		}
		l.clientID = f.ClientID
		return
	case f.Type == "pong":
		return
	case f.Type == "history":
		l.checkPage(f)
		return
	case f.Type == "ack":
		l.takeAck(ask, f)
		return
	case f.Type == "presence" && asked:
		return
	}
	v := l.views[f.Channel]
	if f.Type == "subscribed" {
		l.begin(v, ask, asked, f)
		return
	}
	if v == nil || !v.joined {
		l.w.wrong("%s is not in %s, and gets %+v", l.tag, f.Channel, *f)
		return
	}
	switch f.Type {
	case "unsubscribed":
		v.joined, v.changing = false, false
	case "message":
		l.move(v, f)
	case "typing":
		if f.ClientID == l.clientID {
			l.w.wrong("%s is told that it types", l.tag)
		}
	case "user_joined", "user_left", "presence":
	default:
		l.w.wrong("%s gets %+v", l.tag, *f)
	}
}

// begin is for subscribed: of the lobby, which all join, of what the client has
// asked for, and the server's own word that messages are lost.
func (l *churnLife) begin(v *churnView, ask churnAsk, asked bool, f *churnFrame) {
	if v == nil {
		v = newChurnView(f.Channel)
		l.views[f.Channel] = v
	}
	since := v.at
	switch {
	case asked:
		v.changing = false
		if ask.since != nil {
			since = *ask.since
		}
	case v.joined && !strings.HasPrefix(v.name, "short:") || !v.joined && v.name != "lobby":
		l.w.wrong("%s has not asked for %+v", l.tag, *f)
	}
	v.joined = true
	if v.keeps != (f.Epoch != "") {
		l.w.wrong("%s: %+v", l.tag, *f)
	}
	switch {
	case f.Recovered == nil:
		clear(v.numbers)
	case *f.Recovered:
		l.w.count("recovered")
		v.at = since
		clear(v.numbers) // what is between since and now comes again
		for i := range f.Messages {
			l.move(v, &f.Messages[i])
		}
		if v.at != (churnSpot{f.Epoch, f.Seq}) {
			l.w.wrong("%s has %v of %s and is said to have %s %d", l.tag, v.at, v.name, f.Epoch, f.Seq)
		}
	default:
		l.w.count("lost")
		clear(v.numbers)
		if !strings.HasPrefix(v.name, "short:") {
			l.w.wrong("%s has lost something in %s behind %v: %+v", l.tag, v.name, since, *f)
		}
	}
	v.at = churnSpot{f.Epoch, f.Seq}
}

// move takes a message: in a channel that remembers the next one, or one that was
// acked before; in another one the next of its sender's.
func (l *churnLife) move(v *churnView, f *churnFrame) {
	sender, n := l.marksOf(f)
	own := sender == l.clientID
	if own && !v.keeps || f.ClientID != sender {
		l.w.wrong("%s: a message of %s's in %s comes from %s", l.tag, sender, v.name, f.ClientID)
		return
	}
	if v.keeps && own && f.Seq <= v.at.seq {
		return
	}
	if v.keeps {
		if f.Seq != v.at.seq+1 {
			l.w.wrong("%s has %d of %s and gets %d", l.tag, v.at.seq, v.name, f.Seq)
		}
		v.at.seq = f.Seq
		l.w.crew.ledger.seen(f.Key, spot{v.name, f.Seq})
	}
	if own { // its number may have been acked already
		return
	}
	if last, seen := v.numbers[sender]; seen && n != last+1 {
		l.w.wrong("%s has message %d of %s's in %s and gets %d", l.tag, last, sender, v.name, n)
	}
	v.numbers[sender] = n
}

// marksOf reads what a message says of itself.
func (l *churnLife) marksOf(f *churnFrame) (sender string, n int) {
	parts := strings.Split(f.Data, "|")
	if len(parts) < 3 || parts[0] != f.Channel || !strings.HasPrefix(f.Data, f.Key) {
		l.w.wrong("%s: %+v is not for this channel", l.tag, *f)
		return "", 0
	}
	n, _ = strconv.Atoi(parts[2])
	return parts[1], n
}

// takeAck moves on where the message is the next one. Acks come in the order of
// the messages.
func (l *churnLife) takeAck(ask churnAsk, f *churnFrame) {
	v := newChurnView(f.Channel)
	if known := l.views[f.Channel]; known != nil {
		v = known
	}
	if ask.number == 0 { // typing
		return
	}
	if l.acked[v.name]+1 != ask.number || v.keeps != (f.Seq > 0) {
		l.w.wrong("%s: message %d in %s was acked, and now %d with %+v", l.tag, l.acked[v.name], v.name, ask.number, *f)
	}
	l.acked[v.name] = ask.number
	if v.keeps {
		l.w.crew.ledger.ack(fmt.Sprintf("%s|%s|%d", v.name, l.clientID, ask.number), spot{v.name, f.Seq})
		if v.joined && f.Seq == v.at.seq+1 {
			v.at.seq++
		}
	}
}

// checkPage is for history.
func (l *churnLife) checkPage(f *churnFrame) {
	for i := range f.Messages {
		m := &f.Messages[i]
		l.marksOf(m)
		if i > 0 && m.Seq != f.Messages[i-1].Seq+1 {
			l.w.wrong("%s: a page of %s has %d behind %d", l.tag, f.Channel, m.Seq, f.Messages[i-1].Seq)
		}
		l.w.crew.ledger.seen(m.Key, spot{f.Channel, m.Seq})
	}
}
