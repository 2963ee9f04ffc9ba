package attack_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	wire "github.com/gobwas/ws"
)

var (
	fanoutReaders = flag.Int("attack.readers", 90, "how many sockets read what is sent beside those of -attack.silent")
	fanoutSilent  = flag.Int("attack.silent", 10, "how many sockets TestSilentBesideReadersL8 has that never read")
)

// fanoutFlags leave nothing between a publisher and the members of a channel but
// their queues.
func fanoutFlags() []string {
	return []string{
		"--limits.messages.rate=1e9", "--limits.messages.burst=1000000000", "--limits.bytes.rate=1e9", "--limits.bytes.burst=1000000000",
		"--limits.handshakes.rate=1e9", "--limits.handshakes.burst=1000000000", "--limits.connections-per-user=0", "--limits.connections-per-address=0", "--auto-subscribe=",
	}
}

// member is a socket in live:flood that reads numbered messages.
type member struct {
	in   *bufio.Reader
	last [maxPublishers]atomic.Int64 // number of the last message of each
	end  chan error                  // nil never comes: why it reads no more
}

// maxPublishers bounds those that number their messages.
const maxPublishers = 20

// join opens a socket of the user's that is in live:flood and reads no further.
func (u *user) join(readBuffer int) *websocket.Conn {
	u.t.Helper()
	conn, a := u.upgrade("/ws", "Authorization", "Bearer "+u.access)
	if conn == nil {
		u.t.Fatalf("%v", a)
	}
	u.t.Cleanup(func() { _ = conn.Close() })
	if readBuffer > 0 {
		_ = conn.NetConn().(*net.TCPConn).SetReadBuffer(readBuffer)
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","channel":"live:flood"}`)); err != nil {
		u.t.Fatal(err)
	}
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			u.t.Fatal(err)
		}
		if bytes.HasPrefix(text, []byte(`{"type":"subscribed"`)) {
			return conn
		}
	}
}

// members are sockets of the user's that read until they end.
func (u *user) members(n int) []*member {
	u.t.Helper()
	all := make([]*member, n)
	for i := range all {
		m := &member{in: bufio.NewReaderSize(u.join(0).NetConn(), 4<<10), end: make(chan error, 1)}
		all[i] = m
		go func() { m.end <- m.read() }()
	}
	return all
}

// read wants numbers that follow each other. It decodes no more than it must: the
// members share the machine with the server.
func (m *member) read() error {
	for {
		size, opcode, err := m.header()
		if err != nil {
			return err
		}
		head, err := m.in.Peek(min(size, 512))
		if err != nil {
			return err
		}
		switch _, text, found := bytes.Cut(head, []byte(`"message":"`)); {
		case found && bytes.HasPrefix(head, []byte(`{"type":"chat"`)):
			number, err := strconv.ParseInt(string(text[:numberSize]), 10, 64)
			from, n := number/numbers, number%numbers
			if err != nil || n != m.last[from].Load()+1 {
				return fmt.Errorf("message %d of %d comes behind %d: %w", n, from, m.last[from].Load(), err)
			}
			m.last[from].Store(n)
		case opcode == wire.OpClose:
			code, reason := wire.ParseCloseFrameData(head)
			return fmt.Errorf("closed with %d %s", code, reason)
		}
		if _, err := m.in.Discard(size); err != nil {
			return err
		}
	}
}

func (m *member) header() (size int, opcode wire.OpCode, err error) {
	first := make([]byte, 2)
	if _, err := io.ReadFull(m.in, first); err != nil {
		return 0, 0, err
	}
	longer := make([]byte, map[byte]int{126: 2, 127: 8}[first[1]])
	if _, err := io.ReadFull(m.in, longer); err != nil {
		return 0, 0, err
	}
	switch len(longer) {
	case 2:
		size = int(binary.BigEndian.Uint16(longer))
	case 8:
		size = int(binary.BigEndian.Uint64(longer))
	default:
		size = int(first[1])
	}
	return size, wire.OpCode(first[0] & 0xf), nil
}

const (
	// numbers is how many numbers each publisher has, and numberSize how many digits
	// stand before a message: those of the publisher and of the message.
	numbers    = 10_000_000
	numberSize = 9
)

// numbered is a message of a size, as its publisher sends it. It is not acked.
func numbered(publisher, n, size int) []byte {
	text := fmt.Sprintf("%0*d%s", numberSize, publisher*numbers+n, strings.Repeat("x", max(0, size-numberSize)))
	return masked(wire.OpText, true, `{"type":"chat","channel":"live:flood","message":"`+text+`"}`)
}

// haveAll waits until the members have so many messages of each publisher.
func haveAll(t *testing.T, members []*member, sent ...int) {
	t.Helper()
	var waiting sync.WaitGroup
	var lost atomic.Int32
	for _, m := range members {
		waiting.Go(func() {
			has := func() bool {
				for publisher, n := range sent {
					if m.last[publisher].Load() < int64(n) {
						return false
					}
				}
				return true
			}
			_ = poll(t.Context(), patience, func() bool { return has() || len(m.end) > 0 })
			if !has() && lost.Add(1) <= 3 {
				reason := errors.New("nothing comes")
				if len(m.end) > 0 {
					reason = <-m.end
				}
				t.Errorf("a member that reads lacks some of %v messages: %v", sent, reason)
			}
		})
	}
	if waiting.Wait(); lost.Load() > 0 {
		t.Errorf("%d of %d members that read have lost something", lost.Load(), len(members))
	}
}

const (
	// queueBytes is limits.queue_bytes, and mostBytes what may wait for one who does
	// not read with what the kernel holds on both sides.
	queueBytes = 1 << 20
	mostBytes  = queueBytes + 512<<10
	// silentLimit is how long those may stay whose queue is full.
	silentLimit = 5 * time.Second
)

// L8: clients that never read are closed, and those beside them lose nothing and
// wait for nothing.
func TestSilentBesideReadersL8(t *testing.T) {
	s := start(t, fanoutFlags()...)
	members := s.signUp("reader").members(*fanoutReaders)
	silent, sockets := s.signUp("silent"), make([]*websocket.Conn, *fanoutSilent)
	for i := range sockets {
		sockets[i] = silent.join(4 << 10)
	}
	before := s.memory()
	most, stop := s.peak()
	publisher := s.signUp("publisher").connectAlone()
	n, size := 0, max(200, 1_600_000/len(members)) // at 320 MB a second in all, or what the machine gives
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	var full, gone time.Time
	for gone.IsZero() {
		<-pace.C
		n++
		if _, err := publisher.conn.NetConn().Write(numbered(0, n, size)); err != nil {
			t.Fatal(err)
		}
		switch {
		case full.IsZero():
			if n*size > mostBytes {
				full = time.Now()
			}
		case n%20 == 0 && silent.isAway():
			gone = time.Now()
		case time.Since(full) > silentLimit:
			t.Fatalf("%d clients that never read are still there %v after their queues were full", len(sockets), time.Since(full))
		}
	}
	haveAll(t, members, n)
	stop()
	t.Logf("%d messages of %d bytes to %d members; %d that never read were gone %v after their queues were full; memory %d MiB, at most %d",
		n, size, len(members), len(sockets), gone.Sub(full), before, most())
	if grown, may := most()-before, len(sockets)*mostBytes>>20+len(members)/4+48; grown > may {
		t.Errorf("the server's memory grew by %d MiB, want %d at most", grown, may)
	}
	for _, conn := range sockets {
		if code := endOf(conn); code != 4408 && code != websocket.CloseAbnormalClosure { // what they have not read may be gone, and the code with it
			t.Errorf("one that never read is closed with %d", code)
		}
	}
}

// isAway tells whether none of the user's sockets is in live:flood any more.
func (u *user) isAway() bool {
	a := u.call("GET", "/channels/live:flood/presence", "")
	return a.status == 200 && !strings.Contains(a.body, `"`+u.name+`"`)
}
