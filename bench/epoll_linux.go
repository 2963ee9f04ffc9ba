package main

import (
	"syscall"
	"time"
)

// poller tells which descriptors have something to read.
type poller struct {
	fd     int
	events [256]syscall.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	return &poller{fd: fd}, err
}

func (p *poller) close() { _ = syscall.Close(p.fd) }

func (p *poller) add(fd int) error {
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

// wait calls ready for each descriptor that has something to read.
func (p *poller) wait(atMost time.Duration, ready func(fd int) error) error {
	n, err := syscall.EpollWait(p.fd, p.events[:], int(atMost.Milliseconds()))
	if err == syscall.EINTR {
		return nil
	}
	if err != nil {
		return err
	}
	for _, event := range p.events[:n] {
		if err := ready(int(event.Fd)); err != nil {
			return err
		}
	}
	return nil
}
