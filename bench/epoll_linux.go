package main

import (
	"syscall"
	"time"
)

// poller tells which descriptors have something to read.
type poller struct {
	fd     int
	events [512]syscall.EpollEvent
}

// event is what a descriptor is ready for. The end of a connection is read.
type event struct{ readable, writable bool }

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	return &poller{fd: fd}, err
}

func (p *poller) close() { _ = syscall.Close(p.fd) }

func (p *poller) add(fd int) error {
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

// watchWrites says whether it matters that fd takes more.
func (p *poller) watchWrites(fd int, matters bool) error {
	e := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	if matters {
		e.Events |= syscall.EPOLLOUT
	}
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, fd, &e)
}

// onlyHangUp has nothing but the end of the connection matter.
func (p *poller) onlyHangUp(fd int) error {
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, fd, &syscall.EpollEvent{Events: syscall.EPOLLRDHUP, Fd: int32(fd)})
}

// wait calls ready for each descriptor that is.
func (p *poller) wait(atMost time.Duration, ready func(fd int, e event) error) error {
	n, err := syscall.EpollWait(p.fd, p.events[:], int((atMost + time.Millisecond - 1).Milliseconds()))
	if err == syscall.EINTR {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range p.events[:n] {
		const ended = syscall.EPOLLERR | syscall.EPOLLHUP | syscall.EPOLLRDHUP
		if err := ready(int(e.Fd), event{e.Events&(syscall.EPOLLIN|ended) != 0, e.Events&syscall.EPOLLOUT != 0}); err != nil {
			return err
		}
	}
	return nil
}
