package pusher

import (
	"context"
	"time"
)

// getChannels tells which channels are occupied.
func (a *api) getChannels(_ context.Context, q request) (any, error) {
	prefix := q.parameters["filter_by_prefix"]
	info, err := infoOf(q.parameters["info"], "user_count")
	if err != nil {
		return nil, err
	}
	if info["user_count"] && !isPresence(prefix) {
		return nil, badRequest("bad_info", "info: only presence channels have a user_count: ask with filter_by_prefix=presence-")
	}
	occupied := a.backend.channels(q.app, prefix)
	channels := make(map[string]attributes, len(occupied))
	for name, o := range occupied {
		var told attributes
		if info["user_count"] {
			told.UserCount = &o.users
		}
		channels[name] = told
	}
	return map[string]any{"channels": channels}, nil
}

// getChannel tells of one channel, which nobody need have heard of.
func (a *api) getChannel(_ context.Context, q request) (any, error) {
	if err := wantChannel(q.name); err != nil {
		return nil, err
	}
	known := []string{"subscription_count"}
	if isPresence(q.name) {
		known = []string{"user_count"}
	}
	if isCache(q.name) {
		known = append(known, "cache")
	}
	info, err := infoOf(q.parameters["info"], known...)
	if err != nil {
		return nil, err
	}
	o := a.backend.channel(q.app, q.name)
	occupied := o.subscriptions > 0 || o.users > 0
	told := attributes{Occupied: &occupied}
	if info["user_count"] {
		told.UserCount = &o.users
	}
	if info["subscription_count"] {
		told.SubscriptionCount = &o.subscriptions
	}
	if info["cache"] {
		told.Cache = a.cached(q.app, q.name)
	}
	return told, nil
}

// cached is what a cache channel holds; nil, which is null in JSON, when it holds nothing.
func (a *api) cached(app *App, channel string) *cachedEvent {
	event, left, ok := a.backend.cached(app, channel)
	if !ok {
		return nil
	}
	return &cachedEvent{Data: event.data, TTL: int64((left + time.Second - 1) / time.Second)}
}

// getUsers tells who is on a presence channel.
func (a *api) getUsers(_ context.Context, q request) (any, error) {
	if err := wantChannel(q.name); err != nil {
		return nil, err
	}
	if !isPresence(q.name) {
		return nil, badRequest("bad_channel", "only presence channels have users: their names begin with presence-")
	}
	type user struct {
		ID string `json:"id"`
	}
	users := []user{} // not null, when nobody is there
	for _, id := range a.backend.members(q.app, q.name) {
		users = append(users, user{id})
	}
	return map[string]any{"users": users}, nil
}

// postTerminate closes the connections that are signed in as a user. He may come again: whether he may sign in is for the application to say.
func (a *api) postTerminate(ctx context.Context, q request) (any, error) {
	if err := wantUser(q.name); err != nil {
		return nil, err
	}
	if err := a.backend.terminate(ctx, q.app, q.name); err != nil {
		return nil, err
	}
	return struct{}{}, nil
}
