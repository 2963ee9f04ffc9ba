//go:build !linux

package main

import (
	"errors"
	"time"
)

// poller is for Linux.
type poller struct{}

func newPoller() (*poller, error) {
	return nil, errors.New("the load is made with epoll, which only Linux has")
}

func (*poller) close()                                       {}
func (*poller) add(int) error                                { return nil }
func (*poller) wait(time.Duration, func(fd int) error) error { return nil }
