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

// run is the whole program: args are the command line with the program's name,
// getenv is os.Getenv, and ctx ends when the program is to stop.
func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	words, flags := splitWords(args[1:])
	command, words, err := findCommand(words)
	c, configErr := config.Load(flags, getenv, command.flags)
	if errors.Is(configErr, config.ErrHelp) {
		return printUsage(stdout)
	}
	if err != nil { // before a flag that is wrong: it may be another command's
		return err
	}
	if command.isHelp() {
		return printUsage(stdout)
	}
	if configErr != nil {
		return configErr
	}
	return command.run(ctx, c, words, stdout)
}
