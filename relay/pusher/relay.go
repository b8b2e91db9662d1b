package pusher

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/engine"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/session"
)

// Relay follows a hub's log and tells a service of it. Make one with New, on every node. Its methods may be called by any goroutine.
type Relay struct {
	hub      *live.Hub
	options  Options
	logger   *slog.Logger
	log      extend.Log
	lease    *lease
	service  *service
	sources  map[string][]*source
	messages []*messages
	copies   engine.Copies

	running sync.Mutex // held by Run
	ready   chan struct{}

	mu      sync.Mutex
	done    broker.Position // up to where the service has all
	hasDone bool
	term    uint64    // in which that is so
	stored  time.Time // when the position was stored last
	unsaid  bool      // something was sent since

	sent, retried, skipped, truncated atomic.Int64
	// denied says that the service has denied this application for longer than patience lasts.
	denied atomic.Bool
}

// New returns a relay for a hub with which the routers are registered already. It does nothing before Run. It panics with a sentence that tells how to
// mend it when something is wrong with the options, as Hub.Register does.
func New(hub *live.Hub, o Options) *Relay {
	o = o.withDefaults()
	err := o.check()
	if err != nil {
		panic("pusher: " + err.Error())
	}
	r := &Relay{hub: hub, options: o, ready: make(chan struct{}), copies: engine.NewCopies()}
	if r.sources, r.messages, err = o.prepare(hub); err != nil {
		panic("pusher: " + err.Error())
	}
	r.service = &service{strings.TrimSuffix(o.URL, "/"), o.AppID, o.Key, o.Secret, o.Client, o.Timeout}
	r.lease = newLease("relay@" + o.Name)
	hub.Register(&live.Channel{Name: r.lease.channel})
	r.log = hub.Tail(extend.Listener{Seen: r.lease.seen, Began: r.lease.anew})
	r.logger = cmp.Or(o.Logger, r.log.Logger)
	return r
}

var (
	errRunning = errors.New("pusher: this relay runs already")
	errStopped = errors.New("pusher: the hub has stopped")
	errLost    = errors.New("pusher: another node relays")
)

// Run relays until ctx ends, and returns ctx's error; or until the hub has stopped. Of all nodes that run it one relays, and the others wait to take over. When ctx ends, what
// has been read is sent, up to Options.Timeout later, and the next node goes on behind that. When Run returns, nothing of it runs.
// A second Run at the same time returns an error.
func (r *Relay) Run(ctx context.Context) error {
	if !r.running.TryLock() {
		return errRunning
	}
	defer r.running.Unlock()
	defer r.lease.leave()
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.log.Running, cancel)()
	for failures := 0; running.Err() == nil; {
		err := r.step(running)
		if err == nil || errors.Is(err, errLost) || running.Err() != nil {
			failures = 0
			continue
		}
		failures++
		r.logger.Warn("pusher: the log cannot be relayed; trying again", session.Cause(err))
		pause(running, backOff(min(failures, 5)))
	}
	if s := r.lease.standing(); s.leads {
		r.yield(s)
	}
	if ctx.Err() == nil {
		return errStopped
	}
	return ctx.Err()
}

// Ready waits until what is published from now on is relayed, by this node or another one; Run must have been called. The error is ctx's.
func (r *Relay) Ready(ctx context.Context) error {
	select {
	case <-r.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stats is what a relay did on this node since New.
type Stats struct {
	// Leading says that this is the node that relays.
	Leading bool
	// Position is up to where this node has relayed, the last time it did; empty when it never has.
	Position string
	// Sent are events that the service took, each once for some of its channels; Retried requests that were repeated; Skipped events that the
	// service refused, and Truncated ones that were too large to be sent whole.
	Sent, Retried, Skipped, Truncated int64
}

// Stats returns what the relay did on this node.
func (r *Relay) Stats() Stats {
	s := Stats{
		Leading: r.lease.standing().leads,
		Sent:    r.sent.Load(), Retried: r.retried.Load(), Skipped: r.skipped.Load(), Truncated: r.truncated.Load(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hasDone {
		s.Position = r.done.String()
	}
	return s
}

// step does what is to be done next: come, relay, claim to, or wait.
func (r *Relay) step(ctx context.Context) error {
	s := r.lease.standing()
	switch {
	case !s.known:
		return r.join(ctx)
	case s.leads:
		return r.lead(ctx, s)
	case s.vacant:
		if err := r.say(r.lease.say(s.next, r.options.Lease, s.at)); err != nil {
			return err
		}
		s.await(ctx, r.options.Lease/3)
		return nil
	}
	s.await(ctx, time.Until(s.over))
	return nil
}

// say puts a word on the log.
func (r *Relay) say(w word) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.options.Lease/3) // whatever Run's context holds is not for this
	defer cancel()
	return r.hub.Publish(ctx, r.lease.channel, w)
}

// yield gives the lease back, with the position up to which all was relayed.
func (r *Relay) yield(s standing) {
	r.mu.Lock()
	at, known := r.done, r.hasDone && r.term == s.term
	r.mu.Unlock()
	if !known {
		at = s.at
	}
	if err := r.say(r.lease.say(s.term, 0, at)); err != nil {
		r.logger.Warn("pusher: the lease was not given back; another node waits for its end", session.Cause(err))
	}
}
