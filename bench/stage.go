package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// stage is a server with clients that a script moves.
type stage struct {
	loop    *loop
	clients []*client
	used    func() (usage, error) // CPU time so far
}

// onStage starts a server on a database, connects clients to it, has do measure
// and takes everything down again.
func (b *bench) onStage(ctx context.Context, d *database, clients int, s script, do func(*stage) (load, error)) (result load, err error) {
	server, err := b.startServer(ctx, d)
	if err != nil {
		return load{}, err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w; the server's last words:\n%s", err, server.logs)
		}
		err = errors.Join(err, server.stop())
	}()
	connected, err := b.connect(ctx, server.addr, clients)
	if err != nil {
		return load{}, err
	}
	defer closeAll(connected)
	loop, err := newLoop(connected, s)
	if err != nil {
		return load{}, err
	}
	defer loop.close()
	return do(&stage{loop, connected, func() (usage, error) { return server.usage(d) }})
}

// steady measures a load that goes on and on, once it has warmed up.
func (b *bench) steady(ctx context.Context, d *database, clients int, s script, l *latencies) (load, error) {
	return b.onStage(ctx, d, clients, s, func(st *stage) (load, error) {
		if err := st.loop.begin(st.clients); err != nil {
			return load{}, err
		}
		if err := st.loop.run(ctx, b.opts.warmup, nil); err != nil {
			return load{}, err
		}
		l.reset()
		return window(st.used, l, func() error { return st.loop.run(ctx, b.opts.duration, nil) })
	})
}

// window measures what happens while do runs.
func window(used func() (usage, error), l *latencies, do func() error) (load, error) {
	before, err := used()
	if err != nil {
		return load{}, err
	}
	start := time.Now()
	if err := do(); err != nil {
		return load{}, err
	}
	took := time.Since(start)
	after, err := used()
	if err == nil && l.count() == 0 {
		err = errors.New("nothing was answered; give it a longer -duration")
	}
	return load{took, l, after.since(before)}, err
}
