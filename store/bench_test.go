package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
)

// BenchmarkLog is the bare log: every publisher sends its next message when the
// last one is stored. 256 bytes, 1,000 channels, with keys.
func BenchmarkLog(b *testing.B) {
	for _, driver := range []string{"sqlite", "postgres"} {
		for _, publishers := range []int{1, 10, 100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", driver, publishers), func(b *testing.B) { benchmarkAppend(b, driver, publishers) })
		}
	}
}

func benchmarkAppend(b *testing.B, driver string, publishers int) {
	log := newDatabase(b, driver).start(b, store.LogOptions{History: keep(ws.History{Count: 100, Age: time.Hour}), DedupeWindow: time.Second})
	data := fmt.Appendf(nil, `{"p":"%0240d"}`, 0)
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			done := make(chan error, 1)
			for i := p; i < b.N; i += publishers {
				m := ws.Message{
					Channel: fmt.Sprint("room:", (i*7919)%1000), Event: "message", Data: data, Key: fmt.Sprint("k", i),
					Sender: ws.Sender{ClientID: "AAAAAAAAAAAAAAAAAAAAAAAAAA", UserID: fmt.Sprint("USERAAAAAAAAAAAAAAAAAAA", p), Username: "alice"},
				}
				if err := log.Append(m, func(_ ws.Receipt, err error) { done <- err }); err != nil {
					b.Error(err)
					return
				}
				if err := <-done; err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
