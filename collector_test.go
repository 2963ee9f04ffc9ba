package main

import (
	"os"
	"runtime/metrics"
	"testing"
)

// Servers that ran in one process at the same time leave the collector as it was.
func TestCollectorIsLeftAsItWas(t *testing.T) {
	if _, given := os.LookupEnv("GOGC"); given {
		t.Skip("GOGC is set")
	}
	first := tuneCollector()
	eventually(t, "the first is at work", func() bool { return heapGrowth() == busyPercent })
	second := tuneCollector()
	eventually(t, "both are calm", func() bool { return heapGrowth() == calmPercent })
	first()
	second()
	if percent := heapGrowth(); percent != usualPercent {
		t.Errorf("the heap may grow by %d %% now", percent)
	}
}

// heapGrowth is what GOGC is now.
func heapGrowth() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
