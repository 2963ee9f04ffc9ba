package ws

import (
	"context"
	"fmt"

	"golang.org/x/sync/singleflight"
)

// pages reads the log for those who come back. Who asks for the same at the
// same time shares one read.
type pages struct {
	log     Log
	bytes   int
	flights singleflight.Group
}

// between is the page behind after, up to and with through, both of which are
// in the log. Nobody changes it.
func (p *pages) between(ctx context.Context, channel string, after, through int64) (*Page, error) {
	return p.read(ctx, channel, Span{After: after, Before: through + 1, Limit: PageMax, Bytes: p.bytes})
}

// newest is the last messages up to and with through, limit of them at most.
func (p *pages) newest(ctx context.Context, channel string, through int64, limit int) (*Page, error) {
	return p.read(ctx, channel, Span{Before: through + 1, Limit: limit, Bytes: p.bytes, Newest: true})
}

// read is shared by all who ask for the same span. A span has an end that was
// in the log when it was asked for, so a read that began earlier has it too.
func (p *pages) read(ctx context.Context, channel string, span Span) (*Page, error) {
	key := fmt.Sprintf("%s %d %d %d %t", channel, span.After, span.Before, span.Limit, span.Newest)
	// The reader's own end must not be the others'; the log bounds its time.
	shared := context.WithoutCancel(ctx)
	flight := p.flights.DoChan(key, func() (any, error) {
		page, err := p.log.Read(shared, channel, span)
		return &page, err
	})
	select {
	case result := <-flight:
		return result.Val.(*Page), result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
