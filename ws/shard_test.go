package ws

import (
	"math"
	"testing"
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
