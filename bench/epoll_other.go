//go:build !linux

package main

import (
	"errors"
	"net/netip"
	"time"
)

// poller is for Linux.
type poller struct{}

type event struct{ readable, writable bool }

var errNotLinux = errors.New("the load is made with epoll, which only Linux has")

func newPoller() (*poller, error)           { return nil, errNotLinux }
func (c *client) dial(netip.AddrPort) error { return errNotLinux }

func (*poller) close()                                                {}
func (*poller) add(int) error                                         { return nil }
func (*poller) watchWrites(int, bool) error                           { return nil }
func (*poller) onlyHangUp(int) error                                  { return nil }
func (*poller) wait(time.Duration, func(fd int, e event) error) error { return nil }
