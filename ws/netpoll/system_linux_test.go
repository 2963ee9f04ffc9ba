package netpoll

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// roll is a Handler that tells of its Conn and costs nothing itself.
type roll chan Conn

func (r roll) Opened(c Conn) { r <- c }
func (roll) Received([]byte) {}
func (roll) Ended() bool     { return false }
func (roll) Writable()       {}
func (roll) Closed(error)    {}

// bareConn is a connection whose peer is a mere descriptor, which costs this
// process nothing else.
func bareConn(t testing.TB) (taken net.Conn, peer int) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(ends[0]), "taken")
	defer file.Close()
	if taken, err = net.FileConn(file); err != nil {
		t.Fatal(err)
	}
	return taken, ends[1]
}

// A connection that is idle costs no goroutine and at most 100 bytes.
func TestIdleCostsLittle(t *testing.T) {
	const connections = 5000
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	conns, peers := make([]Conn, 0, connections), make([]int, 0, connections)
	opened := make(roll, 1)
	defer func() {
		for i := range conns {
			conns[i].Close(true)
			_ = unix.Close(peers[i])
		}
		p.Close()
	}()
	heap, resident := heapBytes(), residentBytes(t)
	for range connections {
		taken, peer := bareConn(t)
		if err := p.Take(taken, nil, opened); err != nil {
			t.Fatal(err)
		}
		conns, peers = append(conns, <-opened), append(peers, peer)
	}
	grown := residentBytes(t) - resident
	each := (heapBytes() - heap) / connections
	for start := time.Now(); each > 100 && time.Since(start) < patience; { // some may not be idle yet
		each = (heapBytes() - heap) / connections
	}
	t.Logf("a connection costs %d bytes of heap; VmRSS grew by %d bytes for each, without a collection", each, grown/connections)
	if each > 100 {
		t.Errorf("a connection costs %d bytes of heap", each)
	}
	if n := runtime.NumGoroutine(); n > warmWorkers+100 {
		t.Errorf("there are %d goroutines", n)
	}
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // empties pools
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func residentBytes(t testing.TB) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var pages int64
	for _, digit := range bytes.Fields(status)[1] {
		pages = 10*pages + int64(digit-'0')
	}
	return pages * int64(os.Getpagesize())
}

// Where there is no descriptor left, the connection is closed and nobody hears of it.
func TestNoDescriptorLeft(t *testing.T) {
	s := newScene(t, worlds()[0])
	taken, peer := s.pair(t, s.listener)
	e := newEar(t)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := take(s.poller, taken, nil, e)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, unix.EMFILE) {
		t.Errorf("Take: %v", err)
	}
	silence(t, peer)
	_ = peer.Close()
	if e.state.Load() != unborn {
		t.Error("the Handler heard of it")
	}
}

// What a peer that never reads has been written does not stay with the kernel for
// minutes, where nobody counts it.
func TestKernelKeepsNothingForTheDeaf(t *testing.T) {
	s := newScene(t, worlds()[0])
	e := newEar(t)
	c, peer := s.connect(t, e, "")
	ours, theirs := peer.RemoteAddr().(*net.TCPAddr).Port, peer.LocalAddr().(*net.TCPAddr).Port
	fill(t, c)
	c.Close(false)
	await(t, e.ends, "Closed")
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for late := time.After(patience); kernelHas(t, ours, theirs); {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("%v after its end, the kernel still has it", patience)
		}
	}
}

// kernelHas tells whether there is a TCP connection from one port of this machine
// to another.
func kernelHas(t testing.TB, from, to int) bool {
	t.Helper()
	list, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Sprintf(" 0100007F:%04X 0100007F:%04X ", from, to)
	return bytes.Contains(list, []byte(row))
}

// Every descriptor is given back, those of the Poller too.
func TestDescriptorsAreGivenBack(t *testing.T) {
	before := openDescriptors(t)
	t.Run("all", func(t *testing.T) {
		s := newScene(t, worlds()[0])
		for i := range 50 {
			e := newEar(t)
			c, peer := s.connect(t, e, "")
			if i%2 == 0 {
				_ = peer.Close()
			} else {
				c.Close(i%3 == 0)
				_ = peer.Close()
			}
			await(t, e.ends, "Closed")
		}
	})
	// Some that were there may be gone: those of tests before are given back late.
	for what, n := range openDescriptors(t) {
		if n > before[what] {
			t.Errorf("%d of %s are open, and %d were before", n, what, before[what])
		}
	}
}

// openDescriptors tells how many descriptors there are by what they are of. Each
// socket has a name of its own.
func openDescriptors(t testing.TB) map[string]int {
	t.Helper()
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]int{}
	for _, entry := range entries {
		what, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if err == nil { // or it was that of the directory, or closed just now
			open[what]++
		}
	}
	return open
}
