//go:build unix

package main

import (
	"math"
	"net"
	"syscall"
)

// descriptorLimit is how many descriptors the process may have at a time; 0 where
// that cannot be told. It is the hard limit, or one below: Go raises the soft
// limit to it before main begins, however the program is started.
func descriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)) // some systems have more, or infinity
}

// descriptorOf is a connection's descriptor; -1 where it is closed.
func descriptorOf(conn *net.TCPConn) int {
	number := -1
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { number = int(fd) }) // an error leaves it
	}
	return number
}
