package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gatecast/gatecast/store/storetest"
)

// scenario is one kind of load.
type scenario struct {
	name  string
	about string
	// rows are what is measured, a row each.
	rows func(o options) []measurement
	// compared is the metric that peers' rows tell in proportion to this server's;
	// none where it has no peers.
	compared string
}

// measurement measures one row.
type measurement struct {
	on      string // a database's driver, or a server's name
	clients int
	run     func(ctx context.Context, b *bench) ([]metric, error)
}

// scenarios is the table of all there are.
func scenarios() []scenario {
	return []scenario{
		{"publish", "durable publishes through the whole server, each publisher waiting for the ack", publishRows, ""},
		{"bare", "the same messages straight into the log, without the server", bareRows, ""},
		{"recover", "subscribing with since, half of what is kept behind the head", recoverRows, ""},
		{"resume", "many clients that resume one channel at the same time", resumeRows, ""},
		{"fanout", "as many messages as go to one channel of 1,000, 128 bytes, without history", fanoutRows(fanoutLoad{clients: 1000, channels: 1, size: 128, window: 64}), serverCPU},
		{"channels", "as many messages as go to 100 channels of 10", fanoutRows(fanoutLoad{clients: 1000, channels: 100, size: 128, window: 16}), serverCPU},
		{"large", "as many messages as go to one channel of 1,000, 1,400 bytes", fanoutRows(fanoutLoad{clients: 1000, channels: 1, size: 1400, window: 64}), serverCPU},
		{"steady", "50 messages a second to one channel of 1,000", fanoutRows(fanoutLoad{clients: 1000, channels: 1, size: 128, rate: 50}), serverCPU},
		{"idle", "memory of 10,000 clients that have joined lobby, a second after the last one", idleRows, connectionKB},
		{"stalled", "the load of fanout, while every tenth client reads nothing", stalledRows, ""},
		{"storm", "10,000 clients connect as fast as they are let in, twice", stormRows, serverCPU},
		{"joins", "users that join one channel at once, more in each row", joinsRows, ""},
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

// perDatabase measures in an empty database of each driver.
func perDatabase(o options, clients []int, run func(ctx context.Context, b *bench, d *database, clients int) ([]metric, error)) []measurement {
	var rows []measurement
	for _, driver := range o.drivers {
		for _, n := range clients {
			rows = append(rows, measurement{driver, n, func(ctx context.Context, b *bench) (metrics []metric, err error) {
				d, err := b.newDatabase(ctx, driver)
				if err != nil {
					return nil, err
				}
				defer func() { err = errors.Join(err, d.remove()) }()
				return run(ctx, b, d, n)
			}})
		}
	}
	return rows
}

// perServer measures this server and the peers, by turns.
func perServer(o options, in entrance, clients []int, run onServer) []measurement {
	var rows []measurement
	for _, n := range clients {
		rows = append(rows, onGatecast(in, n, run))
		for _, name := range o.peers {
			rows = append(rows, measurement{name, n, func(ctx context.Context, b *bench) ([]metric, error) {
				t, err := b.peer(ctx, name, in)
				if err != nil {
					return nil, err
				}
				return run(ctx, b, t, n)
			}})
		}
	}
	return rows
}

// onServer measures a server under a number of clients.
type onServer func(ctx context.Context, b *bench, t *target, clients int) ([]metric, error)

// alone measures this server without peers.
func alone(o options, in entrance, clients []int, run onServer) []measurement {
	o.peers = nil
	return perServer(o, in, clients, run)
}

// onGatecast measures this server, with an empty database.
func onGatecast(in entrance, clients int, run onServer) measurement {
	return measurement{gatecast, clients, func(ctx context.Context, b *bench) (metrics []metric, err error) {
		d, err := b.newDatabase(ctx, driverSQLite)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, d.remove()) }()
		return run(ctx, b, b.gatecast(d, in), clients)
	}}
}

// bench is one run of the program.
type bench struct {
	opts     options
	dir      string // temporary; removed at the end
	peerDir  string // where the peers' programs are
	progress io.Writer
	report   report

	server   string              // the program; built when it is first needed
	postgres *storetest.Postgres // started when it is first needed
	skipped  map[string]bool     // what cannot be measured on, and has been told
}

func newBench(opts options, progress io.Writer) (*bench, error) {
	dir, err := os.MkdirTemp("", "gatecast-bench-")
	if err != nil {
		return nil, err
	}
	if opts.peerDir != "" {
		if opts.peerDir, err = filepath.Abs(opts.peerDir); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	b := &bench{opts: opts, dir: dir, peerDir: opts.peerDir, progress: progress, server: opts.server, skipped: make(map[string]bool)}
	if b.peerDir == "" {
		b.peerDir = filepath.Join(dir, "peers")
	}
	return b, nil
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
	b.report.compared = s.compared
	for round := range b.opts.rounds {
		for _, m := range s.rows(b.opts) {
			if b.skipped[m.on] {
				continue
			}
			err := b.measureRow(ctx, s, m)
			if ctx.Err() == nil && (errors.Is(err, storetest.ErrNoPostgres) || errors.Is(err, errNoPeer)) {
				b.skipped[m.on] = true
				fmt.Fprintln(b.progress, "SKIPPED:", s.name, m.on+":", err)
				continue
			}
			if err != nil {
				return fmt.Errorf("%s, %s, %d clients, round %d: %w", s.name, m.on, m.clients, round+1, err)
			}
		}
	}
	return nil
}

func (b *bench) measureRow(ctx context.Context, s scenario, m measurement) error {
	metrics, err := m.run(ctx, b)
	if err != nil {
		return err
	}
	b.report.add(row{s.name, m.on, m.clients}, metrics)
	fmt.Fprintf(b.progress, "%s %s %d: %s\n", s.name, m.on, m.clients, inWords(metrics))
	return nil
}
