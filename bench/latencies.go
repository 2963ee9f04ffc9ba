package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// fineness is how many parts an octave has in latencies, as a power of two.
const fineness = 6

// latencies counts durations by size, true to about 1 %. It is safe for
// concurrent use.
type latencies struct{ counts [64 << fineness]atomic.Int64 }

func (l *latencies) add(d time.Duration) { l.counts[slot(max(1, uint64(d)))].Add(1) }

func (l *latencies) reset() {
	for i := range l.counts {
		l.counts[i].Store(0)
	}
}

func (l *latencies) count() (n int64) {
	for i := range l.counts {
		n += l.counts[i].Load()
	}
	return n
}

// quantile is the duration that a part of all are no longer than.
func (l *latencies) quantile(part float64) time.Duration {
	rank := int64(part * float64(l.count()))
	for i := range l.counts {
		if rank -= l.counts[i].Load(); rank < 0 {
			return middle(i)
		}
	}
	return 0
}

// slot is the octave of v and the part of it.
func slot(v uint64) int {
	octave := bits.Len64(v) - 1
	return octave<<fineness | int(v<<(63-octave)<<1>>(64-fineness))
}

func middle(slot int) time.Duration {
	octave, part := slot>>fineness, slot&(1<<fineness-1)
	low := float64(uint64(1) << octave)
	return time.Duration(low * (1 + (float64(part)+0.5)/(1<<fineness)))
}
