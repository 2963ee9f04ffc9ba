package main

import (
	"cmp"
	"context"
	"sync"

	"github.com/gatecast/gatecast/ws"
)

// fill stores as many messages as are kept in each channel, before the server
// starts, and tells where the channels are.
func (b *bench) fill(ctx context.Context, d *database, channels int) ([]ws.Position, error) {
	log, err := b.openLog(ctx, d)
	if err != nil {
		return nil, err
	}
	filled := filling{positions: make([]ws.Position, channels), slots: make(chan struct{}, fillAhead)}
	for number := range channels {
		for i := range b.opts.keep {
			if err := filled.append(ctx, log, number, ws.Message{
				Channel: channelName(number), Event: ws.DefaultEvent, Data: data(cmp.Or(b.opts.size, defaultSize)), Key: key(0, firstID+i),
				Sender: ws.Sender{ClientID: userID(0), UserID: userID(0), Username: username(0)},
			}); err != nil {
				_ = log.close()
				return nil, err
			}
		}
	}
	if err := log.close(); err != nil { // which waits for what is on its way
		return nil, err
	}
	return filled.positions, filled.err
}

// fillWhereFull fills the channels of a publishing load where that is asked for.
func (b *bench) fillWhereFull(ctx context.Context, d *database) error {
	if !b.opts.full {
		return nil
	}
	_, err := b.fill(ctx, d, cmp.Or(b.opts.channels, defaultChannels))
	return err
}

// fillAhead is how many messages of a fill are on their way.
const fillAhead = 1024

type filling struct {
	slots chan struct{}

	mu        sync.Mutex // guards the rest
	positions []ws.Position
	err       error
}

func (f *filling) append(ctx context.Context, log openedLog, number int, m ws.Message) error {
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	return log.Append(m, func(r ws.Receipt, err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.positions[number] = r.Position
		if err != nil {
			f.err = err
		}
		<-f.slots
	})
}
