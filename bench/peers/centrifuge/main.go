// Command centrifuge is a server on the library inside Centrifugo: its memory
// engine and its JSON protocol, everyone let in.
package main

import (
	"context"
	"flag"
	"net"
	"net/http"
	"time"

	"github.com/centrifugal/centrifuge"

	"github.com/gatecast/gatecast/bench/peers/peer"
)

func main() {
	delay := flag.Duration("write-delay", 0, "how long a client's messages wait for others to be written with")
	flag.Parse()
	peer.Main(func(listener net.Listener) error {
		node, err := newNode(*delay)
		if err != nil {
			return err
		}
		mux := http.NewServeMux()
		// Small buffers, and pooled ones for writing: what its documentation advises
		// for many connections.
		mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
			ReadBufferSize:     512,
			UseWriteBufferPool: true,
			PingPongConfig:     centrifuge.PingPongConfig{PingInterval: 25 * time.Second, PongTimeout: 8 * time.Second},
		}))
		return http.Serve(listener, mux)
	})
}

func newNode(delay time.Duration) (*centrifuge.Node, error) {
	// A client that is behind is not dropped under the loads of the bench.
	node, err := centrifuge.New(centrifuge.Config{ClientQueueMaxSize: 8 << 20})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		reply := centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "user"}, WriteDelay: delay}
		if delay > 0 {
			reply.MaxMessagesInFrame = -1 // as many as there are
		}
		return reply, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, reply centrifuge.SubscribeCallback) {
			reply(centrifuge.SubscribeReply{}, nil)
		})
		client.OnPublish(func(_ centrifuge.PublishEvent, reply centrifuge.PublishCallback) {
			reply(centrifuge.PublishReply{}, nil)
		})
	})
	return node, node.Run()
}
