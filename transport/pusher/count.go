package pusher

import (
	"context"
	"strings"
	"time"
)

// counter is somebody who wants to know how many subscriptions a channel has.
type counter struct {
	tell func(count int)
	told int
}

const (
	// crowded is how many subscriptions a channel has at least whose number is told every crowdedFor only.
	crowded    = 101
	crowdedFor = 5 * time.Second
	// anyway is when who wants to know a number is told it though it did not change: by then the log has said that his own subscription counts.
	anyway = 200 * time.Millisecond
)

// watch has somebody told how many subscriptions a channel has on all nodes, soon, and whenever that changes, but every 5 s at most when they are more
// than 100; not that there are none. Tell is called by one goroutine, and must not wait long; it may be called once more after stop.
func (r *registry) watch(app *App, name string, tell func(count int)) (stop func()) {
	s, c := spot{channelsAt + app.ID, name}, &counter{tell: tell, told: -1}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counters[s] == nil {
		r.counters[s] = map[*counter]struct{}{}
	}
	r.counters[s][c] = struct{}{}
	r.recountAt(s, time.Now().Add(anyway))
	r.wakeUp()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if delete(r.counters[s], c); len(r.counters[s]) == 0 {
			delete(r.counters, s)
		}
	}
}

// counts takes that the number of a channel is another. The lock is held.
func (r *registry) counts(s spot) {
	if len(r.counters[s]) > 0 || r.known && r.chiefs.first() == r.chiefs.me {
		r.recountAt(s, time.Now())
		r.wakeUp()
	}
}

// recountAt has the number of a channel told at a time, or before. The lock is held.
func (r *registry) recountAt(s spot, at time.Time) {
	if due, ok := r.recount[s]; !ok || at.Before(due) {
		r.recount[s] = at
	}
}

// recountSince has the numbers told that changed since a time: who was to tell them does not any more. The lock is held.
func (r *registry) recountSince(since time.Time) {
	for id, tallies := range r.tallies {
		for name, c := range tallies {
			from := since
			if c.subscriptions >= crowded {
				from = since.Add(-crowdedFor)
			}
			if !c.changed.Before(from) {
				r.recountAt(spot{channelsAt + id, name}, time.Now())
			}
		}
	}
}

// counted is a number that is to be told.
type counted struct {
	app, channel string
	n            int
	to           []*counter
	post         bool
}

// tellCounts tells the numbers whose time has come.
func (r *registry) tellCounts(ctx context.Context, now time.Time) {
	for _, c := range r.countsAt(now) {
		for _, to := range c.to {
			to.tell(c.n)
		}
		if !c.post {
			continue
		}
		if app := r.app(ctx, c.app); app == nil || !app.SubscriptionCount || app.Webhook == "" {
			continue
		}
		r.mu.Lock()
		r.due = append(r.due, happening{name: "subscription_count", app: c.app, channel: c.channel, count: c.n})
		r.mu.Unlock()
	}
}

// countsAt takes what there is to tell at a time.
func (r *registry) countsAt(now time.Time) (all []counted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.known && r.chiefs.first() == r.chiefs.me
	for s, at := range r.recount {
		id, _ := strings.CutPrefix(s.place, channelsAt)
		ch := r.tallies[id][s.name]
		if ch == nil || ch.subscriptions == 0 {
			delete(r.recount, s)
			continue
		}
		if ch.subscriptions >= crowded && at.Before(ch.counted.Add(crowdedFor)) {
			at = ch.counted.Add(crowdedFor)
			r.recount[s] = at
		}
		if now.Before(at) {
			continue
		}
		delete(r.recount, s)
		c := counted{app: id, channel: s.name, n: ch.subscriptions}
		if c.post = first && ch.posted != c.n && !strings.HasPrefix(s.name, peopled); c.post {
			ch.posted = c.n
		}
		for to := range r.counters[s] {
			if to.told != c.n {
				to.told = c.n
				c.to = append(c.to, to)
			}
		}
		if c.post || c.to != nil {
			ch.counted = now
			all = append(all, c)
		}
	}
	return all
}
