package ws_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/broker"
	"github.com/gatecast/gatecast/ws"
)

// narrowHub is a hub of straits, in a bubble, with a queue of 1000 bytes a session.
func narrowHub(t *testing.T) *ws.Hub {
	t.Helper()
	everyone := []string{auth.RoleUser}
	rules, err := ws.NewRules(map[string]ws.Rule{"room:*": {Allow: map[ws.Action][]string{ws.ActionSubscribe: everyone, ws.ActionPublish: everyone}}})
	if err != nil {
		t.Fatal(err)
	}
	hub, err := ws.NewHub(ws.Options{
		Rules: rules, Broker: &broker.Memory{}, Poller: &straits{}, QueueBytes: 1000,
		PingInterval: time.Hour, PingTimeout: time.Minute, WriteTimeout: 10 * time.Second, CloseTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return hub
}

// publishTo publishes a message of some 400 bytes with a key.
func publishTo(t *testing.T, hub *ws.Hub, key string) {
	t.Helper()
	publishSized(t, hub, key, 250)
}

func publishSized(t *testing.T, hub *ws.Hub, key string, size int) {
	t.Helper()
	m := ws.Message{Channel: "room:1", Key: key, Data: fmt.Appendf(nil, "%q", strings.Repeat("x", size))}
	if _, err := hub.Publish(context.Background(), auth.Claims{Subject: "rest", Role: auth.RoleUser}, m); err != nil {
		t.Error(err)
	}
}

// joinNarrow is a client in room:1 with everything read so far.
func joinNarrow(hub *ws.Hub) *strait {
	s := newStrait(1 << 20)
	s.enterHub(hub, "alice")
	s.say(`{"type":"subscribe","channel":"room:1"}`)
	synctest.Wait()
	s.mu.Lock()
	s.room = 0
	s.mu.Unlock()
	return s
}

// L8: whatever a queue runs over with, and whenever, the frame that has begun is
// finished, and the close frame follows it.
func TestOverflowCutsNoFrameL8(t *testing.T) {
	for name, row := range map[string]struct {
		play func(t *testing.T, hub *ws.Hub, s *strait)
		want []string
	}{
		"while a part of a frame is written": {func(t *testing.T, hub *ws.Hub, s *strait) {
			publishTo(t, hub, "1")
			synctest.Wait() // it waits, and has begun
			s.duringNextWrite(func() {
				for range 30 {
					s.say(`{"type":"ping"}`)
				}
			})
			s.give(50)
		}, []string{"message1", "4408"}},
		"by what comes while a part of a frame is written": {func(t *testing.T, hub *ws.Hub, s *strait) {
			publishTo(t, hub, "1")
			synctest.Wait()
			publishTo(t, hub, "2")
			synctest.Wait() // both wait, and the first one has begun
			s.duringNextWrite(func() {
				for range 15 {
					s.say(`{"type":"ping"}`)
				}
			})
			s.give(50)
		}, []string{"message1", "4408"}},
		"by a batch that is larger than the queue": {func(t *testing.T, hub *ws.Hub, s *strait) {
			bob := newStrait(1 << 20)
			bob.enterHub(hub, "bob")
			s.give(450) // for the message and a part of what comes next
			s.duringNextWrite(func() {
				for range 20 {
					bob.say(`{"type":"typing","channel":"room:1","isTyping":true}`)
				}
			})
			publishTo(t, hub, "1")
			synctest.Wait()
			bob.Close(true)
		}, []string{"message1", "typing", "4408"}},
		"by what comes for one that is full": {func(t *testing.T, hub *ws.Hub, s *strait) {
			for i := range 4 {
				publishTo(t, hub, fmt.Sprint(1+i))
				synctest.Wait()
			}
		}, []string{"message1", "4408"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := narrowHub(t)
				s := joinNarrow(hub)
				before := len(s.heardOf(t))
				s.give(100)
				row.play(t, hub, s)
				for range 100 { // piece by piece
					synctest.Wait()
					s.give(20)
				}
				time.Sleep(time.Minute)
				if got := s.heardOf(t)[before:]; !slices.Equal(got, row.want) {
					t.Errorf("the client got %v, want %v", got, row.want)
				}
				s.Close(true)
				if err := hub.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// L8: where a queue has run over, nothing that came behind the gap goes out, also
// when the session is closed for another reason just then: the client would ask
// for what follows the last message that it has seen.
func TestOverflowLeavesNoGapL8(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := narrowHub(t)
		s := joinNarrow(hub)
		before := len(s.heardOf(t))
		s.give(100)
		crowd := inShardOf(hub)
		bob := crowd[len(crowd)-1]
		bob.say(`{"type":"subscribe","channel":"room:1"}`)
		synctest.Wait()
		publishTo(t, hub, "1")
		synctest.Wait() // it waits
		bob.duringNextWrite(func() {
			publishSized(t, hub, "3", 1)
			hub.CloseSessions(func(c auth.Claims) bool { return c.Subject == "alice" }, 4000, "so long")
		})
		publishSized(t, hub, "2", 500) // there is no room for it
		synctest.Wait()
		s.give(1 << 20)
		time.Sleep(time.Minute)
		if got, want := s.heardOf(t)[before:], []string{"user_joined", "4000"}; !slices.Equal(got, want) {
			t.Errorf("the client got %v, want %v", got, want)
		}
		s.Close(true)
		for _, other := range crowd {
			other.Close(true)
		}
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// inShardOf has others connect until one shares its shard with who was the last
// before them. A hub has as many shards as Go has processors, and fills them in
// turn.
func inShardOf(hub *ws.Hub) (others []*strait) {
	for range runtime.GOMAXPROCS(0) {
		s := newStrait(1 << 20)
		s.enterHub(hub, "bob")
		others = append(others, s)
	}
	return others
}

// A goodbye lets go out what waits, also where that is much.
func TestCloseFlushesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := narrowHub(t)
		s := joinNarrow(hub)
		before := len(s.heardOf(t))
		bob := newStrait(1 << 20)
		bob.enterHub(hub, "bob")
		for i := range 2 {
			publishTo(t, hub, fmt.Sprint(1+i))
			synctest.Wait() // it waits
		}
		s.duringNextWrite(func() {
			for range 3 {
				bob.say(`{"type":"typing","channel":"room:1","isTyping":true}`)
			}
			hub.CloseSessions(func(c auth.Claims) bool { return c.Subject == "alice" }, 4000, "so long")
		})
		s.give(50)
		synctest.Wait()
		s.give(1 << 20)
		time.Sleep(time.Minute)
		if got, want := s.heardOf(t)[before:], []string{"message1", "message2", "typing", "typing", "typing", "4000"}; !slices.Equal(got, want) {
			t.Errorf("the client got %v, want %v", got, want)
		}
		s.Close(true)
		bob.Close(true)
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// What waits for a session that goes while it is written to is counted no more.
func TestQueueBytesOfTheGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := narrowHub(t)
		s := joinNarrow(hub)
		s.give(100)
		s.duringNextWrite(func() {
			s.Close(true)
			<-s.gone
		})
		publishTo(t, hub, "1")
		synctest.Wait()
		if st := hub.Stats(); st.QueueBytes != 0 || st.Sessions != 0 || st.Subscriptions != 0 || st.Channels != 0 {
			t.Errorf("all have gone, and there are %+v", st)
		}
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
