package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// fanoutLoad is messages to channels whose members all get each of them.
type fanoutLoad struct {
	clients  int // the first one in each channel publishes
	channels int
	size     int     // bytes of data in a message
	window   int     // messages of a channel that are not yet delivered to all its members, at most
	rate     float64 // messages a second in each channel; 0 is as many as window allows
}

// with is the load with what the flags say otherwise.
func (f fanoutLoad) with(o options, clients int) fanoutLoad {
	f.clients = clients
	f.channels = cmp.Or(o.channels, f.channels)
	f.size = cmp.Or(o.size, f.size)
	f.window = cmp.Or(o.window, f.window)
	f.rate = cmp.Or(o.rate, f.rate)
	if o.window != 0 {
		f.rate = 0
	}
	return f
}

func fanoutRows(own fanoutLoad) func(o options) []measurement {
	return func(o options) []measurement {
		return perServer(o, inChannel, o.clientsOr(own.clients), func(ctx context.Context, b *bench, t *target, clients int) ([]metric, error) {
			return b.fanout(ctx, t, own.with(o, clients))
		})
	}
}

func (b *bench) fanout(ctx context.Context, t *target, f fanoutLoad) ([]metric, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	var after memory
	script := newFanout(f, t.dialect)
	result, err := b.onStage(ctx, t, f.cast(), script, func(st *stage) (load, error) {
		script.enter(st)
		if err := b.warmUp(ctx, st, &script.latencies); err != nil {
			return load{}, err
		}
		return window(st.used, &script.latencies, func() error {
			if err := st.loop.run(ctx, b.opts.duration, nil); err != nil {
				return err
			}
			var err error
			after, err = st.server.memory()
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(f.metrics(), result.speed(), []metric{result.server()}, result.machine(),
		[]metric{{"lost", "lost", float64(script.lost)}, {"rssMB", "RSS MB", after.resident.mb()}}), nil
}

func (f fanoutLoad) check() error {
	if f.clients < 2*f.channels {
		return fmt.Errorf("%d clients are too few for %d channels: each needs two", f.clients, f.channels)
	}
	return nil
}

func (f fanoutLoad) cast() cast {
	return cast{clients: f.clients, channel: func(client int) string { return liveChannel(client % f.channels) }}
}

// metrics tell which load it is.
func (f fanoutLoad) metrics() []metric {
	return []metric{{"channels", "channels", float64(f.channels)}, {"size", "bytes", float64(f.size)}}
}

// liveChannel is a channel without history, by this server's default rules.
func liveChannel(number int) string { return fmt.Sprintf("live:%04d", number) }

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

// enter gives the channels their publishers.
func (s *fanout) enter(st *stage) {
	for i, channel := range s.channels {
		channel.publisher = st.clients[i]
	}
	if s.load.rate > 0 {
		st.loop.tick = time.Millisecond
	}
}

func (s *fanout) begin(*client) []byte { return nil }

// now is the time that goes into stamps.
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

func (s *fanout) interval() time.Duration {
	return time.Duration(float64(time.Second) / s.load.rate)
}

// free is how many messages may be published now.
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
