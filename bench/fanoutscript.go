package main

import "time"

// fanout is a script: the publisher of each channel publishes, and all its
// members look at what they get.
type fanout struct {
	// static after construction
	load    fanoutLoad
	dialect dialect
	started time.Time

	channels  []*fanoutChannel
	last      []int // the number of the message that each client got last
	at        int   // where the stamp stood in the last message
	buffer    []byte
	latencies latencies
	lost      int // messages that did not come, or not in order
}

type fanoutChannel struct {
	publisher *client
	template  *template
	members   int // who get what is published
	sent      int
	received  int           // by all members together
	due       time.Duration // when the next message is, at a rate
}

func newFanout(f fanoutLoad, d dialect) *fanout {
	s := &fanout{load: f, dialect: d, started: time.Now(), channels: make([]*fanoutChannel, f.channels), last: make([]int, f.clients)}
	for i := range s.channels {
		s.channels[i] = &fanoutChannel{template: newTemplate(publication(d, liveChannel(i), f.size))}
	}
	for i := range s.last {
		s.last[i] = firstID
		s.channels[i%f.channels].members++
	}
	if !d.echoes {
		for _, channel := range s.channels {
			channel.members--
		}
	}
	return s
}

// assign gives the channels their publishers.
func (s *fanout) assign(st *stage) {
	for i, channel := range s.channels {
		channel.publisher = st.clients[i]
	}
	if s.load.rate > 0 {
		st.loop.tick = time.Millisecond
	}
}

func (s *fanout) begin(*client) []byte { return nil }

// clock is the time that goes into stamps.
func (s *fanout) clock(now time.Time) time.Duration { return now.Sub(s.started) }

// act publishes what is due. Where there is a window, half of it at a time, so
// that it does not cost a write for each message.
func (s *fanout) act(l *loop, now time.Time) error {
	for i, channel := range s.channels {
		if len(channel.publisher.out) > 0 {
			continue // the socket has not taken the last ones yet
		}
		n := 0
		if s.load.rate > 0 {
			n = channel.overdue(s.clock(now), s.interval(), i, len(s.channels))
		} else if free := channel.free(s.load.window); free >= (s.load.window+1)/2 {
			n = free
		}
		if err := s.publish(l, channel, n); err != nil {
			return err
		}
	}
	return nil
}

func (s *fanout) interval() time.Duration { return time.Duration(float64(time.Second) / s.load.rate) }

// free is how many messages may be published now. It goes by the average member:
// one alone may be much further behind.
func (c *fanoutChannel) free(window int) int { return window - (c.sent - c.received/c.members) }

// overdue is how many messages should have been published by now. The channels
// take their turns within an interval.
func (c *fanoutChannel) overdue(now, interval time.Duration, number, channels int) (n int) {
	if c.due == 0 {
		c.due = now + interval*time.Duration(number)/time.Duration(channels)
	}
	for ; c.due <= now; c.due += interval {
		n++
	}
	return n
}

func (s *fanout) publish(l *loop, c *fanoutChannel, n int) error {
	s.buffer = s.buffer[:0]
	for range n {
		c.sent++
		s.buffer = append(s.buffer, c.template.fill(stampZero+int(s.clock(time.Now())), firstID+c.sent)...)
	}
	return l.send(c.publisher, s.buffer)
}

// heard counts messages, without reading their JSON.
func (s *fanout) heard(c *client, f frame, now time.Time) ([]byte, error) {
	at := s.find(f.payload)
	if at < 0 {
		return s.dialect.aside(f)
	}
	for payload := f.payload; at >= 0; at = s.find(payload) {
		payload = payload[at:]
		if len(payload) < stampBytes {
			return nil, unexpected(f)
		}
		s.delivered(c, payload, now)
		payload = payload[stampBytes:]
		if !s.dialect.batches {
			break
		}
	}
	return nil, nil
}

func (s *fanout) delivered(c *client, payload []byte, now time.Time) {
	sent, number := readStamp(payload)
	s.latencies.add(s.clock(now) - time.Duration(sent-stampZero))
	s.channels[c.number%len(s.channels)].received++
	if number != s.last[c.number]+1 {
		s.lost += max(1, number-s.last[c.number]-1)
	}
	s.last[c.number] = number
}
