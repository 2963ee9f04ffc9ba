package ws_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/broker"
	"github.com/gatecast/gatecast/ratelimit"
	"github.com/gatecast/gatecast/ws"
)

// C6, T6: however often something becomes due at once, what is due goes on being
// done: a token that has ended ends its session, and who does not answer is closed.
func TestSweepIsNotPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules, err := ws.NewRules(map[string]ws.Rule{"lobby": {}})
		if err != nil {
			t.Fatal(err)
		}
		hub, err := ws.NewHub(ws.Options{
			Rules: rules, Broker: &broker.Memory{}, Poller: &straits{}, ExpiryNotice: time.Minute,
			PingInterval: 2 * time.Second, PingTimeout: time.Second, WriteTimeout: time.Second, CloseTimeout: 10 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		enter := func(life time.Duration) *strait {
			s := newStrait(1 << 20)
			hub.Serve(taken{strait: s}, ws.Entry{
				Bearer:  auth.NewBearer(auth.Claims{Subject: "1", Username: "alice", Role: auth.RoleUser, ExpiresAt: time.Now().Add(life)}),
				Limiter: ratelimit.NewLimiter(nil, ratelimit.Rate{}, ratelimit.Rate{}),
			})
			return s
		}
		old, silent := enter(time.Second), enter(time.Hour)
		for range 100 { // 5 s
			time.Sleep(50 * time.Millisecond)
			enter(30 * time.Second).Close(true) // is to be warned at once
		}
		for name, s := range map[string]*strait{"a token has ended": old, "a ping is not answered": silent} {
			if !s.hasEnded() {
				t.Errorf("%s, and the session has not: %v", name, s.heardOf(t))
			}
		}
		old.Close(true)
		silent.Close(true)
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
