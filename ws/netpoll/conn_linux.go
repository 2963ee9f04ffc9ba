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
	half   bool   // guarded by mu: CloseWrite was called
	failed uint16 // guarded by mu: the errno of a Write, or 0
	fd     int32  // guarded by mu: -1 once it is closed
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
		if err := c.receive(); err != nil {
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

// readSize is how much is read at once, in bytes.
const readSize = 16 << 10

// buffers are for those that read just now.
var buffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// receive hands over what there is. An error says why nothing more comes.
func (c *conn) receive() error {
	buf := buffers.Get().(*[readSize]byte)
	defer buffers.Put(buf)
	for {
		n, err := c.read(buf[:])
		switch {
		case err == unix.EAGAIN:
			return nil
		case err != nil:
			return err
		case n == 0:
			return io.EOF
		}
		c.handler.Received(buf[:n])
	}
}

func (c *conn) read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0, net.ErrClosed
	}
	for {
		n, err := unix.Read(int(c.fd), p)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN && c.failed != 0: // nothing more comes after that
			return 0, os.NewSyscallError("write", unix.Errno(c.failed))
		case err == unix.EAGAIN:
			return 0, err
		}
		return n, os.NewSyscallError("read", err)
	}
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
			c.failed = uint16(err.(unix.Errno))
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
	c.poller.table.put(int(c.fd), nil) // before the number is anybody else's
	_ = unix.Close(int(c.fd))
	c.fd = -1
}
