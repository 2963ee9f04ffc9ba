package ws

import (
	"context"

	wire "github.com/gobwas/ws"
)

// Broker carries envelopes between nodes. It only hints: what it loses in a
// channel with history, the log gives back.
type Broker interface {
	// Publish hands e to every subscriber on every node. Envelopes of one
	// caller arrive in the order of its calls.
	Publish(ctx context.Context, e Envelope) error
	// Subscribe calls deliver with every envelope until stop is called.
	// deliver does not block.
	Subscribe(deliver func(Envelope)) (stop func())
}

// Envelope is one frame on its way to everyone in a channel.
type Envelope struct {
	Channel  string
	Position        // of a stored message; zero for all else
	Except   string // client ID of the connection that it comes from, left out
	Binary   bool   // Payload is of a binary frame, and of a text frame otherwise
	Payload  []byte // what the frame carries; nobody changes it

	sender *Session // the connection that Except names, where it is known to be one of this hub
	whole  []byte   // the frame around Payload; nil where it has not been made
}

// frame is the WebSocket frame that members get.
func (e *Envelope) frame() []byte {
	if e.whole != nil {
		return e.whole
	}
	if e.Binary {
		return wireFrame(wire.OpBinary, e.Payload)
	}
	return wireFrame(wire.OpText, e.Payload)
}
