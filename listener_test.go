package main

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/gatecast/gatecast/config"
)

// A connection is given back once, however often it is closed: what takes it over
// and what served it before may both do so.
func TestConnectionsAreGivenBackOnce(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Limits.ConnectionsPerAddress = 1
	listener := newListener(inner, capacity{}, c)
	defer func() { _ = listener.Close() }()
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	var held []net.Conn
	for range connectionsPerSocket {
		dial()
		held = append(held, <-accepted)
	}
	for range 3 {
		_ = held[0].Close()
	}
	dial()
	held[0] = <-accepted
	// One too many is closed at once, maybe before its client sees that it is open.
	if over, err := net.Dial("tcp", inner.Addr().String()); err == nil {
		_ = over.SetReadDeadline(time.Now().Add(patience))
		if _, err := over.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("one connection too many: %v", err)
		}
		_ = over.Close()
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	if n := listener.addresses.Held(); n != 0 {
		t.Errorf("%d connections are held after all were closed", n)
	}
	_ = listener.Close()
	<-accepted
}
