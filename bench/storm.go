package main

import (
	"context"
	"fmt"
	"slices"
)

const (
	stormClients = 10_000
	// besides is how many files a server may have opened that are no connections.
	besides = 16
)

func stormRows(o options) []measurement {
	return perServer(o, atDoor, o.clientsOr(stormClients), storm)
}

// storm has all clients connect as fast as they are let in, with tokens that the
// server has not seen, and then once more with the same ones.
func storm(ctx context.Context, b *bench, t *target, clients int) ([]metric, error) {
	var again load
	first, err := b.onStage(ctx, t, cast{clients: clients, channel: liveChannelOfAll}, &idling{t.dialect}, func(st *stage) (load, error) {
		files, err := st.server.files()
		if err != nil {
			return load{}, err
		}
		first, err := st.connectAll(ctx)
		if err != nil {
			return load{}, err
		}
		st.loop.leave()
		if err := st.forgotten(ctx, files); err != nil {
			return load{}, err
		}
		again, err = st.connectAll(ctx)
		return first, err
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(first.speed(), []metric{first.server()}, first.machine(), []metric{
		{"againPerSecond", "again/s", again.perSecond()},
		{"againServerCPUMicros", "server us again", again.server().value},
	}), nil
}

func liveChannelOfAll(int) string { return liveChannel(0) }

func (st *stage) connectAll(ctx context.Context) (load, error) {
	st.loop.entering = &latencies{}
	return window(st.used, st.loop.entering, func() error { return st.loop.enter(ctx, st.clients) })
}

// forgotten waits until the server has closed what its clients have.
func (st *stage) forgotten(ctx context.Context, files int) error {
	still := 0
	err := st.loop.run(ctx, patience, func() bool {
		var err error
		still, err = st.server.files()
		return err != nil || still <= files+besides
	})
	if err == nil && still > files+besides {
		err = fmt.Errorf("%d connections are still open in the server, %s after their clients have gone", still-files, patience)
	}
	return err
}
