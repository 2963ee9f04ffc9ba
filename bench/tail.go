package main

import (
	"bytes"
	"sync"
)

// tailBytes is how much a tail keeps.
const tailBytes = 4 << 10

// tail keeps the end of what a program writes.
type tail struct {
	first chan []byte // line

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
		line, _, _ := bytes.Cut(p, []byte("\n")) // a pipe may bring more than one
		t.first <- bytes.Clone(line)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
