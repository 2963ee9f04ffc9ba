package netpoll

import (
	"io"
	"net"
	"sync"
	"time"
)

const (
	streamBuffer = 4 << 10         // what is read at once, in bytes
	maxPending   = 64 << 10        // what Write has taken and is not written yet, in bytes
	flushTimeout = 5 * time.Second // for what is pending when the connection ends
)

// stream is a connection with a goroutine that reads. A second one writes while
// something waits to be written, and closes the connection at the end.
type stream struct {
	// static after construction
	conn    net.Conn
	handler Handler
	ended   chan struct{} // closed when end is set

	writer sync.WaitGroup // added to with mu held, and not once end was set

	mu      sync.Mutex
	pending []byte // guarded by mu: taken by Write, and to be written
	writing int    // guarded by mu: bytes that the writer is at
	active  bool   // guarded by mu: there is a writer
	short   bool   // guarded by mu: a Write was short
	half    bool   // guarded by mu: CloseWrite was called
	halved  bool   // guarded by mu: it has been done
	end     error  // guarded by mu: why the connection ends, nil until then
}

// read is the reader. It owns the stream's life, and returns after the writer.
func (s *stream) read(early []byte) {
	s.handler.Opened(s)
	if len(early) > 0 && !s.hasEnded() {
		s.handler.Received(early)
	}
	err := s.receive()
	if err == io.EOF && s.handler.Ended() {
		<-s.ended
	}
	s.finish(err, false)
	s.writer.Wait()
	s.handler.Closed(s.end) // set for good by now
}

// receive hands over what comes. The error says why nothing more does.
func (s *stream) receive() error {
	buf := make([]byte, streamBuffer)
	for {
		n, err := s.conn.Read(buf)
		if s.hasEnded() {
			return net.ErrClosed
		}
		if n > 0 {
			s.handler.Received(buf[:n])
		}
		if err != nil {
			return err
		}
	}
}

func (s *stream) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end != nil
}

// Write implements Conn.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil || s.half {
		return 0, net.ErrClosed
	}
	n := min(len(p), maxPending-s.writing-len(s.pending))
	s.short = s.short || n < len(p)
	if n > 0 {
		s.pending = append(s.pending, p[:n]...)
		s.startWriter()
	}
	return n, nil
}

// CloseWrite implements Conn.
func (s *stream) CloseWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil && !s.half {
		s.half = true
		s.startWriter()
	}
}

// Close implements Conn.
func (s *stream) Close(abort bool) { s.finish(net.ErrClosed, abort) }

// finish has what is pending written, in flushTimeout at most, and the connection
// closed then. Only the first reason counts. With abort the connection is closed
// at once, also where it is being finished already.
func (s *stream) finish(reason error, abort bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil {
		s.end = reason
		close(s.ended)
		_ = s.conn.SetWriteDeadline(time.Now().Add(flushTimeout)) // an error means that it is closed
		s.startWriter()
	}
	if abort {
		s.pending = nil
		cut(s.conn)
	}
}

// cut closes conn without a word, and never waits, which closing TLS may do.
func cut(conn net.Conn) {
	raw := innermost(conn)
	if tcp, ok := raw.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0) // an error means that it is closed
	}
	_ = raw.Close()
}

// innermost is the connection below TLS.
func innermost(conn net.Conn) net.Conn {
	for {
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = outer.NetConn()
	}
}
