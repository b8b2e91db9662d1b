package pusher

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/presence"
)

// registry is what all nodes know together: how many subscriptions each channel has, which users are signed in, who is on presence channels. It tells the
// webhooks what becomes of that.
//
// Each node keeps members of presence for what it has itself: one for each channel with subscriptions, in a place of the channel's app, with their number
// as its state; one for each user who is signed in, and one for each who is on a presence channel, in other places; and one for the node. So a node that joins is told of all of them, those of one that
// died go when its lease is over, and a log that begins anew is filled again. The places have names that no channel of a hub can have, so that no client can
// be there, or look.
//
// What is on the log goes into the registry as it comes by (Saw); everything that may wait, or calls presence or others, does the one goroutine of
// Run. Two locks are taken in this order: presence's own, and mu; so nothing of presence is called with mu held.
type registry struct {
	presence *presence.Presence
	hooks    hooks
	names    directory
	logger   *slog.Logger
	wake     chan struct{}
	saying   sync.Mutex // who holds it changes what this node keeps
	telling  sync.Mutex // who holds it tells the webhooks
	self     self       // with saying held

	mu       sync.Mutex
	known    bool                // Saw has been told who was there when the registry began
	apps     map[string]struct{} // the ids of those that were heard of
	found    map[string]finding
	holdings map[spot]*holding
	unsaid   map[*holding]struct{}        // what differs from what presence was told
	waning   []waning                     // in the order of their times
	tallies  map[string]map[string]*tally // by the app's id and the channel
	crowds   map[string]*crowd            // by the channel as the hub calls it
	counters map[spot]map[*counter]struct{}
	recount  map[spot]time.Time // when to tell a count
	online   map[spot]int       // on how many nodes a user is
	viewers  map[spot]map[*viewer]struct{}
	moved    map[spot]struct{} // users of whom viewers may not know yet
	arrived  []*viewer         // who have been told nothing
	chiefs   chiefs
	due      []happening  // what the webhooks are to be told
	early    map[spot]int // how many members this node had where, before everybody was known
}

// directory is what the registry asks about apps and the names of channels.
type directory struct {
	// ids are those of the apps that are known from the beginning. Others the registry learns of when a channel of theirs is subscribed to, on whatever node.
	ids []string
	// app returns an app by its id; it may ask the application.
	app func(ctx context.Context, id string) (*App, error)
	// hubChannel is a channel of an app as the hub calls it.
	hubChannel func(app *App, name string) string
	// pusherChannel is a channel of the hub as an app's clients call it; false when it is none of the app's.
	pusherChannel func(app *App, hub string) (name string, ok bool)
}

// spot is a channel of an app as its clients call it, or a user.
type spot struct {
	place string // the one of presence where it is kept
	name  string
}

// The places of presence where nodes keep their members: a hub's channel cannot have such a name.
const (
	channelsAt = "#pusher/channels/" // and the app's id
	usersAt    = "#pusher/users/"    // and the app's id
	membersAt  = "#pusher/members/"  // and the channel as the hub calls it
	nodesAt    = "#pusher/nodes"
)

// newRegistry begins with what presence knows. It ends with the hub.
func newRegistry(p *presence.Presence, h hooks, names directory, logger *slog.Logger) *registry {
	r := &registry{
		presence: p, hooks: h, names: names, logger: logger, wake: make(chan struct{}, 1), self: newSelf(),
		apps: map[string]struct{}{}, found: map[string]finding{}, holdings: map[spot]*holding{}, unsaid: map[*holding]struct{}{},
		tallies: map[string]map[string]*tally{}, crowds: map[string]*crowd{}, counters: map[spot]map[*counter]struct{}{},
		recount: map[spot]time.Time{}, online: map[spot]int{}, viewers: map[spot]map[*viewer]struct{}{}, moved: map[spot]struct{}{},
	}
	for _, id := range names.ids {
		r.apps[id] = struct{}{}
	}
	r.chiefs = chiefs{me: r.self.name, nodes: map[string]bool{}}
	p.Watch(r)
	return r
}

// subscribed takes that a connection has subscribed to a channel.
func (r *registry) subscribed(app *App, channel string) {
	r.hold(app, spot{channelsAt + app.ID, channel})
}

// unsubscribed takes that a subscription is over; lost says that its connection is, and the client may come back.
func (r *registry) unsubscribed(app *App, channel string, lost bool) {
	r.release(spot{channelsAt + app.ID, channel}, lost)
}

// Saw takes what the log says of a member; presence calls it.
func (r *registry) Saw(was, now *extend.Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if was != nil && now != nil && (was.Place != now.Place || was.Person != now.Person) {
		r.saw(was, nil)
		was = nil
	}
	r.saw(was, now)
}

// saw sorts members by what they stand for. The lock is held.
func (r *registry) saw(was, now *extend.Member) {
	m := now
	if m == nil {
		m = was
	}
	r.sawEarly(now)
	place := m.Place.Channel
	if id, ok := strings.CutPrefix(place, channelsAt); ok {
		r.sawChannel(id, m.Person, was, now)
	} else if strings.HasPrefix(place, usersAt) {
		r.sawUser(spot{place, m.Person}, was, now)
	} else if place == nodesAt {
		r.sawNode(m.Person, was, now)
	} else if hub, ok := strings.CutPrefix(place, membersAt); ok {
		r.sawMember(hub, m.Person, true, was, now)
	} else if strings.Contains(place, peopled) {
		r.sawMember(place, m.Person, false, was, now)
	}
}

// Known takes that everybody is known; presence calls it.
func (r *registry) Known() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = true
	r.tellEarly()
	r.wakeUp()
}

// Leave has what this node keeps said for the last time: another node tells the webhooks from now on. Presence calls it.
func (r *registry) Leave() {
	r.say(time.Now())
	r.saying.Lock()
	defer r.saying.Unlock()
	r.self.stop()
}

func (r *registry) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run does what there is to do until ctx ends; presence calls it.
func (r *registry) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			r.tellHooks(ctx)
			return
		case <-timer.C:
		case <-r.wake:
		}
		now := time.Now()
		r.say(now)
		r.enlist()
		r.tellCounts(ctx, now)
		r.tellViewers()
		r.tellHooks(ctx)
		timer.Reset(r.pause(time.Now()))
	}
}

// restFor is how long there is nothing to do at most.
const restFor = time.Minute

// pause is how long there is nothing to do.
func (r *registry) pause(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := now.Add(restFor)
	if len(r.due) > 0 {
		if next = now.Add(placedWithin / 10); next.Before(r.chiefs.turn) {
			next = r.chiefs.turn
		}
	}
	if len(r.waning) > 0 && r.waning[0].until.Before(next) {
		next = r.waning[0].until
	}
	for _, at := range r.recount {
		if at.Before(next) {
			next = at
		}
	}
	return max(next.Sub(now), time.Millisecond)
}
