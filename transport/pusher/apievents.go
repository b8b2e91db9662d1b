package pusher

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/swampline/live/internal/wire"
)

// Limits of a request that triggers.
const (
	maxChannels = 100 // to which one event goes
	maxBatch    = 10  // events of one request
	maxEscape   = 6   // bytes that one byte of a string may take in JSON: \u0000
	// eventBody is how many bytes one event may take in a body: its data and its channels, escaped as badly as can be, and some for the rest.
	eventBody = maxEscape*defaultMaxData + maxChannels*(longestChannel+8) + 8<<10
)

// attributes are what the API tells of a channel, as far as somebody asked.
type attributes struct {
	Occupied          *bool `json:"occupied,omitempty"`
	UserCount         *int  `json:"user_count,omitempty"`
	SubscriptionCount *int  `json:"subscription_count,omitempty"`
	// Cache is a *cachedEvent, which may be nil: then it is null.
	Cache any `json:"cache,omitempty"`
}

// cachedEvent is the event of a cache channel; TTL are the seconds for which it is kept.
type cachedEvent struct {
	Data string `json:"data"`
	TTL  int64  `json:"ttl"`
}

// trigger is an event that was posted, and what its sender wants to be told of the channels.
type trigger struct {
	outgoing
	info map[string]bool
}

// postEvent triggers an event on one or more channels.
func (a *api) postEvent(ctx context.Context, q request) (any, error) {
	m, err := membersOf(q.body)
	if err != nil {
		return nil, err
	}
	t, err := a.trigger(m, true)
	if err != nil {
		return nil, err
	}
	if err := a.backend.trigger(ctx, q.app, []outgoing{t.outgoing}); err != nil {
		return nil, err
	}
	if len(t.info) == 0 {
		return struct{}{}, nil
	}
	channels := make(map[string]attributes, len(t.channels))
	for _, name := range t.channels {
		channels[name] = a.attributes(q.app, name, t.info)
	}
	return map[string]any{"channels": channels}, nil
}

// postBatch triggers some events, all or none of them.
func (a *api) postBatch(ctx context.Context, q request) (any, error) {
	m, err := membersOf(q.body)
	if err != nil {
		return nil, err
	}
	batch, err := list[members](m, "batch", "objects")
	if err != nil {
		return nil, err
	}
	if len(batch) == 0 || len(batch) > maxBatch {
		return nil, badRequest("bad_batch", fmt.Sprintf("batch: want 1 to %d events, got %d", maxBatch, len(batch)))
	}
	events, infos, asked := make([]outgoing, len(batch)), make([]map[string]bool, len(batch)), false
	for i, m := range batch {
		t, err := a.trigger(m, false)
		if err != nil {
			return nil, at(i, err)
		}
		events[i], infos[i] = t.outgoing, t.info
		asked = asked || len(t.info) > 0
	}
	if err := a.backend.trigger(ctx, q.app, events); err != nil {
		return nil, err
	}
	if !asked {
		return struct{}{}, nil
	}
	answers := make([]attributes, len(events))
	for i, e := range events {
		answers[i] = a.attributes(q.app, e.channels[0], infos[i])
	}
	return map[string]any{"batch": answers}, nil
}

// trigger reads one event. Many says that it may go to several channels.
func (a *api) trigger(m members, many bool) (t trigger, err error) {
	var there bool
	if t.name, _, err = m.text("name"); err == nil {
		err = wantEvent(t.name)
	}
	if err != nil {
		return t, err
	}
	switch t.data, there, err = m.text("data"); {
	case err != nil:
		return t, err
	case !there:
		return t, badRequest("malformed_body", "data: want a string; it may be empty")
	case len(t.data) > a.dataLimit():
		return t, wire.NewProblem(http.StatusRequestEntityTooLarge, "data_too_large",
			fmt.Sprintf("the data of the event has %d bytes, and %d are the most", len(t.data), a.dataLimit()))
	}
	if t.channels, err = channelsOf(m, many); err != nil {
		return t, err
	}
	if t.except, _, err = m.text("socket_id"); err == nil && t.except != "" {
		err = wantSocket(t.except)
	}
	if err != nil {
		return t, err
	}
	info, _, err := m.text("info")
	if err == nil {
		t.info, err = infoOf(info, "user_count", "subscription_count")
	}
	return t, err
}

// channelsOf returns the channels that an event goes to, each once.
func channelsOf(m members, many bool) (all []string, err error) {
	one, there, err := m.text("channel")
	if err == nil && many {
		all, err = list[string](m, "channels", "strings")
	}
	if err != nil {
		return nil, err
	}
	if there {
		all = append(all, one)
	}
	switch {
	case len(all) == 0 && many:
		return nil, badRequest("bad_channel", "want a channel or channels")
	case len(all) == 0:
		return nil, badRequest("bad_channel", "want a channel")
	case len(all) > maxChannels:
		return nil, badRequest("too_many_channels", fmt.Sprintf("an event may go to %d channels, and there are %d", maxChannels, len(all)))
	}
	var once []string
	for _, name := range all {
		if err := wantChannel(name); err != nil {
			return nil, err
		}
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
	}
	if len(once) > 1 && slices.ContainsFunc(once, isEncrypted) {
		return nil, badRequest("bad_channel", "an event of an encrypted channel goes to this one alone: another has another key")
	}
	return once, nil
}

// attributes tells what was asked for of a channel that was triggered to. The number of users exists on presence channels only.
func (a *api) attributes(app *App, channel string, info map[string]bool) (told attributes) {
	if len(info) == 0 {
		return told
	}
	o := a.backend.channel(app, channel)
	if info["subscription_count"] {
		told.SubscriptionCount = &o.subscriptions
	}
	if info["user_count"] && isPresence(channel) {
		told.UserCount = &o.users
	}
	return told
}

// at says which event of a batch a problem is of.
func at(i int, err error) error {
	if p, ok := err.(*wire.Problem); ok {
		p.Detail = fmt.Sprintf("batch[%d]: %s", i, p.Detail)
	}
	return err
}
