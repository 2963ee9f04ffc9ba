package broker_test

import (
	"fmt"
	"testing"

	"github.com/gatecast/gatecast/broker"
	"github.com/gatecast/gatecast/ws"
)

func TestMemoryDeliversInOrderUntilStopped(t *testing.T) {
	var m broker.Memory
	var first, second []string
	stop := m.Subscribe(func(e ws.Envelope) { first = append(first, e.Channel) })
	m.Subscribe(func(e ws.Envelope) { second = append(second, e.Channel) })
	for i := range 4 {
		if i == 2 {
			stop()
		}
		if err := m.Publish(t.Context(), ws.Envelope{Channel: fmt.Sprint("room:", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(first) != "[room:0 room:1]" || fmt.Sprint(second) != "[room:0 room:1 room:2 room:3]" {
		t.Errorf("%v and %v", first, second)
	}
}
