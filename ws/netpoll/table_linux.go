package netpoll

import "sync"

// blockSize is how many connections one block of a table has room for: 4 KiB.
const blockSize = 512

// table finds connections by their descriptors. The system hands out the lowest
// number that is free, so it is dense. It grows by blocks, and nothing is copied.
type table struct {
	mu     sync.RWMutex
	blocks []*[blockSize]*conn // guarded by mu
}

func (t *table) put(fd int, c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.blocks) <= fd/blockSize {
		t.blocks = append(t.blocks, new([blockSize]*conn))
	}
	t.blocks[fd/blockSize][fd%blockSize] = c
}

// get answers nil where there is none.
func (t *table) get(fd int) *conn {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if fd/blockSize >= len(t.blocks) {
		return nil
	}
	return t.blocks[fd/blockSize][fd%blockSize]
}
