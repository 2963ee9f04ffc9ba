package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// joinsLimit bounds the wait for everyone to be in and to have been told of
	// everyone.
	joinsLimit = 10 * time.Minute
	// quiet is how long nothing must come before all is told.
	quiet = 1500 * time.Millisecond
	// joinsAtOnce is how many ask before what has come is read.
	joinsAtOnce = 256
)

// joinsRows have no peers: on bare libraries nobody is told who joins.
func joinsRows(o options) []measurement {
	return alone(o, atDoor, o.clientsOr(500, 1000, 2000, 5000), joins)
}

// joins has all clients, each of a user of its own, join one channel at once.
func joins(ctx context.Context, b *bench, t *target, clients int) ([]metric, error) {
	script := &joining{dialect: t.dialect, subscribe: appendFrame(nil, opText, []byte(`{"type":"subscribe","id":1,"channel":"lobby"}`))}
	var frames, bytes float64
	result, err := b.onStage(ctx, t, cast{clients: clients}, script, func(st *stage) (load, error) {
		if err := st.loop.enter(ctx, st.clients); err != nil {
			return load{}, err
		}
		framesBefore, bytesBefore := st.loop.frames, st.loop.bytes
		script.waiting, script.began = st.clients, time.Now()
		result, err := window(st.used, &script.latencies, func() error { return st.loop.run(ctx, joinsLimit, script.done) })
		frames, bytes = float64(st.loop.frames-framesBefore), float64(st.loop.bytes-bytesBefore)
		return result, err
	})
	if err == nil && !script.done() {
		err = fmt.Errorf("after %s only %d are in, or it is not quiet yet", joinsLimit, script.in)
	}
	if err != nil {
		return nil, err
	}
	n := float64(clients)
	return []metric{
		{"allMs", "all in ms", milliseconds(script.allIn)},
		{"p50Ms", "p50 ms", milliseconds(script.latencies.quantile(0.5))},
		{"p99Ms", "p99 ms", milliseconds(script.latencies.quantile(0.99))},
		result.server(),
		{"framesEach", "frames each", frames / n},
		{"bytesEach", "bytes each", bytes / n},
		{"benchCPUMicros", "bench us", result.each(result.usage.generator)},
		result.others(),
	}, nil
}

// joining is a script: everyone subscribes once, and reads what there is to be
// told.
type joining struct {
	// static after construction
	dialect   dialect
	subscribe []byte // the frame with which a client joins

	began     time.Time
	waiting   []*client // who has not asked yet
	asked, in int
	allIn     time.Duration // since began
	lastHeard time.Time
	latencies latencies
}

func (*joining) begin(*client) []byte { return nil }

func (j *joining) act(l *loop, now time.Time) error {
	for _, c := range j.waiting[:min(joinsAtOnce, len(j.waiting))] {
		c.sent = now
		if err := l.send(c, j.subscribe); err != nil {
			return err
		}
		j.asked++
	}
	j.waiting = j.waiting[min(joinsAtOnce, len(j.waiting)):]
	return nil
}

func (j *joining) heard(c *client, f frame, now time.Time) ([]byte, error) {
	j.lastHeard = now
	if !f.is("subscribed") {
		return j.dialect.aside(f)
	}
	j.in++
	j.latencies.add(now.Sub(c.sent))
	j.allIn = now.Sub(j.began)
	return nil, nil
}

func (j *joining) done() bool {
	return len(j.waiting) == 0 && j.in == j.asked && time.Since(j.lastHeard) > quiet
}
