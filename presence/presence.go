// Package presence tells who is where: who looks at an object of a router, who is on a channel, and what each of them does there.
//
//	p := presence.New(hub, presence.Options{Person: func(ctx context.Context) (presence.Person, error) {
//		u := userOf(ctx)
//		return presence.Person{ID: u.ID, Name: u.Name}, nil
//	}})
//
// A member is one tab of one person in one place. Members are rows: who looks at a place has a subscription to the rows of those who are
// there, with a snapshot, changes, cursors and resyncs as any other. They are stored nowhere but on the log: each hub holds what
// it tells.
//
// Presence is a courtesy, and no lock: whether a write overwrites another one is for the row's version to decide.
package presence

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/wire"
)

// Person is whose a member is, as the others see him.
type Person struct {
	// ID names him: several members of one ID are one person. Empty: a guest, who may look and is not listed.
	ID string
	// Name is what he is called.
	Name string
	// Info is anything else that the others see of him, such as his colour: what encoding/json can encode. Nil is null.
	Info any
}

// Options configure presence. A zero duration means the default.
type Options struct {
	// Person says who the caller of a subscription is. It is called with the context of his request, by many goroutines at once. Its
	// error refuses: a *live.Error as it says, any other as internal. It must be set.
	Person func(ctx context.Context) (Person, error)
	// Name is that of the router that members call, and whose rows they are. Default "presence".
	Name string
	// Lease is how long a member of a poll, or of a node that died, stays without a sign of life; one that is away stays six times as
	// long if it polls, for browsers let hidden tabs work once a minute. Default 45 s.
	Lease time.Duration
	// Linger is how long a member stays whose stream broke, so that a short loss does not flicker. Default 5 s.
	Linger time.Duration
	// Batch is the time within which what happens goes on the log as one entry. Default 50 ms.
	Batch time.Duration
	// MayLock says whether the caller may have the lock of a place that he may see; its error refuses him, as Person's does. Who has it may hand
	// it over to anybody there. Nil: everybody may.
	MayLock func(ctx context.Context, place Place) error
	// MayTakeOver says whether the caller may take the lock of a place from another person who has it. Nil: nobody may. His own
	// lock, of another tab, everybody may take over.
	MayTakeOver func(ctx context.Context, place Place) error
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "presence"
	}
	for _, d := range []struct {
		at   *time.Duration
		zero time.Duration
	}{{&o.Lease, 45 * time.Second}, {&o.Linger, 5 * time.Second}, {&o.Batch, 50 * time.Millisecond}} {
		if *d.at <= 0 {
			*d.at = d.zero
		}
	}
	return o
}

// Place is where somebody can be: at an object, which is the row of a Router with a Key, or on a Channel.
type Place struct{ Router, Key, Channel string }

// Presence knows who is where. Make one with New. Its methods may be called by any goroutine.
type Presence struct {
	options Options
	hub     *live.Hub
	host    extend.Host
	router  *live.Router[row]
	channel string // on which nodes talk
	node    string // the name of this one
	wake    chan struct{}
	flushes sync.Mutex // who holds it puts something on the log

	mu      sync.Mutex
	replica replica
	own     map[string]*own  // the members that are here, and those that this node speaks for
	clients map[string]*own  // those of own that have a client: what this node keeps itself, which may be much more, stays whatever the time
	todo    map[string]*task // what is to be put on the log, by member
	say     word             // what is to be said to the other nodes
	urgent  bool             // what is to be done does not wait for a batch
	peers   map[string]*peer // the other nodes, as far as they were heard
	touched map[string]time.Time
	doubts  map[string]time.Time // when to take out members that are said to be here, and are not
	since   broker.Position      // that of the own hello
	ready   chan struct{}        // closed when everybody is known, as far as that is possible
	settle  time.Time            // when that will be; zero before the own hello came by, and after
	vouch   time.Time            // when to tell of the members of nodes that do not answer themselves; zero for not
	orphans time.Time            // when to look for members for which nobody speaks any more; zero for not
	askers  map[string]time.Time
	louds   map[string]int64 // the versions at which this node said of members that they come, and which have not come by yet
	asked   time.Time        // when the first of them asked
	helloed time.Time        // when another node asked last
	beaten  time.Time        // when the others were told last that this node is there
	retry   time.Time        // when to try again after the log could not be reached; zero when it could
	locks   locking

	watching watching
}

// New adds presence to a hub, before that serves clients: subscriptions may ask who is at an object of any of its routers that they may
// get, or list, and on any channel that they may follow. A hub has one. New panics when something is wrong with the options, as
// Hub.Register does.
func New(hub *live.Hub, o Options) *Presence {
	if o.Person == nil {
		panic("presence: its Options have no Person: say who the caller is, or that he is a guest, with an empty ID")
	}
	p := &Presence{
		options: o.withDefaults(), hub: hub, node: rand.Text()[:12], wake: make(chan struct{}, 1),
		replica: newReplica(), own: map[string]*own{}, clients: map[string]*own{}, todo: map[string]*task{}, peers: map[string]*peer{}, touched: map[string]time.Time{},
		askers: map[string]time.Time{}, louds: map[string]int64{}, doubts: map[string]time.Time{},
		ready: make(chan struct{}), locks: newLocking(), watching: watching{heard: map[string]time.Time{}},
	}
	p.channel = p.options.Name + "@nodes"
	p.router = &live.Router[row]{
		Name: p.options.Name, Scope: nobody, List: p.list, Count: p.count, Verbs: p.verbs(),
	}
	hub.Register(p.router, &live.Channel{Name: p.channel})
	hub.Extend(func(host extend.Host) extend.Extension {
		p.host = host
		return p
	})
	return p
}

// Member is one tab of one person in one place.
type Member struct {
	// ID is the UUID that the client drew.
	ID     string
	Place  Place
	Person string // his ID
	Name   string
	Info   json.RawMessage
	// State is what the client says that it does: a JSON object.
	State json.RawMessage
	// Away says that the tab is hidden.
	Away  bool
	Since time.Time
	// Lock is the fencing token of who has the lock of the place, "" of anybody else. Wants says that he asks for it.
	Lock  string
	Wants bool
}

// At returns who is in a place, as this node knows it now, in the order in which they came.
func (p *Presence) At(place Place) []Member {
	p.mu.Lock()
	rows := p.replica.at(extend.Place(place).String())
	p.mu.Unlock()
	slices.SortFunc(rows, bySince)
	members := make([]Member, len(rows))
	for i, r := range rows {
		members[i] = r.member()
	}
	return members
}

// Router names the router whose rows are the members; package live asks for it.
func (p *Presence) Router() string { return p.options.Name }

// Ready waits until this node knows everybody; package live calls it.
func (p *Presence) Ready(ctx context.Context) (broker.Position, error) {
	for {
		p.mu.Lock()
		ready, since := p.ready, p.since
		p.mu.Unlock()
		select {
		case <-ready:
			return since, nil
		default:
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return broker.Position{}, ctx.Err()
		}
	}
}

// person asks the application who the caller is, unless the subscription knows.
func (p *Presence) person(ctx context.Context, origin *wire.Origin) (Person, json.RawMessage, error) {
	if of := origin.Person; of != nil {
		return Person{ID: of.ID, Name: of.Name}, compact(of.Info), nil
	}
	who, err := p.options.Person(ctx)
	if err != nil || who.ID == "" {
		return Person{}, nil, err
	}
	info, err := wire.Marshal(who.Info)
	if err != nil {
		return Person{}, nil, fmt.Errorf("presence: the Info of person %s: %w", who.ID, err)
	}
	return who, info, nil
}
