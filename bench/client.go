package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// client is one connection of the load. It is owned by the loop.
type client struct {
	// static after construction
	number  int
	channel string
	request []byte // its handshake
	tiny    bool   // takes as little as can be before it reads

	fd       int
	upgraded bool
	step     int       // of the way in
	in       bool      // all the way
	deaf     bool      // does not read any more
	rest     []byte    // the beginning of a frame, or of the response, that has not come whole
	out      []byte    // what the socket has not taken yet
	sent     time.Time // when it sent what it waits for
}

const (
	// clientsPerAddress is how many clients come from one address of this machine:
	// fewer than an address has ports.
	clientsPerAddress = 10_000
	// maxHead bounds the response to a handshake.
	maxHead = 64 << 10
	// tinyBuffer is what a tiny client asks for; the kernel gives no less than it
	// can do with.
	tinyBuffer = 4 << 10
)

// upgrade takes the response to the handshake off b, once it is all there.
func (c *client) upgrade(b []byte) ([]byte, error) {
	head, rest, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	switch {
	case !ok && len(b) > maxHead:
		return nil, errors.New("the server sends something else than a response")
	case ok && !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")):
		return nil, fmt.Errorf("the server refuses: %.300s", b)
	case !ok:
		return b, nil
	}
	c.upgraded = true
	return rest, nil
}
