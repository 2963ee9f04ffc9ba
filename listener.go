package main

import (
	"errors"
	"net"
	"syscall"
	"time"
)

const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// patientListener waits where the process or the machine has nothing left for
// another connection. fasthttp would take that for the end of the listener, and
// anyone who opens enough connections could stop the server.
type patientListener struct{ net.Listener }

func (l patientListener) Accept() (net.Conn, error) {
	for pause := acceptPauseMin; ; pause = min(2*pause, acceptPauseMax) {
		conn, err := l.Listener.Accept()
		if !isExhausted(err) {
			return conn, err
		}
		time.Sleep(pause)
	}
}

func isExhausted(err error) bool {
	for _, exhausted := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, exhausted) {
			return true
		}
	}
	return false
}
