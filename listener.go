package main

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gatecast/gatecast/config"
	"github.com/gatecast/gatecast/ratelimit"
)

const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second

	// connectionsPerSocket is how many connections an address may have for each
	// socket that it may have: pages need some for requests. A request that takes
	// its time to arrive is no socket yet, and takes a descriptor all the same.
	connectionsPerSocket = 5
)

// patientListener waits where the process or the machine has nothing left for
// another connection. fasthttp would take that for the end of the listener, and
// anyone who opens enough connections could stop the server.
//
// So that it does not come to that in the middle of something that needs another,
// it is slow where few are left. When many connect at once, those that came first
// are let in or refused meanwhile, and those that are refused give theirs back.
//
// So that one address cannot bring it there alone, each has a bounded number of
// connections. More are closed without a word.
type patientListener struct {
	net.Listener
	addresses *ratelimit.Slots
	trusted   []netip.Prefix // proxies: their connections are others'
	scarce    int            // the descriptor from which on they are scarce; 0 is none
}

func newListener(listener net.Listener, room capacity, c config.Config) patientListener {
	return patientListener{
		Listener:  listener,
		addresses: ratelimit.NewSlots(connectionsPerSocket * c.Limits.ConnectionsPerAddress),
		trusted:   c.HTTP.TrustedProxies,
		scarce:    max(0, room.descriptors-descriptorsForFiles/2),
	}
}

func (l patientListener) Accept() (net.Conn, error) {
	for pause := acceptPauseMin; ; {
		conn, err := l.Listener.Accept()
		switch {
		case err == nil:
			if l.isScarce(conn) {
				time.Sleep(acceptPauseMin)
			}
			if conn = l.admit(conn); conn != nil {
				return conn, nil
			}
		case isExhausted(err):
			time.Sleep(pause)
			pause = min(2*pause, acceptPauseMax)
		default:
			return nil, err
		}
	}
}

// isScarce tells whether few descriptors are left. The system gives a connection
// the lowest one that is free.
func (l patientListener) isScarce(conn net.Conn) bool {
	tcp, ok := conn.(*net.TCPConn)
	return ok && l.scarce > 0 && descriptorOf(tcp) >= l.scarce
}

// admit counts a connection, or closes it and answers nil.
func (l patientListener) admit(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	addr := tcp.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	if slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return conn
	}
	key := ratelimit.AddressKey(addr)
	if !l.addresses.Acquire(key) {
		_ = tcp.SetLinger(0) // nothing of it stays behind
		_ = tcp.Close()
		return nil
	}
	return &countedConn{TCPConn: tcp, addresses: l.addresses, key: key}
}

// countedConn is a connection that is given back when it is closed.
type countedConn struct {
	*net.TCPConn
	addresses *ratelimit.Slots
	key       string
	closed    atomic.Bool
}

func (c *countedConn) Close() error {
	err := c.TCPConn.Close()
	if !c.closed.Swap(true) {
		c.addresses.Release(c.key)
	}
	return err
}

func isExhausted(err error) bool {
	for _, exhausted := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, exhausted) {
			return true
		}
	}
	return false
}
