package ws

import "sync"

// outbox is what waits to be written to one connection, bounded in bytes.
// Nothing that puts a frame in ever blocks.
type outbox struct {
	// static after construction
	limit int           // bytes; 0 is unlimited
	wake  chan struct{} // holds one: there is something to take

	mu       sync.Mutex // guards the rest
	frames   [][]byte   // whole WebSocket frames; may be shared with other outboxes
	bytes    int
	finished bool // a close frame is the last one; nothing comes behind it
}

func newOutbox(limit int) *outbox { return &outbox{limit: limit, wake: make(chan struct{}, 1)} }

// push puts a frame in and tells whether there was room. A finished outbox
// drops the frame.
func (o *outbox) push(frame []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished {
		return true
	}
	if o.limit > 0 && o.bytes > 0 && o.bytes+len(frame) > o.limit {
		return false
	}
	o.append(frame)
	return true
}

// finish puts the close frame in as the last one, before which flush lets the
// waiting frames go out; a nil frame ends without saying so. It tells whether
// this call was the one that finished.
func (o *outbox) finish(closeFrame []byte, flush bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished {
		return false
	}
	o.finished = true
	if !flush {
		o.frames, o.bytes = nil, 0
	}
	o.append(closeFrame)
	return true
}

func (o *outbox) append(frame []byte) {
	if len(frame) > 0 {
		o.frames = append(o.frames, frame)
		o.bytes += len(frame)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take empties the outbox; last tells that nothing will follow.
func (o *outbox) take() (frames [][]byte, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames, o.frames, o.bytes = o.frames, nil, 0
	return frames, o.finished
}

func (o *outbox) isFinished() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.finished
}
