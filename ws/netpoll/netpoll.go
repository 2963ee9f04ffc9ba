// Package netpoll moves the bytes of many connections with few goroutines.
//
// A connection that is taken over costs no goroutine and no buffer while nothing
// comes: on Linux, epoll tells which ones have something to read. Elsewhere, and
// for connections that are not plain sockets (TLS in this process, net.Pipe), a
// goroutine a connection reads.
package netpoll

import "net"

// Poller takes connections over. It is safe for concurrent use.
type Poller interface {
	// Take makes conn the Poller's own: nobody else reads, writes or closes it
	// until Take returns. That is at once where its descriptor can be duplicated,
	// and then conn itself is closed, and at the connection's end otherwise. early is
	// what was read from it already; h gets it first. Deadlines that were set end.
	// On an error conn is closed, and h has heard nothing.
	Take(conn net.Conn, early []byte, h Handler) error
	// Close waits until every connection has ended and its Handler's Closed has
	// returned; whoever calls it closes them before, and does not call it from a
	// Handler. Nothing is taken any more: Take answers net.ErrClosed.
	Close()
}

// Handler hears what happens to one connection. Opened comes first and Closed
// last. Both, Received and Ended are called one at a time, on a goroutine that they may
// hold up as long as they like: nothing is read meanwhile, and nobody else waits.
// A panic is not caught.
type Handler interface {
	// Opened is called once.
	Opened(conn Conn)
	// Received brings what came, in order. p is good until it returns. After Close
	// nothing is received but what is on its way already.
	Received(p []byte)
	// Writable tells that there is room again after a Write that did not take
	// all. It may come during any other call, or once too often, and must not block.
	Writable()
	// Ended is called where the peer has ended its side and everything has been
	// received, once or more. Where it answers true the connection is left open, for
	// what is still to be written, and it is for the Handler to call Close. Otherwise
	// Closed follows.
	Ended() (staysOpen bool)
	// Closed is called once the connection is closed, after which h is never called
	// again: but for Writable, which may be on its way. err is io.EOF where the peer
	// has ended its side, net.ErrClosed where Close was called here, and the
	// connection's own error otherwise.
	Closed(err error)
}

// Conn is a connection that has been taken over. It is safe for concurrent use,
// and after its end every call does nothing.
type Conn interface {
	// Write sends as much of p as there is room for and never waits. Where that is
	// not all of it, n < len(p) without an error, Writable is called once there is
	// room. What it sends of p is in one piece, also where others write. An error is
	// for good, and Closed follows. After CloseWrite it is net.ErrClosed. p is not kept.
	Write(p []byte) (n int, err error)
	// CloseWrite tells the peer that nothing more comes, once what was written has
	// gone. What the peer sends is still received. A net.Pipe cannot tell its peer;
	// Write takes nothing any more all the same.
	CloseWrite()
	// Close ends the connection and does not wait for that. What was written still
	// goes to the peer: the kernel sees to its part, on Linux as long as the peer
	// takes something every 5 seconds or so, and where a goroutine reads the
	// connection, the part of up to 64 KiB that is still here goes within 5 seconds,
	// and Closed comes after it. The same holds where the peer has ended its side.
	// As ever with TCP, closing with bytes of the peer unread resets the connection.
	// With abort, what the peer has not taken yet is thrown away at once, also by
	// the kernel (SO_LINGER 0).
	Close(abort bool)
}
