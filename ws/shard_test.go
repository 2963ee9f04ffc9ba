package ws

import (
	"bytes"
	"math"
	"runtime"
	"testing"
	"time"
)

// Rounds are counted in 32 bits, and begin anew after some days of much to do. Who
// has never been written to has no part in any of those before.
func TestRoundsBeginAnew(t *testing.T) {
	sh := newShard(&Hub{}, 0)
	s := &Session{shard: sh, out: []byte("hello"), dirty: true}
	sh.round, sh.sessions = math.MaxUint32, []*Session{s}
	sh.gather()
	if len(sh.jobs) != 1 || sh.jobs[0].session != s || string(sh.jobs[0].bytes) != "hello" {
		t.Errorf("the first round after the last is %+v", sh.jobs)
	}
}

// sips is a connection that has room for a little at a time.
type sips struct {
	size int
	sent []byte
}

func (c *sips) Write(p []byte) (int, error) {
	n := min(len(p), c.size)
	c.sent = append(c.sent, p[:n]...)
	return n, nil
}

func (c *sips) CloseWrite() {}
func (c *sips) Close(bool)  {}

// What waits for a client that reads slowly is not copied for each sip that it
// takes, and what comes meanwhile is behind it.
func TestSlowReadersCostNoCopies(t *testing.T) {
	const waiting, more = 1 << 20, 100
	sh := newShard(&Hub{started: time.Now()}, 0)
	conn := &sips{size: 16 << 10, sent: make([]byte, 0, 2*waiting)}
	s := newSession(sh, Entry{})
	s.conn, s.blocked = conn, false
	frames := bytes.Repeat(append([]byte{0x81, 62}, make([]byte, 62)...), waiting/64)
	want := bytes.Clone(frames)
	s.push(frames)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := 0; len(s.out) > 0; i++ {
		sh.cycle()
		if i < more {
			frame := closeFrame(i, "")
			want = append(want, frame...)
			s.push(frame)
		}
		(*line)(s).Writable()
	}
	runtime.ReadMemStats(&after)
	if !bytes.Equal(conn.sent, want) {
		t.Errorf("%d bytes came through, want %d, or they are others", len(conn.sent), len(want))
	}
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 4*waiting {
		t.Errorf("it took %d KB to send %d", taken>>10, waiting>>10)
	}
}
