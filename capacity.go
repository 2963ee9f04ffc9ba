package main

import (
	"fmt"
	"log/slog"
)

const (
	// descriptorsForFiles are kept free for all that is no connection of a client:
	// the database's files or connections (14 at most), keys that are read, the log,
	// the listener, what watches the sockets, and calls to other issuers.
	descriptorsForFiles = 64
	// descriptorsForRequests is the part of what is left, one in so many, that is kept
	// free for connections that are no sockets: requests, handshakes that have not
	// been answered or were refused, and the second descriptor that a socket has for a
	// moment while it is taken over.
	descriptorsForRequests = 8
)

// capacity is how many sockets the gate lets in at a time, so that it is the gate
// that says no, and not the system that has no descriptor left.
type capacity struct {
	sockets     int    // 0 is no bound: none is set, and none of the system is known
	descriptors int    // that the process may have; 0 where the system has no limit
	wanted      int    // limits.connections
	reason      string // what decides: limits.connections, descriptors, or nothing
}

// newCapacity takes limits.connections, 0 for unlimited, and the number of
// descriptors, 0 for no limit.
func newCapacity(connections, descriptors int) (capacity, error) {
	c := capacity{sockets: connections, descriptors: descriptors, wanted: connections, reason: "limits.connections"}
	if descriptors == 0 {
		if connections == 0 {
			c.reason = "nothing"
		}
		return c, nil
	}
	rest := descriptors - descriptorsForFiles
	most := rest - (rest+descriptorsForRequests-1)/descriptorsForRequests
	if most < 1 {
		return c, fmt.Errorf("the process may have %d descriptors, which leaves none for sockets: raise the limit (`ulimit -n`, LimitNOFILE) to 1024 at least", descriptors)
	}
	if connections == 0 || connections > most {
		c.sockets, c.reason = most, "descriptors"
	}
	return c, nil
}

// announce tells it, and what stands in the way of more that was asked for.
func (c capacity) announce(logger *slog.Logger) {
	logger.Info("capacity", "sockets", c.sockets, "descriptors", c.descriptors, "reason", c.reason)
	if c.wanted > c.sockets {
		logger.Warn("limits.connections is more than descriptors allow: raise their limit (`ulimit -n`, LimitNOFILE)", "limits.connections", c.wanted, "sockets", c.sockets)
	}
}
