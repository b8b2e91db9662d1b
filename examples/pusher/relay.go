package main

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"

	"github.com/swampline/live"
	"github.com/swampline/live/relay/pusher"
)

// hosted is an app of a service that keeps the connections, as -relay names it.
type hosted struct{ url, id, key, secret string }

// parseHosted reads https://KEY:SECRET@host/apps/ID, the form that server libraries of Pusher know.
func parseHosted(text string) (h hosted, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" {
		return h, errors.New("want https://KEY:SECRET@host/apps/ID")
	}
	id, found := strings.CutPrefix(u.Path, "/apps/")
	h.secret, _ = u.User.Password()
	if h.key = u.User.Username(); !found || !appID.MatchString(id) || h.key == "" || h.secret == "" {
		return h, errors.New("want https://KEY:SECRET@host/apps/ID")
	}
	h.id, h.url = id, u.Scheme+"://"+u.Host
	return h, nil
}

// relayTo has the service tell its clients what ours are told: of the same rows, on the same channels, and the same news.
func relayTo(h hosted, hub *live.Hub, todos *live.Router[Todo], s settings) *pusher.Relay {
	return pusher.New(hub, pusher.Options{
		URL: h.url, AppID: h.id, Key: h.key, Secret: h.secret, Lease: s.lease,
		Routers:  []pusher.Source{pusher.Rows[Todo]{Router: todos, Channel: todoChannels + "*", Of: func(t Todo) []string { return []string{t.List} }}},
		Channels: []pusher.Messages{{Name: newsChannel, Public: true}},
	})
}

// startRelay relays, if -relay says so, until ctx ends; wait returns when what was under way has been told.
func (a *app) startRelay(ctx context.Context, logger *slog.Logger) (wait func()) {
	if a.relay == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = a.relay.Run(ctx) // its error is that of ctx, or that the hub has stopped
	}()
	go func() {
		if a.relay.Ready(ctx) == nil {
			logger.Info("what happens from now on is relayed")
		}
	}()
	return func() { <-done }
}
