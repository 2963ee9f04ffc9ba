package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// L4: one bucket for all of a user's sockets; another user has their own.
func TestOneBucketForAllTabsL4(t *testing.T) {
	s := start(t, "--limits.messages.rate=0.01", "--limits.messages.burst=10")
	first, second, bob := s.join("alice"), s.join("alice"), s.join("bob")
	acked := 0
	for i := range 10 {
		for _, p := range []*peer{first, second} {
			f := p.ask(fmt.Sprintf(`{"type":"chat","id":"m%d","message":"x"}`, i))
			switch {
			case f.str("type") == "ack":
				acked++
			case f.str("code") != "rate_limited" || f["retryAfterMs"] == nil:
				t.Errorf("%v", f)
			}
		}
	}
	if acked != 10 {
		t.Errorf("two tabs got %d messages through together, want 10", acked)
	}
	if f := bob.ask(`{"type":"chat","id":1,"message":"x"}`); f.str("type") != "ack" {
		t.Errorf("another user is refused: %v", f)
	}
}

// L1: a sole sender that waits what it was told is not refused again. The
// refusals of an impatient one cost nothing.
func TestWaitAsToldL1(t *testing.T) {
	s := start(t, "--limits.messages.rate=20", "--limits.messages.burst=2", "--limits.violations=0")
	p := s.join("alice")
	sent, refused := 0, 0
	for i := 0; sent < 100 && refused < 5; i++ {
		f := p.ask(fmt.Sprintf(`{"type":"chat","id":%d,"message":"x"}`, i))
		if f.str("type") == "ack" {
			sent++
			continue
		}
		refused++
		wait := time.Duration(f["retryAfterMs"].(float64)) * time.Millisecond
		if f.str("code") != "rate_limited" || wait <= 0 || wait > 50*time.Millisecond {
			t.Fatalf("%v", f)
		}
		<-time.After(wait) // what a client does
		if f := p.ask(fmt.Sprintf(`{"type":"chat","id":"again%d","message":"x"}`, i)); f.str("type") != "ack" {
			t.Fatalf("refused again after %v: %v", wait, f)
		}
		sent++
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

// Typing and pings cost less than messages.
func TestCheapFramesL4(t *testing.T) {
	s := start(t, "--limits.messages.rate=0.001", "--limits.messages.burst=4", "--limits.violations=0")
	for frame, want := range map[string]int{
		`{"type":"chat","id":%d,"message":"x"}`:     4,
		`{"type":"typing","id":%d,"isTyping":true}`: 20,
		`{"type":"ping","id":%d}`:                   40,
	} {
		p := s.join("user" + fmt.Sprint(want))
		passed := 0
		for i := range 50 {
			if p.ask(fmt.Sprintf(frame, i)).str("code") != "rate_limited" {
				passed++
			}
		}
		if passed != want {
			t.Errorf("%s passed %d times, want %d", frame, passed, want)
		}
	}
}

// Bytes have a bucket of their own.
func TestByteBudgetL5(t *testing.T) {
	s := start(t, "--limits.bytes.rate=1", "--limits.bytes.burst=65536")
	p := s.join("alice")
	large := `{"type":"chat","id":1,"message":"` + strings.Repeat("x", 60_000) + `"}`
	if f := p.ask(large); f.str("type") != "ack" {
		t.Errorf("%v", f)
	}
	if f := p.ask(large); f.str("code") != "rate_limited" || f["retryAfterMs"].(float64) < 1000 {
		t.Errorf("%v", f)
	}
	if f := p.ask(`{"type":"chat","id":2,"message":"small"}`); f.str("type") != "ack" {
		t.Errorf("a small one: %v", f)
	}
}

// L4: who keeps on over the limit is closed with 4429; other sockets of the
// user are not, since refusals are counted per socket.
func TestKeepingOnIsClosedL4(t *testing.T) {
	s := start(t, "--limits.messages.rate=0.001", "--limits.messages.burst=1", "--limits.violations=20")
	calm, eager := s.join("alice"), s.join("alice")
	for range 10 {
		calm.send(`{"type":"chat","message":"x"}`)
	}
	for range 25 {
		eager.send(`{"type":"chat","message":"x"}`)
	}
	if code := eager.closeCode(); code != 4429 {
		t.Errorf("closed with %d", code)
	}
	if f := calm.ask(`{"type":"chat","id":"z","message":"x"}`); f.str("code") != "rate_limited" {
		t.Errorf("%v", f)
	}
}

// Pings that pile up over reconnects, as createWs's do, are answered or
// refused, and never lead to 4429.
func TestPilesOfPingsAreForgiven(t *testing.T) {
	s := start(t, "--limits.messages.rate=10", "--limits.messages.burst=20", "--limits.bytes.rate=131072", "--limits.bytes.burst=1048576")
	p := s.join("alice")
	const pile = 2000
	for range pile {
		p.send(`{"type":"ping"}`)
	}
	pongs, refused := 0, 0
	for pongs+refused < pile {
		switch f := p.next(); {
		case f.str("type") == "pong":
			pongs++
		case f.str("code") == "rate_limited":
			refused++
		}
	}
	if pongs < 200 || refused == 0 {
		t.Errorf("%d pongs, %d refused", pongs, refused)
	}
	if f := p.ask(`{"type":"nonsense","id":1}`); f.str("type") != "error" {
		t.Errorf("%v", f)
	}
}

// A flood of pings is not forgiven (L5).
func TestFloodOfPingsIsClosedL5(t *testing.T) {
	s := start(t, "--limits.messages.rate=10", "--limits.messages.burst=20", "--limits.bytes.rate=100", "--limits.bytes.burst=65536")
	p := s.join("alice")
	ping := []byte(`{"type":"ping","timestamp":"` + strings.Repeat("x", 1000) + `"}`)
	for p.conn.WriteMessage(1, ping) == nil {
		select {
		case <-p.closed:
		default:
			continue
		}
		break
	}
	if code := p.closeCode(); code != 4429 {
		t.Errorf("closed with %d", code)
	}
}
