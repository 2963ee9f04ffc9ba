package netpoll

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxReaders is how many goroutines wait for events at most: they only tell who
// has something, and are never held up.
const maxReaders = 4

// buffer is what a worker reads into. It has one only while it reads.
type buffer [16 << 10]byte

// poller is the Poller on epoll.
type poller struct {
	// static after construction
	readers []*reader
	workers *workers
	others  Poller // of connections without a descriptor
	table   *table

	buffers sync.Pool // of *buffer
	gate    gate
	ended   sync.Once
}

// New makes a Poller that has no goroutine of its own for a plain socket. Where
// a connection offers its descriptor (syscall.Conn), that one is read and written,
// past any Read and Write of its own; its Close is still called, by Take. The
// error is the system's, where it has no descriptors or memory left.
func New() (Poller, error) {
	p := &poller{workers: newWorkers(), others: Goroutines(), table: new(table)}
	p.buffers.New = func() any { return new(buffer) }
	for range min(runtime.GOMAXPROCS(0), maxReaders) {
		r, err := newReader(p.table)
		if err != nil {
			p.Close()
			return nil, fmt.Errorf("netpoll: starting epoll: %w", err)
		}
		p.readers = append(p.readers, r)
	}
	return p, nil
}

// Take implements Poller.
func (p *poller) Take(nc net.Conn, early []byte, h Handler) error {
	plain, ok := nc.(syscall.Conn)
	if !ok {
		return p.others.Take(nc, early, h)
	}
	fd, err := duplicate(plain)
	_ = nc.Close() // ends Go's own polling of the socket, which stays open
	if err != nil {
		return takeError(err)
	}
	if err := p.gate.enter(); err != nil {
		_ = unix.Close(fd)
		return err
	}
	c := newConn(p, fd, h)
	p.table.put(fd, c) // before its first event
	if err := p.readers[fd%len(p.readers)].add(fd); err != nil {
		c.shut()
		p.gate.leave()
		return takeError(err)
	}
	p.workers.do(job{conn: c, opening: true, early: early})
	return nil
}

// Close implements Poller.
func (p *poller) Close() {
	p.gate.close()
	p.others.Close()
	p.ended.Do(func() {
		for _, r := range p.readers {
			r.close()
		}
		p.workers.close()
	})
}

// duplicate answers another descriptor of the socket, which does not block
// either, and which no program that is started inherits.
func duplicate(plain syscall.Conn) (fd int, err error) {
	raw, err := plain.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failed error
	err = raw.Control(func(original uintptr) {
		fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
		failed = os.NewSyscallError("fcntl", failed)
	})
	return fd, errors.Join(err, failed)
}
