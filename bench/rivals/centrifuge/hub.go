package main

import (
	"context"
	"net/http"

	"github.com/centrifugal/centrifuge"

	"github.com/swampline/live/bench/internal/server"
)

// channel is what every client is subscribed to as it connects.
const channel = "bench"

// first is its client's connect command. The answer comes when it is subscribed.
var first = server.Visit{Path: "/connection/websocket", Say: `{"id":1,"connect":{}}`, Sign: `"connect"`}

// hub is centrifuge as its tutorial sets it up, with its defaults: memory broker, no history, JSON. It puts up to 16 messages that wait
// for one client into one frame, one a line.
type hub struct {
	http.Handler
	node *centrifuge.Node
}

func newHub() (*hub, error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{},
			Subscriptions: map[string]centrifuge.SubscribeOptions{channel: {}},
		}, nil
	})
	node.OnConnect(func(*centrifuge.Client) {})
	if err := node.Run(); err != nil {
		return nil, err
	}
	// Its pings are messages of its own protocol, which the generator does not answer.
	pings := centrifuge.PingPongConfig{PingInterval: -1, PongTimeout: -1}
	return &hub{centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{PingPongConfig: pings}), node}, nil
}

// Broadcast publishes one message, which must be JSON.
func (h *hub) Broadcast(message []byte) {
	_, _ = h.node.Publish(channel, message) // The memory broker has no error.
}

// Clients is how many are subscribed.
func (h *hub) Clients() int { return h.node.Hub().NumSubscribers(channel) }
