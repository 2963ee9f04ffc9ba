// Command gatecast is a realtime API server with the door built in: people log
// in with POST /login, connect a WebSocket with their token and talk in
// channels.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/gatecast/gatecast/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from here on a second signal ends the process at once

	err := config.CheckEnviron(os.Environ())
	if err == nil {
		err = run(ctx, os.Args, os.Getenv, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatecast:", err)
		os.Exit(1)
	}
}

const usage = `Gatecast is a realtime API server with the door built in.

  gatecast [serve] [flags]   run the server
  gatecast config [flags]    print the effective settings
  gatecast help              print this text

Flags, each also an environment variable (--a.b-c is GATECAST_A_B_C) and a key
of the YAML file (a.b_c):

`

// run is the whole program: args are the command line with the program's name,
// getenv is os.Getenv, and ctx ends when the program is to stop.
func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	command, flags := "serve", args[1:]
	if len(flags) > 0 && flags[0] != "" && flags[0][0] != '-' {
		command, flags = flags[0], flags[1:]
	}
	var commandFunc func(context.Context, config.Config, io.Writer) error
	switch command {
	case "serve":
		commandFunc = serve
	case "config":
		commandFunc = printConfig
	case "help":
		return printUsage(stdout)
	default:
		return fmt.Errorf("there is no command %q; `gatecast help` lists them", command)
	}
	c, err := config.Load(flags, getenv)
	if errors.Is(err, config.ErrHelp) {
		return printUsage(stdout)
	}
	if err != nil {
		return err
	}
	return commandFunc(ctx, c, stdout)
}

func printUsage(stdout io.Writer) error {
	_, err := io.WriteString(stdout, usage+config.Usage())
	return err
}
