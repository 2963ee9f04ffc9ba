package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// fanoutLoad is messages to channels whose members all get each of them.
type fanoutLoad struct {
	clients  int // the first one in each channel publishes
	channels int
	size     int     // bytes of data in a message
	window   int     // messages of a channel that its members have yet to get, on average over them, at most
	rate     float64 // messages a second in each channel; 0 is as many as window allows
}

// with is the load with what the flags say otherwise.
func (f fanoutLoad) with(o options, clients int) fanoutLoad {
	f.clients = clients
	f.channels = cmp.Or(o.channels, f.channels)
	f.size = cmp.Or(o.size, f.size)
	f.window = cmp.Or(o.window, f.window)
	f.rate = cmp.Or(o.rate, f.rate)
	return f
}

func fanoutRows(own fanoutLoad) func(o options) []measurement {
	return func(o options) []measurement {
		return perServer(o, inChannel, o.clientsOr(own.clients), func(ctx context.Context, b *bench, t *target, clients int) ([]metric, error) {
			return b.fanout(ctx, t, own.with(o, clients))
		})
	}
}

func (b *bench) fanout(ctx context.Context, t *target, f fanoutLoad) ([]metric, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	var after memory
	script := newFanout(f, t.dialect)
	result, err := b.onStage(ctx, t, f.cast(), script, func(st *stage) (load, error) {
		script.assign(st)
		if err := b.warmUp(ctx, st, &script.latencies); err != nil {
			return load{}, err
		}
		return window(st.used, &script.latencies, func() error {
			if err := st.loop.run(ctx, b.opts.duration, nil); err != nil {
				return err
			}
			var err error
			after, err = st.server.memory()
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(f.metrics(), result.speed(), []metric{result.server()}, result.machine(),
		[]metric{{"lost", "lost", float64(script.lost)}, {"rssMB", "RSS MB", after.resident.mb()}}), nil
}

func (f fanoutLoad) check() error {
	if f.clients < 2*f.channels {
		return fmt.Errorf("%d clients are too few for %d channels: each needs two", f.clients, f.channels)
	}
	return nil
}

func (f fanoutLoad) cast() cast {
	return cast{clients: f.clients, channel: func(client int) string { return liveChannel(client % f.channels) }}
}

// metrics tell which load it is.
func (f fanoutLoad) metrics() []metric {
	return []metric{{"channels", "channels", float64(f.channels)}, {"size", "bytes", float64(f.size)}}
}

// liveChannel is a channel without history, by this server's default rules.
func liveChannel(number int) string { return fmt.Sprintf("live:%04d", number) }
