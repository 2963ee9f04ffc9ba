package main

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

const (
	// keptFor and dedupeWindow are such that channels are trimmed to -keep while
	// they are measured, as they are in a server that runs for long.
	keptFor      = time.Hour
	dedupeWindow = time.Second
)

func bareRows(o options) []measurement {
	return perDatabase(o, o.publishers, func(ctx context.Context, b *bench, d *database, n int) ([]metric, error) {
		log, err := b.bare(ctx, d, n)
		if err != nil {
			return nil, err
		}
		return log.metrics(d), nil
	})
}

// bareBeside measures bare in a database of its own.
func (b *bench) bareBeside(ctx context.Context, driver string, publishers int) (result load, err error) {
	d, err := b.newDatabase(ctx, driver)
	if err != nil {
		return load{}, err
	}
	defer func() { err = errors.Join(err, d.remove()) }()
	return b.bare(ctx, d, publishers)
}

// bare measures one row in this process, whose CPU time is the log's and the
// load's.
func (b *bench) bare(ctx context.Context, d *database, publishers int) (result load, err error) {
	if err := b.fillWhereFull(ctx, d); err != nil {
		return load{}, err
	}
	log, err := b.openLog(ctx, d)
	if err != nil {
		return load{}, err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	load := appending{log: log.Log, opts: b.opts, latencies: &latencies{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, running := errgroup.WithContext(ctx)
	for i := range publishers {
		group.Go(func() error { return load.publish(running, i) })
	}
	wait(running, b.opts.warmup)
	load.latencies.reset()
	used := func() (u usage, err error) {
		if u.database, err = d.cpu(); err != nil {
			return u, err
		}
		return u.withMachine()
	}
	result, err = window(used, load.latencies, func() error { return wait(running, b.opts.duration) })
	cancel()
	return result, errors.Join(group.Wait(), err)
}

// wait answers ctx's error where ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openedLog is a log with the database beneath it.
type openedLog struct {
	*store.Log
	db *store.DB
}

func (l openedLog) close() error {
	l.Shutdown()
	return l.db.Close()
}

// openLog opens the log as the server does.
func (b *bench) openLog(ctx context.Context, d *database) (openedLog, error) {
	db, err := d.open(ctx)
	if err != nil {
		return openedLog{}, err
	}
	history := ws.History{Count: b.opts.keep, Age: keptFor}
	return openedLog{store.NewLog(db, store.LogOptions{
		History:      func(string) ws.History { return history },
		DedupeWindow: dedupeWindow, ForgetAfter: 24 * time.Hour,
	}), db}, nil
}

// appending is publishers that append their next message when the last one is
// stored.
type appending struct {
	log       *store.Log
	opts      options
	latencies *latencies
}

func (a *appending) publish(ctx context.Context, number int) error {
	random := rand.New(rand.NewPCG(1, uint64(number)))
	sender := ws.Sender{ClientID: userID(number), UserID: userID(number), Username: username(number)}
	data := data(cmp.Or(a.opts.size, defaultSize))
	stored := make(chan error, 1)
	done := func(_ ws.Receipt, err error) { stored <- err }
	for id := firstID; ctx.Err() == nil; id++ {
		m := ws.Message{
			Channel: channelName(random.IntN(cmp.Or(a.opts.channels, defaultChannels))), Event: ws.DefaultEvent, Data: data, Key: key(number, id), Sender: sender,
		}
		sent := time.Now()
		if err := a.log.Append(m, done); err != nil {
			return err
		}
		if err := <-stored; err != nil {
			return err
		}
		a.latencies.add(time.Since(sent))
	}
	return nil
}
