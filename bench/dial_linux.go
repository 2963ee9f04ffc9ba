package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
)

// ipBindAddressNoPort, of ip(7), leaves the choice of a port to connect, which has
// more of them to choose from.
const ipBindAddressNoPort = 24

// dial opens the connection and sends the handshake. On this machine neither
// waits, unless more connections than the server's backlog holds wait to be
// accepted.
func (c *client) dial(addr netip.AddrPort) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("%w: this process may open no more files; `ulimit -n` raises the limit", err)
	}
	if err != nil {
		return err
	}
	*c = client{number: c.number, channel: c.channel, request: c.request, tiny: c.tiny, fd: fd, sent: time.Now()}
	if err := c.prepare(); err != nil {
		return errors.Join(err, syscall.Close(fd))
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}); err != nil {
		return errors.Join(fmt.Errorf("connecting: %w", err), syscall.Close(fd))
	}
	if _, err := syscall.Write(fd, c.request); err != nil {
		return errors.Join(fmt.Errorf("sending the handshake: %w", err), syscall.Close(fd))
	}
	return syscall.SetNonblock(fd, true)
}

func (c *client) prepare() error {
	err := syscall.SetsockoptInt(c.fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if c.tiny {
		err = errors.Join(err, syscall.SetsockoptInt(c.fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, tinyBuffer))
	}
	if block := c.number / clientsPerAddress; block > 0 {
		from := [4]byte{127, 0, 0, 0}
		binary.BigEndian.PutUint16(from[2:], uint16(block+1))
		err = errors.Join(err,
			syscall.SetsockoptInt(c.fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1),
			syscall.Bind(c.fd, &syscall.SockaddrInet4{Addr: from}))
	}
	return err
}
