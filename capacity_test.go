package main

import "testing"

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
