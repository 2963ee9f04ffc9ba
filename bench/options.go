package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the flags. A scenario reads those that concern it.
type options struct {
	drivers    []string
	publishers []int
	clients    []int // nil is the scenario's own
	users      int   // 0 is one for each client
	channels   int   // 0 is the scenario's own
	size       int   // 0 is the scenario's own
	window     int   // 0 is the scenario's own
	rate       float64
	peers      []string
	peerDir    string // "" is a temporary one
	keep       int
	duration   time.Duration
	warmup     time.Duration
	rounds     int
	full       bool
	compare    bool
	json       bool
	server     string
}

// Drivers of -driver.
const (
	driverSQLite   = "sqlite"
	driverPostgres = "postgres"
)

// Bounds of what can be asked for.
const (
	maxClients  = 50_000
	maxChannels = 10_000
	minSize     = 64 // the fields of a stamp, and a little more
	maxSize     = 32 << 10
	maxWindow   = 10_000
	maxRate     = 10_000
)

func parseOptions(args []string, output io.Writer) (options, error) {
	o := options{drivers: []string{driverSQLite, driverPostgres}, publishers: []int{1, 10, 100, 1000}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.Func("driver", "databases, of sqlite and postgres; a PostgreSQL of its own is started (default sqlite,postgres)", func(s string) error {
		o.drivers = strings.Split(s, ",")
		return nil
	})
	flags.Func("publishers", "publishers of publish and bare, a row for each number (default 1,10,100,1000)", numbers(&o.publishers))
	flags.Func("clients", "clients of all other scenarios, a row for each number (default the scenario's own)", numbers(&o.clients))
	flags.IntVar(&o.users, "users", 0, "users that the clients are of; a channel's members hear of each user that joins (default one for each client)")
	flags.IntVar(&o.channels, "channels", 0, "channels of the load (default the scenario's own)")
	flags.IntVar(&o.size, "size", 0, "`bytes` of data in a message (default the scenario's own)")
	flags.IntVar(&o.window, "window", 0, "fan-out: `messages` of a channel that its members have yet to get, on average over them, at most (default the scenario's own)")
	flags.Float64Var(&o.rate, "rate", 0, "fan-out: messages a second in each channel, instead of as many as go (default the scenario's own)")
	flags.Func("peers", "fan-out, idle and storm: other servers to measure by turns with this one, of "+strings.Join(peerNames(), ",")+"; all is all of them", func(s string) error {
		o.peers = strings.Split(s, ",")
		if s == "all" {
			o.peers = peerNames()
		}
		return nil
	})
	flags.StringVar(&o.peerDir, "peer-dir", "", "`folder` where the peers' programs are, or are put for the next time")
	flags.IntVar(&o.keep, "keep", 100, "`messages` that a channel keeps")
	flags.DurationVar(&o.duration, "duration", 5*time.Second, "measured time of a row")
	flags.DurationVar(&o.warmup, "warmup", time.Second, "time before that")
	flags.IntVar(&o.rounds, "rounds", 1, "how often each row is measured; the medians are told")
	flags.BoolVar(&o.full, "full", false, "publish and bare: begin with channels that have all they keep, so that old messages must go as new ones come")
	flags.BoolVar(&o.compare, "compare", false, "publish: measure bare beside each row, and tell how much of it the whole server does")
	flags.BoolVar(&o.json, "json", false, "results as JSON")
	flags.StringVar(&o.server, "server", "", "server `program`, instead of building it")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is not a flag", flags.Arg(0))
	}
	return o, o.check()
}

func (o *options) check() error {
	for _, driver := range o.drivers {
		if driver != driverSQLite && driver != driverPostgres {
			return fmt.Errorf("-driver: %q is neither sqlite nor postgres", driver)
		}
	}
	for _, name := range o.peers {
		if !slices.Contains(peerNames(), name) {
			return fmt.Errorf("-peers: there is no %q; there are %s", name, strings.Join(peerNames(), ", "))
		}
	}
	for _, n := range slices.Concat(o.publishers, o.clients) {
		if n < 1 || n > maxClients {
			return fmt.Errorf("-publishers and -clients are from 1 to %d", maxClients)
		}
	}
	switch {
	case o.users < 0:
		return fmt.Errorf("-users must not be negative")
	case o.channels < 0 || o.channels > maxChannels:
		return fmt.Errorf("-channels is at most %d", maxChannels)
	case o.size != 0 && (o.size < minSize || o.size > maxSize):
		return fmt.Errorf("-size is from %d to %d", minSize, maxSize)
	case o.window < 0 || o.window > maxWindow:
		return fmt.Errorf("-window is at most %d", maxWindow)
	case !(o.rate >= 0 && o.rate <= maxRate):
		return fmt.Errorf("-rate is at most %d", maxRate)
	case o.keep < 2 || o.keep > 100_000:
		return fmt.Errorf("-keep is from 2 to 100000")
	case o.duration <= 0 || o.duration > time.Hour || o.warmup < 0 || o.warmup > time.Hour:
		return fmt.Errorf("-duration and -warmup are at most an hour")
	case o.rounds < 1 || o.rounds > 100:
		return fmt.Errorf("-rounds is from 1 to 100")
	}
	return nil
}

// clientsOr is how many clients are asked for, or the scenario's own.
func (o options) clientsOr(own ...int) []int {
	if o.clients != nil {
		return o.clients
	}
	return own
}

// numbers reads a list of numbers into a flag.
func numbers(into *[]int) func(string) error {
	return func(s string) error {
		*into = nil
		for _, field := range strings.Split(s, ",") {
			n, err := strconv.Atoi(field)
			if err != nil {
				return err
			}
			*into = append(*into, n)
		}
		return nil
	}
}
