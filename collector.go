package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// collectorLook is the time between two looks at how much is allocated.
	collectorLook = 100 * time.Millisecond
	// calmRate is what may be allocated in a second, in bytes, for the heap to be
	// kept small: collecting so often then takes some 4 % of a processor.
	calmRate = 4 << 20
	// calmPercent and busyPercent are how much the heap may grow before it is
	// collected, in percent of what is in use (GOGC).
	calmPercent = 10
	busyPercent = 75
	// usualPercent is Go's own, where GOGC is not set.
	usualPercent = 100
)

// tuneCollector keeps the heap small while little is allocated, which is when
// connections are idle, and collects seldom while much is. Where GOGC is set it is
// left to that. stop ends it.
func tuneCollector() (stop func()) {
	if _, given := os.LookupEnv("GOGC"); given {
		return func() {}
	}
	ended := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		debug.SetGCPercent(busyPercent)
		defer debug.SetGCPercent(usualPercent) // not what was there before: that may be another server's
		watchHeap(ended)
	})
	return func() {
		close(ended)
		running.Wait()
	}
}

func watchHeap(ended <-chan struct{}) {
	look := time.NewTicker(collectorLook)
	defer look.Stop()
	allocated, calm := totalAllocated(), false
	for {
		select {
		case <-ended:
			return
		case <-look.C:
		}
		now := totalAllocated()
		isCalm := now-allocated < calmRate*uint64(collectorLook)/uint64(time.Second)
		allocated = now
		if isCalm == calm {
			continue
		}
		if calm = isCalm; calm {
			debug.SetGCPercent(calmPercent)
		} else {
			debug.SetGCPercent(busyPercent)
		}
	}
}

// totalAllocated is bytes since the start.
func totalAllocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
