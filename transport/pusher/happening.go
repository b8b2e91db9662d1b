package pusher

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// happening is something that the webhooks are to be told.
type happening struct {
	name  string
	at    time.Time
	chief string // whose it is to tell
	app   string // the id; empty with hub
	// channel is the name as the app's clients have it, hub as the hub does.
	channel, hub string
	user         string
	count        int
}

// happened has something told by the node that is to tell it. The lock is held.
func (r *registry) happened(h happening) {
	if !r.known {
		return // it was so when this node began
	}
	h.at, h.chief = time.Now(), r.chiefs.first()
	if h.chief == r.chiefs.me {
		r.due = append(r.due, h)
		r.wakeUp()
	} else {
		r.chiefs.remember(h)
	}
}

// tellHooks tells what is this node's to tell, once it is its turn, or ctx has ended: there is no later.
func (r *registry) tellHooks(ctx context.Context) {
	r.telling.Lock()
	defer r.telling.Unlock()
	r.mu.Lock()
	if ctx.Err() == nil && time.Now().Before(r.chiefs.turn) {
		r.mu.Unlock()
		return
	}
	due := r.due
	r.due = nil
	var ids []string
	if len(due) > 0 {
		ids = slices.Sorted(maps.Keys(r.apps))
	}
	r.mu.Unlock()
	var early []happening
	for _, h := range due {
		app, channel := r.where(ctx, h, ids)
		switch {
		case app == nil && h.hub != "" && time.Since(h.at) < placedWithin:
			early = append(early, h)
		case app != nil && app.Webhook != "":
			r.hooks.happened(app, hook{Name: h.name, Channel: channel, UserID: h.user, SubscriptionCount: h.count})
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due = append(early, r.due...)
}

// placedWithin is how long after somebody came to a channel the log may say first that an app has it.
const placedWithin = time.Second

// where is whose a happening is, of the apps with some ids: nil when it is none of theirs.
func (r *registry) where(ctx context.Context, h happening, ids []string) (*App, string) {
	if h.hub == "" {
		return r.app(ctx, h.app), h.channel
	}
	for _, id := range ids {
		app := r.app(ctx, id)
		if app == nil {
			continue
		}
		if name, ok := r.names.pusherChannel(app, h.hub); ok && strings.HasPrefix(name, peopled) {
			return app, name
		}
	}
	return nil, ""
}

// finding is what became of asking for an app.
type finding struct {
	app *App
	at  time.Time
}

const (
	// findWithin is how long the application has to say which app an id is of.
	findWithin = 5 * time.Second
	// freshFor is how long its answer counts, and againAfter when it is asked again after it had none.
	freshFor   = time.Minute
	againAfter = 5 * time.Second
)

// app returns an app by its id, nil when it cannot be found.
func (r *registry) app(ctx context.Context, id string) *App {
	r.mu.Lock()
	last, asked := r.found[id]
	r.mu.Unlock()
	now := time.Now()
	if age := now.Sub(last.at); asked && (age < againAfter || last.app != nil && age < freshFor) {
		return last.app
	}
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), findWithin) // the last ones are told when the hub stops
	defer cancel()
	app, err := r.names.app(asking, id)
	if err != nil {
		r.logger.WarnContext(ctx, "pusher: the webhooks of an app are not told what happens: it cannot be found", "app", id, "error", err)
		app = last.app
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found[id] = finding{app, now}
	return app
}
