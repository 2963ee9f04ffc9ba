package ws

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// Serve runs a session on a connection that has been upgraded. It returns as
// soon as the caller may give conn away: at once where the connection's descriptor
// can be duplicated, as a plain socket's can on Linux, and at the session's end
// otherwise. Until then conn is the hub's, and afterwards it is closed.
func (h *Hub) Serve(conn net.Conn, entry Entry) {
	early, err := drain(conn)
	conn = rawConn(conn)
	s := newSession(h.shards[h.next.Add(1)%uint64(len(h.shards))], entry)
	if err != nil {
		_ = conn.Close()
		s.release()
		return
	}
	boundSendBuffer(conn)
	if code, reason := h.add(s); code != 0 {
		s.release()
		h.turnAway(conn, code, reason)
		return
	}
	if err := h.opts.Poller.Take(conn, early, (*line)(s)); err != nil {
		h.opts.Logger.Error("a connection could not be taken over", "client", s.clientID, "error", err)
		h.remove(s)
	}
}

// rawConn is what fasthttp's connection wraps. That one has a buffer and a request
// that are to be given back.
func rawConn(conn net.Conn) net.Conn {
	if hijacked, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		return hijacked.UnsafeConn()
	}
	return conn
}

// drain gives what the client has sent behind its handshake, as far as it has
// been read from the connection already. Where a connection has no deadlines,
// nothing has.
func drain(conn net.Conn) (early []byte, err error) {
	if rawConn(conn) == conn {
		return nil, nil // there is no buffer before it
	}
	if err := conn.SetReadDeadline(time.Unix(1, 0)); err != nil { // only the buffer answers now
		return nil, err
	}
	early, err = io.ReadAll(conn)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return early, conn.SetReadDeadline(time.Time{})
}

// sendBuffer is what the kernel holds for a socket that is not read, in bytes, and
// about as much again for itself. Left alone it would let that grow to 4 MiB,
// which is outside of QueueBytes and of what the process is seen to take.
const sendBuffer = 64 << 10

// boundSendBuffer does what the system lets it, also below TLS.
func boundSendBuffer(conn net.Conn) {
	if outer, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = outer.NetConn()
	}
	if tcp, ok := conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = tcp.SetWriteBuffer(sendBuffer)
	}
}

// add answers a close code where the session cannot be let in. It is there before
// its token is asked about: CloseSessions finds the session, or we find what has
// been revoked.
func (h *Hub) add(s *Session) (code int, reason string) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.draining {
		return CloseRestart, reasonRestart
	}
	h.sessions.Add(1)
	s.sit()
	if h.opts.Revoked != nil && h.opts.Revoked(s.Claims()) {
		s.stand()
		h.sessions.Done()
		return CloseUnauthorized, ReasonEnded
	}
	s.awaitExpiry()
	return 0, ""
}

// remove is for a session that was added.
func (h *Hub) remove(s *Session) {
	s.stand()
	s.release() // before the session counts as ended, so that Shutdown waits for it
	h.sessions.Done()
}

// sit takes a seat in the shard.
func (s *Session) sit() {
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.pulse.beat = sh.hub.elapsed() + sh.hub.opts.PingInterval
	s.seat = int32(len(sh.seats))
	sh.seats = append(sh.seats, seat{never, s})
	s.dueBy(s.pulse.beat)
}

// stand gives the seat up.
func (s *Session) stand() {
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	last := len(sh.seats) - 1
	moved := sh.seats[last]
	sh.seats[s.seat], moved.session.seat = moved, s.seat
	sh.seats[last] = seat{}
	sh.seats = sh.seats[:last]
	s.seat = -1
}

// turnAway says why a connection is not taken, and waits for its end no longer
// than CloseTimeout.
func (h *Hub) turnAway(conn net.Conn, code int, reason string) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(h.opts.CloseTimeout))
	if _, err := conn.Write(closeFrame(code, reason)); err != nil {
		return
	}
	h.counts.close(code)
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, conn, maxDropped)
}
