package ws

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// shard is a part of the hub's sessions, and the one goroutine that writes to
// them. What waits for them is gathered in one step and written in one write a
// session; what is published meanwhile is the next round's. So rounds grow with
// the load, and at rest nothing waits.
type shard struct {
	// static after construction
	hub    *Hub
	number int           // in hub.shards
	wake   chan struct{} // holds one: there is something to write

	received atomic.Uint64 // frames from clients but for close frames

	mu         sync.Mutex // guards the rest, and what its sessions and parts say it guards
	seats      []seat
	parts      []*part    // that have something pending
	sessions   []*Session // that have something in out, and room for it
	spare      [][]byte   // buffers for the next rounds
	spared     int        // bytes that those can hold
	queued     int64      // bytes in out of all sessions
	deliveries uint64     // frames to members of channels
	delivered  uint64     // bytes of those

	// owned by the worker
	round   uint32
	jobs    []job
	buffers [][]byte   // that jobs of this round share
	tooSlow []*Session // whose queue has run over in this round
}

// seat is a session's place. The sweep reads all seats, so what it looks at lies
// side by side.
type seat struct {
	due     time.Duration // on the hub's clock; when the sweep is to look at the session
	session *Session
}

// job is one write: of bytes that many sessions share, or of a session's own.
type job struct {
	session *Session
	bytes   []byte
	n       int32 // of them that were written
	own     bool
	last    bool // the close frame is in bytes
	failed  bool
}

// maxSpare bounds the buffers that a shard keeps between rounds, in bytes of all
// and of each.
const (
	maxSpare    = 1 << 20
	maxSpareOne = 64 << 10
)

func newShard(h *Hub, number int) *shard {
	return &shard{hub: h, number: number, wake: make(chan struct{}, 1)}
}

// work writes until the hub has shut down.
func (sh *shard) work() {
	for {
		select {
		case <-sh.wake:
			for sh.cycle() {
			}
			sh.rest()
		case <-sh.hub.ctx.Done():
			return
		}
	}
}

func (sh *shard) wakeUp() {
	select {
	case sh.wake <- struct{}{}:
	default:
	}
}

// maxJobs is how many jobs a worker keeps the room for while nothing is to be
// done. A channel of all who are here is written to seldom.
const maxJobs = 4096

func (sh *shard) rest() {
	if cap(sh.jobs) > maxJobs {
		sh.jobs = nil
	}
}

// cycle writes what waits, and tells whether there was anything.
func (sh *shard) cycle() bool {
	sh.mu.Lock()
	sh.gather()
	sh.mu.Unlock()

	for i := range sh.jobs {
		sh.jobs[i].write()
	}
	did := len(sh.jobs) > 0

	sh.mu.Lock()
	for i := range sh.jobs {
		sh.conclude(&sh.jobs[i])
	}
	sh.keepBuffers()
	sh.mu.Unlock()

	for _, s := range sh.tooSlow {
		s.tooSlow()
	}
	clear(sh.jobs)
	clear(sh.tooSlow)
	sh.jobs, sh.tooSlow = sh.jobs[:0], sh.tooSlow[:0]
	return did
}

// gather makes the jobs of a round out of all that is pending. The caller holds
// mu.
func (sh *shard) gather() {
	if sh.round++; sh.round == 0 { // which is that of sessions that never had a job
		sh.round++
	}
	for _, p := range sh.parts {
		for _, m := range p.members {
			if fresh := p.pending[m.offset:]; len(fresh) > 0 {
				sh.assign(m.session, fresh)
			}
			m.offset = 0
		}
		sh.buffers = append(sh.buffers, p.take())
	}
	for _, s := range sh.sessions {
		s.dirty = false
		if len(s.out) > 0 && !s.blocked {
			sh.jobOf(s)
		}
	}
	clear(sh.parts)
	clear(sh.sessions)
	sh.parts, sh.sessions = sh.parts[:0], sh.sessions[:0]
	for i := range sh.jobs {
		if j := &sh.jobs[i]; j.bytes == nil {
			j.bytes = j.session.takeOut()
			j.own, j.last = true, j.session.finished
		}
	}
}

// assign gives s what a channel has for it. Most sessions are written the very
// bytes that the others get; who has something of its own gets a copy behind that.
func (sh *shard) assign(s *Session, fresh []byte) {
	switch {
	case s.finished:
	case s.blocked:
		if !s.append(fresh) {
			sh.giveUp(s)
		}
	default:
		j, isNew := sh.jobOf(s)
		if isNew && len(s.out) == 0 {
			j.bytes = fresh
			return
		}
		if j.bytes != nil {
			s.append(j.bytes)
			j.bytes = nil
		}
		if !s.append(fresh) {
			sh.giveUp(s)
		}
	}
}

// giveUp is for a session that something was dropped for. It is closed at the end
// of the round. Whoever closes it before that must not flush what has come behind
// the gap: the client would take it for all there was. The caller holds mu.
func (sh *shard) giveUp(s *Session) {
	s.abrupt = true
	sh.tooSlow = append(sh.tooSlow, s)
}

// jobOf is the session's job in this round. Without bytes, it is to write what is
// in out.
func (sh *shard) jobOf(s *Session) (j *job, isNew bool) {
	if s.round == sh.round {
		return &sh.jobs[s.job], false
	}
	s.round, s.job, s.vacant = sh.round, int32(len(sh.jobs)), false
	sh.jobs = append(sh.jobs, job{session: s})
	return &sh.jobs[s.job], true
}

// write does not wait: what there is no room for is left.
func (j *job) write() {
	if len(j.bytes) == 0 {
		return // it has been dropped meanwhile
	}
	n, err := j.session.conn.Write(j.bytes)
	j.n, j.failed = int32(n), err != nil
}

// conclude keeps what a job could not write for when there is room. The caller
// holds mu.
func (sh *shard) conclude(j *job) {
	if !j.own && int(j.n) == len(j.bytes) {
		return
	}
	s := j.session
	if j.own {
		s.writing = 0
	}
	switch {
	case j.failed || s.over: // and Closed follows, or has come meanwhile
		s.drop(0)
	case int(j.n) < len(j.bytes):
		sh.keepRest(s, j)
	default:
		s.partial = 0
	}
	s.tellRoom()
	s.sayGoodbye()
}

// keepRest puts back what the kernel had no room for. The caller holds mu.
func (sh *shard) keepRest(s *Session, j *job) {
	s.partial = int32(remainder(j.bytes, int(s.partial), int(j.n)))
	rest := j.bytes[j.n:]
	if s.abrupt && !j.last { // nothing but the frame that has begun goes before the close frame
		rest = rest[:s.partial]
	}
	if !s.putBack(rest, j.own) {
		sh.giveUp(s)
	}
	if s.vacant { // it came before we knew that we need it
		s.markDirty()
		return
	}
	s.blocked = true
	s.stalled = sh.hub.elapsed() + sh.hub.opts.WriteTimeout
	s.dueBy(s.stalled)
}

// keepBuffers has the buffers of a round used again. The caller holds mu.
func (sh *shard) keepBuffers() {
	for _, b := range sh.buffers {
		if cap(b) <= maxSpareOne && sh.spared+cap(b) <= maxSpare {
			sh.spare = append(sh.spare, b[:0])
			sh.spared += cap(b)
		}
	}
	clear(sh.buffers)
	sh.buffers = sh.buffers[:0]
}

// buffer is an empty one. The caller holds mu.
func (sh *shard) buffer() []byte {
	last := len(sh.spare) - 1
	if last < 0 {
		return nil
	}
	b := sh.spare[last]
	sh.spared -= cap(b)
	sh.spare = slices.Delete(sh.spare, last, last+1)
	return b
}
