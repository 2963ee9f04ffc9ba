// Command bench puts load on the server and tells what became of it: how much a
// second, how long each took, and what it cost in CPU time.
//
//	go run ./bench publish -driver sqlite -publishers 1,100 -duration 5s
//	go run ./bench fanout -peers centrifuge,gws -rounds 3
//
// It builds the server and starts it as a process of its own, with limits that
// the load does not reach, and by turns with it the peers. All share the machine,
// so the load is made as cheaply as can be; what it costs is told too. It needs
// Linux.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // whoever reads us may go; what was started is ended all the same
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from here on a second signal ends the process at once

	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the whole program. Results go to stdout, and what is going on to
// progress.
func run(ctx context.Context, args []string, stdout, progress io.Writer) (err error) {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		printUsage(progress)
		return flag.ErrHelp
	}
	s, ok := find(args[0])
	if !ok {
		return fmt.Errorf("there is no scenario %q; `go run ./bench -h` lists them", args[0])
	}
	opts, err := parseOptions(args[1:], progress)
	if err != nil {
		return err
	}
	b, err := newBench(opts, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.measure(ctx, s); err != nil {
		return err
	}
	return b.report.write(stdout, opts.json)
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "go run ./bench SCENARIO [flags]\n\nScenarios:\n\n")
	for _, s := range scenarios() {
		fmt.Fprintf(w, "  %-9s %s\n", s.name, s.about)
	}
	fmt.Fprint(w, "\nFlags:\n\n")
	_, _ = parseOptions([]string{"-h"}, w)
}
