package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	stalledClients = 1000
	// oneIn is how many clients there are for each that never reads.
	oneIn = 10
	// stalledLimit bounds the wait for those to be closed.
	stalledLimit = 30 * time.Second
	// looking is how often memory is looked at.
	looking = 50 * time.Millisecond
)

// stalledRows have no peers: those that drop nobody grow until they are ended.
func stalledRows(o options) []measurement {
	return alone(o, inChannel, o.clientsOr(stalledClients), stalled)
}

// stalled puts a full load on one channel, and has some of its members stop
// reading at the beginning of it.
func stalled(ctx context.Context, b *bench, t *target, clients int) ([]metric, error) {
	f := fanoutLoad{size: 128, window: 64}.with(b.opts, clients)
	f.channels = 1
	if clients < oneIn {
		return nil, fmt.Errorf("with %d clients nobody stalls; give %d at least", clients, oneIn)
	}
	script := newStalling(f, t.dialect)
	who := f.cast()
	who.tiny = stalls
	result, err := b.onStage(ctx, t, who, script, func(st *stage) (load, error) {
		script.assign(st)
		if err := b.warmUp(ctx, st, &script.latencies); err != nil {
			return load{}, err
		}
		if err := script.stall(st); err != nil {
			return load{}, err
		}
		return window(st.used, &script.latencies, func() error {
			return st.loop.run(ctx, b.opts.duration+stalledLimit, func() bool { return script.done(b.opts.duration) })
		})
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(f.metrics(), result.speed(), []metric{result.server()}, result.machine(), script.metrics()), nil
}

// stalls tells who does not read.
func stalls(client int) bool { return client%oneIn == oneIn-1 }

// stalling is a script: a fan-out in which some clients do not read.
type stalling struct {
	*fanout

	stalled int
	began   time.Time

	server     *server
	files      int           // that the server had open before
	closed     int           // of them, since then
	lastClosed time.Duration // since began

	looked                     time.Time
	before, peak               size // resident
	socketsBefore, socketsPeak size // in the kernel, on the whole machine
}

func newStalling(f fanoutLoad, d dialect) *stalling {
	s := &stalling{fanout: newFanout(f, d)}
	for i := range f.clients {
		if stalls(i) {
			s.stalled++
			s.channels[0].members--
		}
	}
	return s
}

// stall has them stop reading.
func (s *stalling) stall(st *stage) error {
	for _, c := range st.clients {
		if stalls(c.number) {
			if err := st.loop.deafen(c); err != nil {
				return err
			}
		}
	}
	s.server, s.began = st.server, time.Now()
	var err error
	if s.files, err = s.server.files(); err != nil {
		return err
	}
	err = s.look()
	s.before, s.socketsBefore = s.peak, s.socketsPeak
	return err
}

// look asks the server's process what it has: a client that does not read does
// not see every close.
func (s *stalling) look() error {
	memory, err := s.server.memory()
	sockets, err2 := socketMemory()
	files, err3 := s.server.files()
	s.looked, s.peak, s.socketsPeak = time.Now(), max(s.peak, memory.resident), max(s.socketsPeak, sockets)
	if closed := s.files - files; closed > s.closed {
		s.closed, s.lastClosed = closed, s.looked.Sub(s.began)
	}
	return errors.Join(err, err2, err3)
}

func (s *stalling) done(duration time.Duration) bool {
	over := time.Since(s.began)
	return over >= duration && (s.closed >= s.stalled || over >= stalledLimit)
}

func (s *stalling) act(l *loop, now time.Time) error {
	if s.server != nil && now.Sub(s.looked) >= looking {
		if err := s.look(); err != nil {
			return err
		}
	}
	return s.fanout.act(l, now)
}

// heard passes over those who will not read: they are no members that the load
// waits for.
func (s *stalling) heard(c *client, f frame, now time.Time) ([]byte, error) {
	if stalls(c.number) {
		return nil, nil
	}
	return s.fanout.heard(c, f, now)
}

func (s *stalling) metrics() []metric {
	return []metric{
		{"lost", "lost", float64(s.lost)},
		{"stalled", "stalled", float64(s.stalled)},
		{"closed", "closed", float64(s.closed)},
		{"closedSeconds", "within s", s.lastClosed.Seconds()},
		{"rssMB", "RSS MB", s.before.mb()},
		{"rssPeakMB", "at most", s.peak.mb()},
		{"socketsPeakMB", "sockets MB more", (s.socketsPeak - s.socketsBefore).mb()},
	}
}
