package store

import "time"

// Stats counts what a Log does. What is counted since the Log was made only grows.
type Stats struct {
	Queued      int    // messages that wait to be stored, and channels that wait to be made
	QueuedBytes int64  // of their data
	Failed      uint64 // messages whose publishers were told that they are not stored, or that nobody knows, since the start
}

// Observer is told what the database takes. It must not block: the Log's writer
// waits for it.
type Observer interface {
	// Committed is one transaction that has stored messages, and the time that it
	// took. Where only channels were made there are no messages.
	Committed(messages int, took time.Duration)
}

// Stats are those of this moment.
func (l *Log) Stats() Stats {
	return Stats{Queued: len(l.intake), QueuedBytes: l.queued.Load(), Failed: l.failed.Load()}
}

func (l *Log) observe(batch []*entry, took time.Duration) {
	if l.opts.Observer != nil {
		l.opts.Observer.Committed(messages(batch), took)
	}
}

// messages is how many entries of a batch are messages.
func messages(batch []*entry) (n int) {
	for _, e := range batch {
		if !e.opens {
			n++
		}
	}
	return n
}
