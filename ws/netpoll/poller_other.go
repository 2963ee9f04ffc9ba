//go:build !linux

package netpoll

// New makes a Poller. Here it is the one of Goroutines.
func New() (Poller, error) { return Goroutines(), nil }
