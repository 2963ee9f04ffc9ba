package netpoll

import (
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// interest is what an epoll instance tells of a connection, each time anew
// (EPOLLET), for as long as it is open: it is never asked for again.
const interest = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// endings are the events behind which nothing but the end comes.
const endings = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR

// eventsAtOnce is how many events one look at an epoll instance brings at most.
const eventsAtOnce = 128

// reader tells connections that something came for them or that there is room
// again. It has an epoll instance, and waits for that as it would for a socket:
// Go's own poller watches its descriptor, and no thread is held up.
type reader struct {
	// static after construction
	table *table
	epoll *os.File
	raw   syscall.RawConn

	running sync.WaitGroup
}

func newReader(t *table) (*reader, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // what os.NewFile goes by
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	r := &reader{table: t, epoll: os.NewFile(uintptr(fd), "epoll")}
	err = r.epoll.SetReadDeadline(time.Time{}) // asks whether Go's poller has taken it
	if err == nil {
		r.raw, err = r.epoll.SyscallConn()
	}
	if err != nil {
		_ = r.epoll.Close()
		return nil, err
	}
	r.running.Go(r.run)
	return r, nil
}

// add asks for fd's events from now on, and for those that have been. They end
// when fd is closed.
func (r *reader) add(fd int) error {
	var failed error
	err := r.raw.Control(func(epoll uintptr) {
		event := unix.EpollEvent{Events: interest, Fd: int32(fd)}
		failed = os.NewSyscallError("epoll_ctl", unix.EpollCtl(int(epoll), unix.EPOLL_CTL_ADD, fd, &event))
	})
	if err != nil {
		return err
	}
	return failed
}

func (r *reader) run() {
	events := make([]unix.EpollEvent, eventsAtOnce)
	_ = r.raw.Read(func(epoll uintptr) (done bool) {
		for {
			n, err := unix.EpollWait(int(epoll), events, 0)
			if n == 0 {
				return false // wait until there are more
			}
			if err != nil {
				continue // EINTR: there is no other
			}
			r.tell(events[:n])
		}
	})
}

// tell may reach a connection that has the descriptor of one that has gone. That
// connection looks, finds nothing, and no harm is done.
func (r *reader) tell(events []unix.EpollEvent) {
	for i := range events {
		c := r.table.get(int(events[i].Fd))
		if c == nil {
			continue
		}
		happened := events[i].Events
		if happened&endings != 0 {
			c.expectEnd()
		}
		if happened&(unix.EPOLLIN|endings) != 0 {
			c.wake()
		}
		if happened&unix.EPOLLOUT != 0 {
			c.roomAgain()
		}
	}
}

// close is called once no connection is left.
func (r *reader) close() {
	_ = r.epoll.Close() // wakes run
	r.running.Wait()
}
