package main

import (
	"bytes"
	"sync"
)

// tailBytes is how much a tail keeps.
const tailBytes = 4 << 10

// tail keeps the end of what a program writes.
type tail struct {
	address chan []byte // gets the first line that names a page

	mu   sync.Mutex // guards the rest
	told bool
	text []byte
}

func newTail() *tail { return &tail{address: make(chan []byte, 1)} }

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if !t.told {
		t.tell()
	}
	if n := len(t.text) - tailBytes; n > 0 {
		t.text = append(t.text[:0], t.text[n:]...)
	}
	return len(p), nil
}

func (t *tail) tell() {
	for line := range bytes.Lines(t.text) {
		if bytes.Contains(line, []byte(`"page":`)) && bytes.HasSuffix(line, []byte("\n")) {
			t.told = true
			t.address <- bytes.Clone(line)
			return
		}
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
