package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gatecast/gatecast/store/storetest"
)

// scenario is one kind of load.
type scenario struct {
	name  string
	about string
	// rows are what is measured in a database, a row each.
	rows func(o options) []measurement
}

// measurement measures one row. It is given an empty database each time.
type measurement struct {
	clients int
	run     func(ctx context.Context, b *bench, d *database) ([]metric, error)
}

// scenarios is the table of all there are.
func scenarios() []scenario {
	return []scenario{
		{"publish", "durable publishes through the whole server, each publisher waiting for the ack", publishRows},
		{"bare", "the same messages straight into the log, without the server", bareRows},
		{"recover", "subscribing with since, half of what is kept behind the head", recoverRows},
		{"resume", "many clients that resume one channel at the same time", resumeRows},
	}
}

func find(name string) (scenario, bool) {
	for _, s := range scenarios() {
		if s.name == name {
			return s, true
		}
	}
	return scenario{}, false
}

// bench is one run of the program.
type bench struct {
	opts     options
	dir      string // temporary; removed at the end
	progress io.Writer
	report   report

	server   string              // the program; built when it is first needed
	postgres *storetest.Postgres // started when it is first needed
}

func newBench(opts options, progress io.Writer) (*bench, error) {
	dir, err := os.MkdirTemp("", "gatecast-bench-")
	if err != nil {
		return nil, err
	}
	return &bench{opts: opts, dir: dir, progress: progress, server: opts.server}, nil
}

// close ends what was started and removes what was written.
func (b *bench) close() error {
	var err error
	if b.postgres != nil {
		err = b.postgres.Stop(context.Background())
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// measure goes round and round through the rows, so that what the machine does
// beside hits all of them alike.
func (b *bench) measure(ctx context.Context, s scenario) error {
	for round := range b.opts.rounds {
		for _, driver := range b.opts.drivers {
			for _, m := range s.rows(b.opts) {
				err := b.measureRow(ctx, s, driver, m)
				if errors.Is(err, storetest.ErrNoPostgres) {
					fmt.Fprintln(b.progress, "SKIPPED:", s.name, driver+":", err)
					break
				}
				if err != nil {
					return fmt.Errorf("%s, %s, %d clients, round %d: %w", s.name, driver, m.clients, round+1, err)
				}
			}
		}
	}
	return nil
}

func (b *bench) measureRow(ctx context.Context, s scenario, driver string, m measurement) (err error) {
	d, err := b.newDatabase(ctx, driver)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.remove()) }()
	metrics, err := m.run(ctx, b, d)
	if err != nil {
		return err
	}
	b.report.add(row{scenario: s.name, driver: driver, clients: m.clients}, metrics)
	fmt.Fprintf(b.progress, "%s %s %d: %s\n", s.name, driver, m.clients, inWords(metrics))
	return nil
}
