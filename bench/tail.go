package main

import "sync"

// tailBytes is how much a tail keeps.
const tailBytes = 4 << 10

// tail keeps the end of what a program writes.
type tail struct {
	first chan []byte // the first that is written: a line

	mu   sync.Mutex // guards the rest
	any  bool
	text []byte
}

func newTail() *tail { return &tail{first: make(chan []byte, 1)} }

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if n := len(t.text) - tailBytes; n > 0 {
		t.text = append(t.text[:0], t.text[n:]...)
	}
	if !t.any {
		t.any = true
		t.first <- append([]byte(nil), p...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
