package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gatecast/gatecast/ws"
)

const recoverChannels = 2000

func recoverRows(o options) []measurement {
	return perDatabase(o, o.clientsOr(1, 100), func(ctx context.Context, b *bench, d *database, n int) ([]metric, error) {
		return b.recover(ctx, d, n)
	})
}

func (b *bench) recover(ctx context.Context, d *database, n int) ([]metric, error) {
	positions, err := b.fill(ctx, d, cmp.Or(b.opts.channels, recoverChannels))
	if err != nil {
		return nil, err
	}
	r := newRecovering(positions, n)
	result, err := b.steady(ctx, b.gatecast(d, atDoor), cast{clients: n}, r, &r.latencies)
	if err != nil {
		return nil, err
	}
	return result.metrics(d), nil
}

// recovering is a script: everyone comes back to one channel after another, and
// leaves each when it has what was missed.
type recovering struct {
	positions []ws.Position
	random    *rand.Rand
	at        []int // the channel that each client is in
	latencies latencies
}

func newRecovering(positions []ws.Position, clients int) *recovering {
	return &recovering{positions: positions, random: rand.New(rand.NewPCG(1, 2)), at: make([]int, clients)}
}

// missed is how far behind the head of a channel a client is.
func missed(at ws.Position) int64 { return at.Seq / 2 }

// comeBack subscribes to a channel, having missed half of what is in it.
func comeBack(channel int, at ws.Position) []byte {
	return appendFrame(nil, opText, fmt.Appendf(nil, `{"type":"subscribe","id":1,"channel":%q,"since":{"epoch":%q,"seq":%d}}`, channelName(channel), at.Epoch, at.Seq-missed(at)))
}

// messagesIn counts those that a subscribed frame brings.
func messagesIn(f frame) int64 { return int64(bytes.Count(f.payload, []byte(`{"type":"message",`))) }

func (r *recovering) begin(c *client) []byte {
	r.at[c.number] = r.random.IntN(len(r.positions))
	return comeBack(r.at[c.number], r.positions[r.at[c.number]])
}

func (r *recovering) heard(c *client, f frame, now time.Time) ([]byte, error) {
	switch {
	case f.is("unsubscribed") || f.tellsOfOthers():
		return nil, nil
	case !f.is("subscribed") || messagesIn(f) != missed(r.positions[r.at[c.number]]):
		return nil, unexpected(f)
	}
	r.latencies.add(now.Sub(c.sent))
	leave := appendFrame(nil, opText, fmt.Appendf(nil, `{"type":"unsubscribe","channel":%q}`, channelName(r.at[c.number])))
	return append(leave, r.begin(c)...), nil
}
