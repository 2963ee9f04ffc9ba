// Package broker carries envelopes between nodes. Memory is for one node.
package broker

import (
	"context"
	"sync"

	"github.com/gatecast/gatecast/ws"
)

var _ ws.Broker = (*Memory)(nil)

// Memory delivers within the process, before Publish returns. Its zero value
// is ready; it is safe for concurrent use.
type Memory struct {
	mu          sync.RWMutex // guards subscribers
	subscribers map[*func(ws.Envelope)]struct{}
}

// Publish implements ws.Broker. It never fails.
func (m *Memory) Publish(_ context.Context, e ws.Envelope) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for deliver := range m.subscribers {
		(*deliver)(e)
	}
	return nil
}

// Subscribe implements ws.Broker.
func (m *Memory) Subscribe(deliver func(ws.Envelope)) (stop func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.subscribers == nil {
		m.subscribers = make(map[*func(ws.Envelope)]struct{})
	}
	key := &deliver
	m.subscribers[key] = struct{}{}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.subscribers, key)
	}
}
