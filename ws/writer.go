package ws

import (
	"time"

	wire "github.com/gobwas/ws"
)

// maxWrite is how many bytes of queued frames go into one write.
const maxWrite = 64 << 10

// writeLoop is the connection's one writer. It also pings, and closes a peer
// that does not answer. It ends after the last frame or a failed write.
func (s *Session) writeLoop() {
	opts := &s.hub.opts
	heartbeat := time.NewTimer(opts.PingInterval)
	defer heartbeat.Stop()
	var pinged time.Time // zero while no answer is awaited
	for {
		select {
		case <-s.out.wake:
			frames, last := s.out.take()
			if err := s.write(frames); err != nil {
				s.cut()
				return
			}
			s.out.written()
			if last {
				return
			}
		case <-heartbeat.C:
			switch {
			case pinged.IsZero():
				pinged = opts.Now()
				s.push(wireFrame(wire.OpPing, nil))
				heartbeat.Reset(opts.PingTimeout)
			case s.busy.Load(): // the answer may be there, unread
				heartbeat.Reset(opts.PingTimeout)
			case s.heard.Load() < pinged.UnixNano():
				s.finish(CloseTooSlow, "no answer to a ping", false)
			default:
				pinged = time.Time{}
				heartbeat.Reset(opts.PingInterval - opts.PingTimeout)
			}
		}
	}
}

// write sends frames in as few writes as their size allows.
func (s *Session) write(frames [][]byte) error {
	for len(frames) > 0 {
		n, size := 1, len(frames[0])
		for n < len(frames) && size+len(frames[n]) <= maxWrite {
			size += len(frames[n])
			n++
		}
		batch := frames[0]
		if n > 1 {
			batch = make([]byte, 0, size)
			for _, frame := range frames[:n] {
				batch = append(batch, frame...)
			}
		}
		if err := s.writeBytes(batch); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

func (s *Session) writeBytes(b []byte) error {
	// Once the session is closing, finish has set the deadline. Where it did so
	// just now, ours must not stand over it.
	if !s.out.isFinished() {
		_ = s.net.SetWriteDeadline(time.Now().Add(s.hub.opts.WriteTimeout))
		if s.out.isFinished() {
			_ = s.net.SetWriteDeadline(time.Now().Add(s.hub.opts.CloseTimeout))
		}
	}
	_, err := s.net.Write(b) // tells too when the connection is closed
	return err
}
