package netpoll

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Whose turn a connection is.
const (
	idle    uint32 = iota // nobody's: the next event calls a worker
	running               // a worker's
	again                 // a worker's, who has to look once more
)

// conn is a connection on epoll. There are many, so it is small.
type conn struct {
	// static after construction
	poller  *poller
	handler Handler

	turn  atomic.Uint32 // idle, running or again; after the end never idle
	short atomic.Bool   // a Write was short, or is about to be; set with mu held

	// The descriptor is used with mu held: a number that has been closed may be
	// another connection's already. Nothing that is done with it blocks.
	mu     sync.Mutex
	fd     int32  // guarded by mu: -1 once it is closed
	failed uint16 // guarded by mu: the errno of a Write, or 0
	half   bool   // guarded by mu: CloseWrite was called
	ending bool   // guarded by mu: the end is behind what there is to read
}

// newConn is born running: its first turn is the opening.
func newConn(p *poller, fd int, h Handler) *conn {
	c := &conn{poller: p, handler: h, fd: int32(fd)}
	c.turn.Store(running)
	return c
}

// wake has a worker look at the connection: at once, or once more where one is
// at it.
func (c *conn) wake() {
	for {
		switch c.turn.Load() {
		case idle:
			if c.turn.CompareAndSwap(idle, running) {
				c.poller.workers.do(job{conn: c})
				return
			}
		case running:
			if c.turn.CompareAndSwap(running, again) {
				return
			}
		default:
			return
		}
	}
}

// work is a worker's turn.
func (c *conn) work(opening bool, early []byte) {
	if opening {
		c.handler.Opened(c)
		if len(early) > 0 && c.isOpen() {
			c.handler.Received(early)
		}
	}
	for {
		c.turn.Store(running) // what came until here is seen now
		err := c.receive()
		if err == io.EOF && c.handler.Ended() {
			err = nil // what comes now is an error, or our own Close
		}
		if err != nil {
			c.shut()
			c.handler.Closed(err)
			c.poller.gate.leave()
			return
		}
		if c.turn.CompareAndSwap(running, idle) {
			return
		}
	}
}

// receive hands over what there is. An error says why nothing more comes.
func (c *conn) receive() error {
	buf := c.poller.buffers.Get().(*buffer)
	defer c.poller.buffers.Put(buf)
	for more := true; more; {
		var n int
		var err error
		if n, more, err = c.read(buf[:]); err != nil {
			return err
		}
		if n > 0 {
			c.handler.Received(buf[:n])
		}
	}
	return nil
}

// read answers too whether there may be more. Where less came than there was
// room for, that was all, and what comes later makes an event (epoll(7)). But the
// end may be behind it without another one.
func (c *conn) read(p []byte) (n int, more bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0, false, net.ErrClosed
	}
	for {
		n, err = unix.Read(int(c.fd), p)
		switch {
		case err == unix.EINTR:
		case n <= 0 && c.failed != 0: // which has told of the reason, and reading no longer does
			return 0, false, os.NewSyscallError("write", unix.Errno(c.failed))
		case err == unix.EAGAIN:
			return 0, false, nil
		case err != nil:
			return 0, false, os.NewSyscallError("read", err)
		case n == 0:
			return 0, false, io.EOF
		default:
			return n, n == len(p) || c.ending, nil
		}
	}
}

// expectEnd has reads go on until the end.
func (c *conn) expectEnd() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = true
}

// Write implements Conn.
func (c *conn) Write(p []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 || c.half || c.failed != 0 {
		return 0, net.ErrClosed
	}
	owed := c.short.Swap(true) // before the write: room may come before it has returned
	for n < len(p) {
		m, err := unix.Write(int(c.fd), p[n:])
		switch err {
		case nil:
			n += m
		case unix.EINTR:
		case unix.EAGAIN:
			return n, nil
		default:
			c.failed, c.ending = uint16(err.(unix.Errno)), true
			c.wake()
			return n, os.NewSyscallError("write", err)
		}
	}
	c.short.Store(owed) // where an earlier one was short, its Writable is still to come
	return n, nil
}

// roomAgain is called where a write would take something. It is quick where
// nobody waits for that, and otherwise lets a Write that is going on finish, so
// that the one that is short now is not passed over.
func (c *conn) roomAgain() {
	if !c.short.Load() {
		return
	}
	c.mu.Lock()
	owed := c.short.Swap(false)
	c.mu.Unlock()
	if owed {
		c.handler.Writable()
	}
}

// CloseWrite implements Conn.
func (c *conn) CloseWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd >= 0 && !c.half {
		c.half = true
		_ = unix.Shutdown(int(c.fd), unix.SHUT_WR) // an error means that the peer has gone
	}
}

// Close implements Conn.
func (c *conn) Close(abort bool) {
	if abort {
		c.forget()
	}
	c.shut()
	c.wake()
}

// forget has the kernel throw away what the peer has not taken, once the
// connection is closed.
func (c *conn) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd >= 0 {
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
}

func (c *conn) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fd >= 0
}

// shut closes the descriptor.
func (c *conn) shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return
	}
	// So that the kernel does not keep for minutes what the peer does not take. An
	// error means that this is no TCP.
	_ = unix.SetsockoptInt(int(c.fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(flushTimeout.Milliseconds()))
	c.poller.table.put(int(c.fd), nil) // before the number is anybody else's
	_ = unix.Close(int(c.fd))
	c.fd = -1
}
