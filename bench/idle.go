package main

import (
	"context"
	"time"
)

const (
	idleClients = 10_000
	// settling is how long after the last client memory is looked at. Nothing is made
	// to collect its garbage meanwhile.
	settling = time.Second
	// idleAtOnce is how many come in at the same time. What more leave behind them
	// is garbage of their handshakes, which is storm's matter.
	idleAtOnce = 16
	// connectionKB is the metric of what a connection takes.
	connectionKB = "connectionKB"
)

func idleRows(o options) []measurement {
	return perServer(o, inLobby, o.clientsOr(idleClients), idle)
}

// idle measures by how much a server's memory grows, and then what clients that
// do nothing cost.
func idle(ctx context.Context, b *bench, t *target, clients int) ([]metric, error) {
	var before, after memory
	var entering time.Duration
	script := &idling{dialect: t.dialect}
	who := cast{clients: clients, channel: func(int) string { return "lobby" }}
	result, err := b.onStage(ctx, t, who, script, func(st *stage) (result load, err error) {
		if before, err = st.server.memory(); err != nil {
			return result, err
		}
		st.loop.atOnce = idleAtOnce
		start := time.Now()
		if err := st.loop.enter(ctx, st.clients); err != nil {
			return result, err
		}
		entering = time.Since(start)
		if err := st.loop.run(ctx, settling, nil); err != nil {
			return result, err
		}
		if after, err = st.server.memory(); err != nil {
			return result, err
		}
		return span(st.used, func() error { return st.loop.run(ctx, b.opts.duration, nil) })
	})
	if err != nil {
		return nil, err
	}
	return []metric{
		{connectionKB, "KB each", (after.resident - before.resident).kb() / float64(clients)},
		{"rssMB", "RSS MB", after.resident.mb()},
		{"enterSeconds", "enter s", entering.Seconds()},
		{"idleCPUPercent", "idle CPU %", 100 * result.usage.server.Seconds() / result.took.Seconds()},
		result.others(),
	}, nil
}

// idling is a script: everyone is there, and that is all.
type idling struct{ dialect dialect }

func (*idling) begin(*client) []byte { return nil }

func (s *idling) heard(_ *client, f frame, _ time.Time) ([]byte, error) { return s.dialect.aside(f) }
