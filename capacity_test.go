package main

import (
	"net"
	"runtime"
	"testing"
)

// L6: as many as limits.connections says, and never more than descriptors allow.
func TestCapacityL6(t *testing.T) {
	for _, row := range []struct {
		connections, descriptors, sockets int
		reason                            string
	}{
		{0, 1024, 840, "descriptors"},
		{839, 1024, 839, "limits.connections"},
		{840, 1024, 840, "limits.connections"},
		{841, 1024, 840, "descriptors"},
		{0, 1_048_576, 917_448, "descriptors"},
		{0, 66, 1, "descriptors"},
		{5, 0, 5, "limits.connections"}, // a system that sets no limit
		{0, 0, 0, "nothing"},
	} {
		c, err := newCapacity(row.connections, row.descriptors)
		if err != nil || c.sockets != row.sockets || c.reason != row.reason {
			t.Errorf("limits.connections %d, %d descriptors: %+v %v, want %d, %s", row.connections, row.descriptors, c, err, row.sockets, row.reason)
		}
	}
	for _, few := range []int{1, 64, 65} {
		if c, err := newCapacity(0, few); err == nil {
			t.Errorf("%d descriptors: %+v", few, c)
		}
	}
}

// A connection's own number tells whether descriptors are scarce.
func TestScarceDescriptors(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system sets no limit")
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inner.Close() }()
	conn, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number := descriptorOf(conn.(*net.TCPConn))
	for scarce, want := range map[int]bool{0: false, 1: true, number: true, number + 1: false} {
		if l := (patientListener{scarce: scarce}); l.isScarce(conn) != want {
			t.Errorf("descriptor %d where they are scarce from %d on: %v", number, scarce, !want)
		}
	}
	_ = conn.Close()
	if l := (patientListener{scarce: 1}); l.isScarce(conn) {
		t.Error("a closed connection has a descriptor")
	}
}
