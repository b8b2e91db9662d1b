package pusher

import (
	"strings"
	"time"

	"github.com/swampline/live/internal/extend"
)

// tally is what all nodes together have of a channel.
type tally struct {
	nodes         int // that have it, or have lost it just now
	subscriptions int
	changed       time.Time // when that did last
	counted       time.Time // when the number was told last, here
	posted        int       // the one that the webhooks were told last
}

// peopled is how the names of channels begin that tell who is on them.
const peopled = "presence-"

// sawChannel takes what a node says of a channel. The lock is held.
func (r *registry) sawChannel(id, name string, was, now *extend.Member) {
	c := r.tallies[id][name]
	if c == nil {
		if now == nil {
			return
		}
		if r.tallies[id] == nil {
			r.tallies[id] = map[string]*tally{}
		}
		c = &tally{}
		r.tallies[id][name] = c
		r.apps[id] = struct{}{}
	}
	if was == nil {
		if c.nodes++; c.nodes == 1 {
			r.happened(happening{name: "channel_occupied", app: id, channel: name})
		}
	}
	if delta := stateOf(now) - stateOf(was); delta != 0 {
		c.subscriptions += delta
		c.changed = time.Now()
		r.counts(spot{channelsAt + id, name})
	}
	if now == nil {
		if c.nodes--; c.nodes == 0 {
			r.happened(happening{name: "channel_vacated", app: id, channel: name})
			if delete(r.tallies[id], name); len(r.tallies[id]) == 0 {
				delete(r.tallies, id)
			}
		}
	}
}

// occupancy is how many subscriptions a channel has, and how many users.
func (r *registry) occupancy(app *App, name string) occupancy {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.occupancyOf(app, name, r.tallies[app.ID][name])
}

// occupancyOf is occupancy. The lock is held.
func (r *registry) occupancyOf(app *App, name string, c *tally) (o occupancy) {
	if c == nil || c.subscriptions == 0 {
		return o
	}
	o.subscriptions = c.subscriptions
	if strings.HasPrefix(name, peopled) {
		if there := r.crowds[r.names.hubChannel(app, name)]; there != nil {
			o.users = there.present
		}
	}
	return o
}

// channels are the channels of an app that have subscriptions, and names that begin with a prefix.
func (r *registry) channels(app *App, prefix string) map[string]occupancy {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]occupancy{}
	for name, c := range r.tallies[app.ID] {
		if c.subscriptions > 0 && strings.HasPrefix(name, prefix) {
			all[name] = r.occupancyOf(app, name, c)
		}
	}
	return all
}
