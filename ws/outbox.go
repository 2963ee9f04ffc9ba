package ws

import (
	"context"
	"errors"
	"sync"
)

// outbox is what waits to be written to one connection, bounded in bytes.
// Nothing that puts a frame in ever blocks.
type outbox struct {
	// static after construction
	limit int           // bytes; 0 is unlimited
	wake  chan struct{} // holds one: there is something to take

	mu       sync.Mutex    // guards the rest
	frames   [][]byte      // whole WebSocket frames; may be shared with other outboxes
	bytes    int           // of frames
	writing  int           // bytes that were taken and are not yet written
	finished bool          // a close frame is the last one; nothing comes behind it
	room     chan struct{} // closed when there is more room; nil while nobody waits
}

// errFinished: the session is closing, and nobody will read what waits.
var errFinished = errors.New("ws: the socket is closing")

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
	o.tellRoom()
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

// take empties the outbox for a write, which written ends; last tells that
// nothing will follow.
func (o *outbox) take() (frames [][]byte, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = o.bytes
	frames, o.frames, o.bytes = o.frames, nil, 0
	return frames, o.finished
}

func (o *outbox) written() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = 0
	o.tellRoom()
}

func (o *outbox) tellRoom() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// await waits until no more than n bytes wait or are being written. It is for
// those who have much to send and can wait with it.
func (o *outbox) await(ctx context.Context, n int) error {
	for {
		room, err := o.look(n)
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look answers nil where there is room or never will be, and otherwise what
// tells that it is worth another look.
func (o *outbox) look(n int) (room <-chan struct{}, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.finished:
		return nil, errFinished
	case o.bytes+o.writing <= n:
		return nil, nil
	case o.room == nil:
		o.room = make(chan struct{})
	}
	return o.room, nil
}

func (o *outbox) isFinished() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.finished
}
