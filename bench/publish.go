package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

func publishRows(o options) []measurement {
	return perDatabase(o, o.publishers, func(ctx context.Context, b *bench, d *database, n int) ([]metric, error) {
		if b.opts.compare {
			return b.publishAndCompare(ctx, d, n)
		}
		whole, err := b.publish(ctx, d, n)
		if err != nil {
			return nil, err
		}
		return whole.metrics(d), nil
	})
}

// publishAndCompare measures bare first, in a database of its own.
func (b *bench) publishAndCompare(ctx context.Context, d *database, publishers int) ([]metric, error) {
	log, err := b.bareBeside(ctx, d.driver, publishers)
	if err != nil {
		return nil, err
	}
	whole, err := b.publish(ctx, d, publishers)
	if err != nil {
		return nil, err
	}
	return append(whole.metrics(d),
		metric{"barePerSecond", "bare/s", log.perSecond()},
		metric{"ofBare", "of bare", whole.perSecond() / log.perSecond()}), nil
}

// publish measures one row through the whole server.
func (b *bench) publish(ctx context.Context, d *database, publishers int) (load, error) {
	if err := b.fillWhereFull(ctx, d); err != nil {
		return load{}, err
	}
	p := newPublishing(b.opts, publishers)
	return b.steady(ctx, b.gatecast(d, atDoor), cast{clients: publishers}, p, &p.latencies)
}

// publishing is a script: everyone publishes, and publishes again when that is
// acked.
type publishing struct {
	template  *template
	random    *rand.Rand
	channels  int
	ids       []int // the last one of each client
	latencies latencies
}

const (
	defaultChannels = 1000
	defaultSize     = 256
	// firstID is the first number of eight digits: JSON has none that begin with 0.
	firstID = 10_000_000
)

func newPublishing(o options, publishers int) *publishing {
	ids := make([]int, publishers)
	for i := range ids {
		ids[i] = firstID
	}
	return &publishing{
		template: newTemplate(`{"type":"publish","id":########,"channel":"room:####","key":"########-########","data":` + string(data(cmp.Or(o.size, defaultSize))) + `}`),
		random:   rand.New(rand.NewPCG(1, 2)),
		channels: cmp.Or(o.channels, defaultChannels),
		ids:      ids,
	}
}

// data is a message's data, of size bytes.
func data(size int) []byte {
	return []byte(`{"p":"` + strings.Repeat("x", size-len(`{"p":""}`)) + `"}`)
}

func channelName(number int) string { return fmt.Sprintf("room:%04d", number) }

func key(publisher, id int) string { return fmt.Sprintf("%08d-%08d", publisher, id) }

func (p *publishing) begin(c *client) []byte { return p.next(c) }

func (p *publishing) next(c *client) []byte {
	p.ids[c.number]++
	id := p.ids[c.number]
	return p.template.fill(id, p.random.IntN(p.channels), c.number, id)
}

func (p *publishing) heard(c *client, f frame, now time.Time) ([]byte, error) {
	const before = `{"type":"ack","id":`
	rest, ok := bytes.CutPrefix(f.payload, []byte(before))
	if !ok || !bytes.HasPrefix(rest, strconv.AppendInt(nil, int64(p.ids[c.number]), 10)) {
		return nil, unexpected(f)
	}
	p.latencies.add(now.Sub(c.sent))
	return p.next(c), nil
}
