package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gatecast/gatecast/ws"
)

func resumeRows(o options) []measurement {
	return perDatabase(o, o.clientsOr(1000), func(ctx context.Context, b *bench, d *database, n int) ([]metric, error) {
		return b.resume(ctx, d, n)
	})
}

// resume has all clients come back to the same channel at once.
func (b *bench) resume(ctx context.Context, d *database, n int) ([]metric, error) {
	positions, err := b.fill(ctx, d, 1)
	if err != nil {
		return nil, err
	}
	r := &resuming{at: positions[0], clients: n}
	result, err := b.onStage(ctx, b.gatecast(d, atDoor), cast{clients: n}, r, func(st *stage) (load, error) {
		if err := st.loop.enter(ctx, st.clients); err != nil {
			return load{}, err
		}
		return window(st.used, &r.latencies, func() error {
			if err := st.loop.begin(st.clients); err != nil {
				return err
			}
			return st.loop.run(ctx, patience, r.done)
		})
	})
	if err != nil {
		return nil, err
	}
	if !r.done() {
		return nil, fmt.Errorf("after %s only %d have everything", patience, r.latencies.count())
	}
	all := metric{"allMs", "all ms", milliseconds(result.took)}
	return append([]metric{all}, result.metrics(d)...), nil
}

// resuming is a script: everyone comes back once.
type resuming struct {
	at        ws.Position
	clients   int
	latencies latencies
}

func (r *resuming) done() bool { return r.latencies.count() == int64(r.clients) }

func (r *resuming) begin(*client) []byte { return comeBack(0, r.at) }

func (r *resuming) heard(c *client, f frame, now time.Time) ([]byte, error) {
	switch {
	case f.tellsOfOthers():
		return nil, nil
	case !f.is("subscribed") || messagesIn(f) != missed(r.at):
		return nil, unexpected(f)
	}
	r.latencies.add(now.Sub(c.sent))
	return nil, nil
}
