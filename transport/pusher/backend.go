package pusher

import (
	"context"
	"time"
)

// backend is what the HTTP API does with a hub. Channels are named as Pusher's clients call them.
type backend interface {
	// trigger publishes events, all of a request in one entry of the log.
	trigger(ctx context.Context, app *App, events []outgoing) error
	// channels are the occupied ones whose names have a prefix.
	channels(app *App, prefix string) map[string]occupancy
	// channel is zero when nobody has subscribed to it.
	channel(app *App, name string) occupancy
	// members are the ids of the users on a presence channel, each once, sorted.
	members(app *App, name string) []string
	// cached is the last event of a cache channel, as it was triggered, and how long it will still be kept.
	cached(app *App, name string) (event outgoing, ttl time.Duration, ok bool)
	// terminate closes the connections that are signed in as a user, on every node.
	terminate(ctx context.Context, app *App, user string) error
}

// outgoing is an event that somebody triggers.
type outgoing struct {
	name, data string
	channels   []string
	// except is the socket id of the connection that is not told; empty for none.
	except string
	// user is the id of the user whose client sent it to a presence channel, and client says that a client did.
	user   string
	client bool
}

// occupancy is how many subscriptions a channel has, on all nodes, and how many users, if it is a presence channel.
type occupancy struct{ subscriptions, users int }

// hook is one event of a webhook, as it is posted.
type hook struct {
	Name              string `json:"name"`
	Channel           string `json:"channel"`
	Event             string `json:"event,omitempty"`
	Data              string `json:"data,omitempty"`
	SocketID          string `json:"socket_id,omitempty"`
	UserID            string `json:"user_id,omitempty"`
	SubscriptionCount int    `json:"subscription_count,omitempty"`
}

// hooks are told what happened. They do not wait.
type hooks interface {
	happened(app *App, h hook)
}
