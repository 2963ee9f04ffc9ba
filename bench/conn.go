package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// dialers is how many handshakes are made at the same time.
const dialers = 16

// client is one connection of the load. It is owned by the loop.
type client struct {
	number int
	file   *os.File
	fd     int
	rest   []byte    // the beginning of a frame that has not come whole
	sent   time.Time // when it sent what it waits for
}

// connect opens n sockets and waits for the welcomes.
func (b *bench) connect(ctx context.Context, addr string, n int) ([]*client, error) {
	users := cmp.Or(b.opts.users, n)
	token, err := newTokens()
	if err != nil {
		return nil, err
	}
	clients := make([]*client, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(dialers)
	for i := range clients {
		group.Go(func() error {
			t, err := token(i % users)
			if err == nil {
				clients[i], err = dial(ctx, addr, i, t)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		closeAll(clients)
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return clients, nil
}

func closeAll(clients []*client) {
	for _, c := range clients {
		if c != nil {
			_ = c.file.Close()
		}
	}
}

// dial takes the connection's descriptor away from Go's own poller.
func dial(ctx context.Context, addr string, number int, token string) (*client, error) {
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	rest, err := handshake(conn, addr, token)
	if err != nil {
		return nil, err
	}
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	c := &client{number: number, file: file, fd: int(file.Fd()), rest: rest}
	return c, syscall.SetNonblock(c.fd, true) // Fd has made it blocking
}

// handshake answers what has come behind the response and the welcome.
func handshake(conn net.Conn, addr, token string) ([]byte, error) {
	// The key is the example of RFC 6455, 1.3; nothing here looks at the answer to it.
	request := "GET /ws HTTP/1.1\r\nHost: " + addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer " + token + "\r\n\r\n"
	if _, err := conn.Write([]byte(request)); err != nil {
		return nil, err
	}
	var got []byte
	upgraded, welcomed := false, false
	for !welcomed {
		if len(got) > 64<<10 {
			return nil, errors.New("the server sends something else than a handshake")
		}
		buffer := make([]byte, 4<<10)
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		got = append(got, buffer[:n]...)
		if head, rest, ok := bytes.Cut(got, []byte("\r\n\r\n")); ok && !upgraded {
			if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
				return nil, fmt.Errorf("the server refuses: %.300s", got)
			}
			got, upgraded = rest, true
		}
		if upgraded {
			if f, size := readFrame(got); size > 0 {
				if !f.is("welcome") {
					return nil, fmt.Errorf("instead of a welcome the server sends %.300s", f.payload)
				}
				got, welcomed = got[size:], true
			}
		}
	}
	return got, nil
}
