// Command gws is a server on github.com/lxzan/gws with the library's own
// Broadcaster: what a client sends goes to everyone in its channel.
package main

import (
	"bytes"
	"net"
	"net/http"
	"sync"

	"github.com/lxzan/gws"

	"github.com/gatecast/gatecast/bench/peers/peer"
)

func main() {
	peer.Main(func(listener net.Listener) error {
		h := &handler{channels: make(map[string]*channel)}
		upgrader := gws.NewUpgrader(h, &gws.ServerOption{
			Authorize: func(r *http.Request, session gws.SessionStorage) bool {
				session.Store(ofChannel, h.channel(r.URL.Query().Get("channel")))
				return true
			},
		})
		return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, err := upgrader.Upgrade(w, r)
			if err != nil {
				return
			}
			go conn.ReadLoop() // so that the request can be forgotten
		}))
	})
}

// ofChannel is where a session keeps its channel.
const ofChannel = "channel"

type channel struct {
	mu      sync.RWMutex
	members map[*gws.Conn]struct{}
}

type handler struct {
	gws.BuiltinEventHandler

	mu       sync.Mutex
	channels map[string]*channel
}

func (h *handler) channel(name string) *channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.channels[name] == nil {
		h.channels[name] = &channel{members: make(map[*gws.Conn]struct{})}
	}
	return h.channels[name]
}

func channelOf(conn *gws.Conn) *channel {
	c, _ := conn.Session().Load(ofChannel)
	return c.(*channel)
}

func (h *handler) OnOpen(conn *gws.Conn) {
	c := channelOf(conn)
	c.mu.Lock()
	c.members[conn] = struct{}{}
	c.mu.Unlock()
	_ = conn.WriteString(peer.Joined)
}

func (h *handler) OnClose(conn *gws.Conn, _ error) {
	c := channelOf(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.members, conn)
}

func (h *handler) OnPing(conn *gws.Conn, payload []byte) { _ = conn.WritePong(payload) }

func (h *handler) OnMessage(conn *gws.Conn, message *gws.Message) {
	defer func() { _ = message.Close() }()
	broadcaster := gws.NewBroadcaster(gws.OpcodeText, bytes.Clone(message.Bytes()))
	defer func() { _ = broadcaster.Close() }()
	c := channelOf(conn)
	c.mu.RLock()
	defer c.mu.RUnlock()
	for member := range c.members {
		_ = broadcaster.Broadcast(member)
	}
}
