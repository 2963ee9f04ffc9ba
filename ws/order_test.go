package ws_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	wire "github.com/gobwas/ws"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/broker"
	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

var orderRounds = flag.Int("order.rounds", 20, "random conversations that TestOrder plays")

// Clients subscribe, publish, type, ask and unsubscribe, all at once, over
// connections that take a few bytes now and some more then. Whatever each of them
// is sent is in an order in which it can have happened.
func TestOrder(t *testing.T) {
	for round := range *orderRounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { playSalon(t, dir, uint64(round)) })
		})
	}
}

var channelsOfSalon = []string{"room:a", "room:b", "live:a", "live:b"}

// salon is a hub and those who speak in it.
type salon struct {
	// static after construction
	t        *testing.T
	hub      *ws.Hub
	log      *store.Log
	tight    bool          // queues may run over
	over     chan struct{} // closed when all has been said
	speakers []*speaker

	tick atomic.Int64 // counts what begins and ends
}

// utterance is one frame of a client's. id is unique, and a message's key too.
type utterance struct {
	by                *speaker
	kind, channel, id string
	number            int   // of a message, among the speaker's in that channel
	began, ended      int64 // ticks; ended is 0 where it was not handled
}

func playSalon(t *testing.T, dir string, seed uint64) {
	everyone := map[ws.Action][]string{}
	for _, action := range []ws.Action{ws.ActionSubscribe, ws.ActionPublish, ws.ActionRead, ws.ActionPresence} {
		everyone[action] = []string{auth.RoleUser}
	}
	rules, err := ws.NewRules(map[string]ws.Rule{"live:*": {Allow: everyone}, "room:*": {Allow: everyone, History: ws.History{Count: 100_000}}})
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.OpenSQLite(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	log := store.NewLog(db, store.LogOptions{History: rules.History, DedupeWindow: time.Minute, ForgetAfter: time.Hour})
	w := &salon{t: t, log: log, tight: seed%4 == 3, over: make(chan struct{})}
	opts := ws.Options{
		Rules: rules, Broker: &broker.Memory{}, Log: log, Poller: &straits{},
		PingInterval: time.Hour, PingTimeout: time.Minute, WriteTimeout: time.Minute, CloseTimeout: time.Minute,
	}
	if w.tight {
		opts.QueueBytes = 8000
	}
	if w.hub, err = ws.NewHub(opts); err != nil {
		t.Fatal(err)
	}
	w.play(seed)
	if err := w.hub.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if st := w.hub.Stats(); st.QueueBytes != 0 || st.Channels != 0 || st.Sessions != 0 {
		t.Errorf("all have gone, and there are %+v", st)
	}
	log.Shutdown()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func (w *salon) play(seed uint64) {
	var speaking, hearing sync.WaitGroup
	for i := range 6 {
		s := &speaker{
			w: w, name: fmt.Sprint("s", i), rng: rand.New(rand.NewPCG(seed, uint64(i))), conn: newStrait(200),
			joined: make(map[string]bool), numbers: make(map[string]int),
		}
		lazy := rand.New(rand.NewPCG(seed, uint64(200+i)))
		s.conn.pause = func() { time.Sleep(time.Duration(lazy.IntN(50)) * time.Microsecond) } // others speak meanwhile
		w.speakers = append(w.speakers, s)
		s.conn.enterHub(w.hub, s.name)
		speaking.Go(s.speak)
		hearing.Go(func() { s.hear(rand.New(rand.NewPCG(seed, uint64(100+i)))) })
	}
	speaking.Wait()
	close(w.over)
	hearing.Wait()
	for _, s := range w.speakers {
		s.conn.give(1 << 30)
	}
	time.Sleep(time.Second)
	heard, acked := make(map[string]int), acknowledged(w.speakers)
	for _, s := range w.speakers {
		newListener(s, acked, heard).check()
		s.conn.Close(true)
	}
	w.t.Logf("they heard %v", heard)
}

// speaker is a client.
type speaker struct {
	w    *salon
	name string
	conn *strait

	// owned by speak, and others' when it has returned
	rng     *rand.Rand
	joined  map[string]bool
	numbers map[string]int // messages, by channel
	said    []*utterance
}

// speak says this and that, and then may say goodbye.
func (s *speaker) speak() {
	for range 150 {
		if s.rng.IntN(3) == 0 {
			time.Sleep(time.Duration(s.rng.IntN(300)) * time.Microsecond)
		}
		channel := channelsOfSalon[s.rng.IntN(len(channelsOfSalon))]
		switch n := s.rng.IntN(20); {
		case n < 9:
			s.say("publish", channel, fmt.Sprintf(`,"data":%q`, strings.Repeat("x", s.rng.IntN(400))))
		case n < 11:
			s.say("typing", channel, `,"isTyping":true`)
		case n < 15:
			s.say("subscribe", channel, "")
			s.joined[channel] = true
		case n < 18 && s.joined[channel]:
			s.say("unsubscribe", channel, "")
			s.joined[channel] = false
		case n < 19:
			s.say("presence", channel, "")
		default:
			s.say("ping", "", "")
		}
	}
	if s.rng.IntN(2) == 0 {
		s.conn.sayFrame(wire.NewCloseFrame(wire.NewCloseFrameBody(wire.StatusNormalClosure, "")))
	}
}

func (s *speaker) say(kind, channel, rest string) {
	u := &utterance{by: s, kind: kind, channel: channel, id: fmt.Sprint(s.name, ".", len(s.said)), began: s.w.tick.Add(1)}
	if kind == "publish" {
		s.numbers[channel]++
		u.number = s.numbers[channel]
	}
	s.said = append(s.said, u)
	if s.conn.say(fmt.Sprintf(`{"type":%q,"id":%q,"key":%q,"channel":%q%s}`, kind, u.id, u.id, channel, rest)) {
		u.ended = s.w.tick.Add(1)
	}
}

// hear makes room now and then.
func (s *speaker) hear(rng *rand.Rand) {
	most := 1 + rng.IntN(2000)
	for {
		select {
		case <-time.After(time.Duration(1+rng.IntN(200)) * time.Microsecond):
			s.conn.give(rng.IntN(most))
		case <-s.w.over:
			return
		}
	}
}
