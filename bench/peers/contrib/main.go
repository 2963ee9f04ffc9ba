// Command contrib is a server on Fiber and its contrib/websocket as their
// documentation has it: a goroutine a client, and a write a member.
package main

import (
	"net"
	"sync"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/bench/peers/peer"
)

func main() {
	peer.Main(func(listener net.Listener) error {
		channels := channels{byName: make(map[string]*channel)}
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		app.Get("/ws", websocket.New(func(conn *websocket.Conn) {
			channels.get(conn.Query("channel")).serve(&member{conn: conn})
		}))
		return app.Listener(listener)
	})
}

type channels struct {
	mu     sync.Mutex
	byName map[string]*channel
}

func (c *channels) get(name string) *channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName[name] == nil {
		c.byName[name] = &channel{members: make(map[*member]struct{})}
	}
	return c.byName[name]
}

type channel struct {
	mu      sync.RWMutex
	members map[*member]struct{}
}

// serve reads what the member sends, and gives it to everyone, until it has gone.
func (c *channel) serve(m *member) {
	c.mu.Lock()
	c.members[m] = struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.members, m) // nobody may write to it once the handler has returned
	}()
	m.write([]byte(peer.Joined))
	for {
		_, message, err := m.conn.ReadMessage()
		if err != nil {
			return
		}
		c.broadcast(message)
	}
}

func (c *channel) broadcast(message []byte) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for m := range c.members {
		m.write(message)
	}
}

type member struct {
	mu   sync.Mutex // the library takes one writer at a time
	conn *websocket.Conn
}

func (m *member) write(message []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.conn.WriteMessage(websocket.TextMessage, message) // whoever is gone is found by its reader
}
