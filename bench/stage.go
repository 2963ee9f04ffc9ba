package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// stage is a server that runs, with clients that are not in yet.
type stage struct {
	server  *server
	loop    *loop
	clients []*client
	used    func() (usage, error) // CPU time so far
}

// cast is who the clients are.
type cast struct {
	clients int
	channel func(number int) string // of each; nil where they are in none at the start
	tiny    func(number int) bool   // takes as little as can be before it reads; nil is nobody
}

// onStage starts a target and makes clients for it, has do measure, and takes
// everything down again.
func (b *bench) onStage(ctx context.Context, t *target, who cast, s script, do func(*stage) (load, error)) (result load, err error) {
	if err := allowFiles(who.clients); err != nil {
		return load{}, err
	}
	server, err := t.start(ctx)
	if err != nil {
		return load{}, err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w; the server's last words:\n%s", err, server.logs)
		}
		err = errors.Join(err, server.stop())
	}()
	clients, err := b.newClients(t, server.addr, who)
	if err != nil {
		return load{}, err
	}
	loop, err := newLoop(server.addr, t.dialect, s)
	if err != nil {
		return load{}, err
	}
	defer loop.close()
	return do(&stage{server, loop, clients, func() (usage, error) { return server.usage(t.database) }})
}

// newClients makes clients with their handshakes, tokens included.
func (b *bench) newClients(t *target, addr string, who cast) ([]*client, error) {
	token := func(int) (string, error) { return "", nil }
	if t.tokens != nil {
		var err error
		if token, err = t.tokens(); err != nil {
			return nil, err
		}
	}
	users := cmp.Or(b.opts.users, who.clients)
	clients := make([]*client, who.clients)
	for i := range clients {
		c := &client{number: i, tiny: who.tiny != nil && who.tiny(i)}
		if who.channel != nil {
			c.channel = who.channel(i)
		}
		shown, err := token(i % users)
		if err != nil {
			return nil, err
		}
		c.request = t.dialect.request(addr, c.channel, shown)
		clients[i] = c
	}
	return clients, nil
}

// steady measures a load that goes on and on, once it has warmed up.
func (b *bench) steady(ctx context.Context, t *target, who cast, s script, l *latencies) (load, error) {
	return b.onStage(ctx, t, who, s, func(st *stage) (load, error) {
		if err := b.warmUp(ctx, st, l); err != nil {
			return load{}, err
		}
		return window(st.used, l, func() error { return st.loop.run(ctx, b.opts.duration, nil) })
	})
}

// warmUp brings the clients in and lets the load run for a while.
func (b *bench) warmUp(ctx context.Context, st *stage, l *latencies) error {
	if err := st.loop.enter(ctx, st.clients); err != nil {
		return err
	}
	if err := st.loop.begin(st.clients); err != nil {
		return err
	}
	err := st.loop.run(ctx, b.opts.warmup, nil)
	l.reset()
	return err
}

// window measures the answers that come while do runs.
func window(used func() (usage, error), l *latencies, do func() error) (load, error) {
	result, err := span(used, do)
	if err == nil && l.count() == 0 {
		err = errors.New("nothing was answered; give it a longer -duration")
	}
	result.latencies = l
	return result, err
}

// span measures what is used while do runs.
func span(used func() (usage, error), do func() error) (load, error) {
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
	return load{took: took, usage: after.since(before)}, err
}
