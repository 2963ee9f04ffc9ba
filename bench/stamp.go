package main

import (
	"bytes"
	"strings"
)

// A message of a fan-out says when it was sent and which one of its channel it
// is, in fields of fixed width at the beginning of its data: who counts a million
// a second does not read JSON.
const (
	stampText  = `{"t":################,"n":########,"p":"`
	stampMark  = `{"t":` // which stands nowhere else in a server's frames
	stampBytes = len(`{"t":################,"n":########`)
	// stampZero is added to nanoseconds, so that they have 16 digits: numbers in JSON
	// do not begin with 0.
	stampZero = 1_000_000_000_000_000

	timeAt, timeDigits     = len(stampMark), 16
	numberAt, numberDigits = len(`{"t":################,"n":`), 8
)

// publication is the text of a frame that publishes data of a size, with a stamp
// for a template to fill.
func publication(d dialect, channel string, size int) string {
	const end = `"}`
	data := stampText + strings.Repeat("x", size-len(stampText)-len(end)) + end
	return strings.ReplaceAll(inChannelOf(d.publish, channel), "{data}", data)
}

// find tells where the next stamp is, or -1. It mostly is where the last one
// was.
func (s *fanout) find(payload []byte) int {
	if s.at < len(payload) && hasPrefix(payload[s.at:], stampMark) {
		return s.at
	}
	at := bytes.Index(payload, []byte(stampMark))
	if at >= 0 {
		s.at = at
	}
	return at
}

// readStamp reads a stamp that is known to be whole.
func readStamp(b []byte) (sent, number int) {
	return digits(b[timeAt : timeAt+timeDigits]), digits(b[numberAt : numberAt+numberDigits])
}

func digits(b []byte) (n int) {
	for _, c := range b {
		n = 10*n + int(c-'0')
	}
	return n
}
