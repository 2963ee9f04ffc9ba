package netpoll

// What a writer does next.
type step int

const (
	toRest  step = iota // nothing: it ends
	toSend              // write what is pending
	toHalve             // close the writing side
	toClose             // close the connection, and end
)

// startWriter is called with mu held.
func (s *stream) startWriter() {
	if !s.active {
		s.active = true
		s.writer.Go(s.write)
	}
}

// write is the writer.
func (s *stream) write() {
	for {
		switch batch, step := s.next(); step {
		case toSend:
			s.send(batch)
		case toHalve:
			if conn, ok := s.conn.(interface{ CloseWrite() error }); ok {
				_ = conn.CloseWrite() // an error means that the peer has gone
			}
		case toClose:
			_ = s.conn.Close()
			return
		case toRest:
			return
		}
	}
}

func (s *stream) next() (batch []byte, _ step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.pending) > 0:
		batch, s.pending = s.pending, nil
		s.writing = len(batch)
		return batch, toSend
	case s.end != nil:
		return nil, toClose
	case s.half && !s.halved:
		s.halved = true
		return nil, toHalve
	}
	s.active = false
	return nil, toRest
}

func (s *stream) send(batch []byte) {
	if _, err := s.conn.Write(batch); err != nil {
		s.broken(err)
		return
	}
	s.mu.Lock()
	s.writing = 0
	owed := s.short
	s.short = false
	s.mu.Unlock()
	if owed {
		s.handler.Writable()
	}
}

// broken ends the stream after a write that failed, and wakes its reader.
func (s *stream) broken(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil {
		s.end = err
		close(s.ended)
	}
	s.pending = nil
	cut(s.conn)
}
