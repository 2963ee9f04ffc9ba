//go:build !unix

package main

// descriptorLimit is 0: the system sets the process no limit.
func descriptorLimit() int { return 0 }
