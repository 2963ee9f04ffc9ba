// Package peer is what the peers have in common: where they listen, how they
// say so, and how they end.
package peer

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// Joined is the frame that tells a client that it is in its channel.
const Joined = "joined"

// Main serves on a free port of this machine, which its first line names, until
// SIGTERM.
func Main(serve func(net.Listener) error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Printf("{\"page\":\"http://%s/\"}\n", listener.Addr())
	failed := make(chan error, 1)
	go func() { failed <- serve(listener) }()
	select {
	case <-stop:
	case err := <-failed:
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
