package main

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

// settled polls until the core's counters have not changed for so long that they
// are up to date, and gives them.
func (s *server) settled() map[string]float64 {
	s.t.Helper()
	const upToDate = 1100 * time.Millisecond // they are within a second
	last, since := map[string]float64(nil), time.Now()
	eventually(s.t, "the metrics settle", func() bool {
		values := s.scrape()
		maps.DeleteFunc(values, func(name string, _ float64) bool {
			return !strings.HasPrefix(name, "gatecast_") || strings.HasPrefix(name, "gatecast_http")
		})
		if !maps.Equal(values, last) {
			last, since = values, time.Now()
		}
		return time.Since(since) > upToDate
	})
	return last
}

// gained checks by how much metrics have grown.
func gained(t *testing.T, what string, before, after, want map[string]float64) {
	t.Helper()
	for name, gain := range want {
		if got := after[name] - before[name]; got != gain {
			t.Errorf("%s: %s has grown by %v, want %v", what, name, got, gain)
		}
	}
}

// Each message counts once for each member that it goes to, and its publish and
// its ack are timed, in channels with and without history.
func TestMetricsOfMessages(t *testing.T) {
	const messages = 10
	s := start(t)
	alice, bob, carol := s.join("alice"), s.join("bob"), s.join("carol")
	for _, p := range []*peer{alice, bob, carol} {
		p.ask(`{"type":"subscribe","id":1,"channel":"live:1"}`)
	}
	before := s.settled()
	gained(t, "all are in", nil, before, map[string]float64{
		"gatecast_connections": 3, "gatecast_channels": 2, "gatecast_subscriptions": 6, "gatecast_queue_bytes": 0, "gatecast_received_frames_total": 3,
	})
	for _, channel := range []string{"lobby", "live:1"} {
		for i := range messages {
			alice.ask(fmt.Sprintf(`{"type":"publish","id":"%s %d","channel":%q,"data":"0123456789"}`, channel, i, channel))
		}
		after := s.settled()
		gained(t, channel, before, after, map[string]float64{
			"gatecast_received_frames_total": messages,
			"gatecast_deliveries_total":      2 * messages, // to all but the sender
			"gatecast_publish_seconds_count": messages,
			"gatecast_ack_seconds_count":     messages,
		})
		if bytes := after["gatecast_delivered_bytes_total"] - before["gatecast_delivered_bytes_total"]; bytes < 2*messages*100 || bytes > 2*messages*500 {
			t.Errorf("%s: %v bytes delivered", channel, bytes)
		}
		for _, name := range []string{"gatecast_publish_seconds_sum", "gatecast_ack_seconds_sum"} {
			if took := after[name] - before[name]; took <= 0 || took > messages*patience.Seconds() {
				t.Errorf("%s: %s has grown by %v", channel, name, took)
			}
		}
		before = after
	}
	if a := s.do("POST", "/channels/lobby/messages", `{"data":1}`, "Authorization", "Bearer "+s.token("dora")); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	gained(t, "over REST", before, s.settled(), map[string]float64{"gatecast_deliveries_total": 3, "gatecast_publish_seconds_count": 1})
	alice.send(`{"type":"unsubscribe","id":2,"channel":"live:1"}`)
	bob.leave()
	carol.leave()
	gained(t, "one is left", nil, s.settled(), map[string]float64{"gatecast_connections": 1, "gatecast_channels": 1, "gatecast_subscriptions": 1, "gatecast_queue_bytes": 0})
}

// Refused frames and sockets that the server closes count by their codes.
func TestMetricsOfRefusalsAndCloses(t *testing.T) {
	s := start(t, "--limits.messages.rate=0.001", "--limits.messages.burst=5", "--limits.violations=20", "--http.metrics=open") // scrapes are not for the limiter
	odd := s.join("odd")
	for i, frame := range []string{`{"type":"nonsense","id":%d}`, `{"type":"subscribe","id":%d,"channel":"no way"}`, `{"type":"subscribe","id":%d,"channel":"user:ID-bob"}`} {
		if f := odd.ask(fmt.Sprintf(frame, i)); f.str("type") != "error" {
			t.Errorf("%v", f)
		}
	}
	large := s.rawSocket(s.token("large")) // goes on writing when it is closed
	large.write(maskedFrame(finText, []byte(`{"type":"chat","message":"`+strings.Repeat("x", 70<<10)+`"}`)))
	eager := s.join("eager")
	for range 26 {
		eager.send(`{"type":"chat","message":"x"}`)
	}
	if codes := []int{large.closeCode(), eager.closeCode()}; codes[0] != 1009 || codes[1] != 4429 {
		t.Errorf("closed with %v", codes)
	}
	s.join("polite").leave() // closed by the client, and so not counted
	values := s.settled()
	gained(t, "in the end", nil, values, map[string]float64{
		`gatecast_refused_frames_total{code="unknown_type"}`: 1,
		`gatecast_refused_frames_total{code="bad_channel"}`:  1,
		`gatecast_refused_frames_total{code="forbidden"}`:    1,
		`gatecast_refused_frames_total{code="busy"}`:         0,
		`gatecast_closed_connections_total{code="1000"}`:     0,
		`gatecast_closed_connections_total{code="1009"}`:     1,
		`gatecast_closed_connections_total{code="4429"}`:     1,
		`gatecast_closed_connections_total{code="4408"}`:     0,
		"gatecast_connections":                               1,
	})
	if refused := values[`gatecast_refused_frames_total{code="rate_limited"}`]; refused < 19 || refused > 21 {
		t.Errorf("%v frames refused for their rate", refused)
	}
}

// What waits for a client that never reads is counted while it does, and its end
// is counted too.
func TestMetricsOfAClientThatNeverReads(t *testing.T) {
	const queue = 4 << 20
	s := start(t, fmt.Sprintf("--limits.queue-bytes=%d", queue))
	s.rawSocket(s.token("mute"))
	alice := s.join("alice")
	say := func(bytes int) {
		for range bytes / 60_000 {
			alice.ask(`{"type":"chat","id":1,"message":"` + strings.Repeat("x", 60_000) + `"}`)
		}
	}
	say(queue / 2) // more than the kernel takes
	waits := 0.0
	eventually(t, "something waits", func() bool {
		waits = s.scrape()["gatecast_queue_bytes"]
		return waits > 0
	})
	if waits > queue {
		t.Errorf("%v bytes wait", waits)
	}
	say(2 * queue)
	eventually(t, "it is thrown out", func() bool { return s.scrape()[`gatecast_closed_connections_total{code="4408"}`] == 1 })
	gained(t, "it is gone", nil, s.settled(), map[string]float64{"gatecast_connections": 1, "gatecast_queue_bytes": 0})
}
