// Package engine follows the log for a hub: it resolves each entry once, keeps the newest in memory, finds the queries that
// an entry concerns and hands them to the shards.
package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/history"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/turnstile"
)

// Options are what an engine needs. All are set unless they say so.
type Options struct {
	Broker        broker.Broker
	Logger        *slog.Logger
	Watch         *observe.Watch // nil when nobody watches
	WindowEntries int
	WindowBytes   int
	// AppendTimeout is how long an Append may take whose context has no deadline; zero means 5 s.
	AppendTimeout time.Duration
	// MaxReads bounds how many subscriptions read old history from the broker at once; zero means 16.
	MaxReads int
	// Lost is called when the log was lost or replaced, or passed the hub by: every subscription starts anew, for the
	// reason.
	Lost func(reason string)
	// Degraded is called when the broker cannot be reached, and when it can again.
	Degraded func(bool)
	// Seen, unless nil, is called with each entry that is followed, in order, before anybody is told of it; with nil for one that
	// cannot be read, and with an empty one for a copy of one that came before. It must not wait.
	Seen func(at broker.Position, e *record.Entry)
	// Began, unless nil, is called when the engine begins to follow the log after a position: what was before it has not seen.
	Began func(at broker.Position)
}

// Engine follows the log. Its methods may be called by any goroutine.
type Engine struct {
	options   Options
	registry  *livequery.Registry
	channels  *livequery.Channels
	window    *history.Window
	copies    *copies
	shards    []*session.Shard
	reads     *turnstile.Turnstile // of old history
	marks     marks
	inquiries inquiries
	// order is held while a batch is resolved, matched and handed to the shards: who holds it finds the log, the window, the
	// streams and what the shards will do in one place.
	order sync.Mutex

	mu      sync.Mutex
	streams map[string]*livequery.Stream
	// position is that up to which entries were matched; handed, up to which the shards have them.
	position, handed broker.Position
	restarts         uint          // how often it began at the end of the log
	moved            chan struct{} // closed and replaced when handed moves
	ready            chan struct{}
	degraded         bool
}

var _ session.Log = (*Engine)(nil)

// New returns an engine. Run makes it follow.
func New(o Options) *Engine {
	n := runtime.GOMAXPROCS(0)
	e := &Engine{
		options:  o,
		registry: new(livequery.Registry),
		window:   history.New(o.WindowEntries, o.WindowBytes),
		copies:   newCopies(),
		reads:    turnstile.New(cmp.Or(o.MaxReads, 16)),
		streams:  map[string]*livequery.Stream{},
		moved:    make(chan struct{}),
		ready:    make(chan struct{}),
	}
	e.channels = livequery.NewChannels(e.registry)
	for i := range n {
		e.shards = append(e.shards, session.NewShard(i))
	}
	return e
}

// Shards returns the shards; their owner is the engine.
func (e *Engine) Shards() []*session.Shard { return e.shards }

// Channels returns the hub's channels.
func (e *Engine) Channels() *livequery.Channels { return e.channels }

// AddStream makes the stream of a router.
func (e *Engine) AddStream(s *livequery.Schema) *livequery.Stream {
	stream := livequery.NewStream(e.registry, s)
	stream.Publishing = publishing
	e.mu.Lock()
	defer e.mu.Unlock()
	e.streams[s.Router] = stream
	return stream
}

// publishing is how long it takes, at most, from a change's commit until it is on the log. It counts only for clients that come from another hub
// while it lasts from a query's first list on, and for changes of which nobody says what the row was.
const publishing = 10 * time.Second

// linger is how long a query that nobody refers to is kept for a client that polls or reconnects.
const linger = time.Minute

// Run follows the log until ctx ends. It returns after the last of its goroutines.
func (e *Engine) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, sh := range e.shards {
		running.Go(sh.Run)
	}
	running.Go(func() { e.expire(ctx) })
	e.follow(ctx)
	for _, sh := range e.shards {
		sh.Stop()
	}
	running.Wait()
}

// Entries returns what of the log is in memory, oldest first.
func (e *Engine) Entries() []*livequery.Entry { return e.window.Entries() }

// Stats is what an engine holds.
type Stats struct{ Queries, Entries, Bytes int }

// Stats counts the queries of all routers and channels, and what of the log is in memory. It asks each router in turn.
func (e *Engine) Stats() Stats {
	st := Stats{Queries: e.channels.Len()}
	for _, s := range e.allStreams() {
		st.Queries += s.Stats().Queries
	}
	st.Entries, st.Bytes = e.window.Size()
	return st
}

// expire removes queries that were idle for long.
func (e *Engine) expire(ctx context.Context) {
	tick := time.NewTicker(linger / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, s := range e.allStreams() {
				s.Expire(now.Add(-linger))
			}
			e.channels.Expire(now.Add(-linger))
		}
	}
}

func (e *Engine) allStreams() []*livequery.Stream {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*livequery.Stream, 0, len(e.streams))
	for _, s := range e.streams {
		all = append(all, s)
	}
	return all
}

// follow keeps following the log, whatever happens to the broker.
func (e *Engine) follow(ctx context.Context) {
	started := false
	failures := 0
	for ctx.Err() == nil {
		var err error
		if !started {
			if err = e.restart(ctx, ""); err == nil {
				started = true
			}
		}
		if started && e.upToDate(ctx) {
			e.setDegraded(false)
		}
		if started {
			err = e.options.Broker.Follow(ctx, e.Position(), func(entries []broker.Entry) error {
				failures = 0
				e.setDegraded(false)
				e.deliver(entries)
				return nil
			})
			if errors.Is(err, broker.ErrExpired) {
				err = e.restart(ctx, "history")
			}
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		failures++
		e.options.Logger.Warn("live: the broker cannot be followed; trying again", session.Cause(err))
		e.setDegraded(true)
		e.pause(ctx, failures)
	}
}

// pause waits before the broker is tried again: up to 5 s, with jitter.
func (e *Engine) pause(ctx context.Context, failures int) {
	longest := min(5*time.Second, 50*time.Millisecond<<min(failures, 10))
	select {
	case <-ctx.Done():
	case <-time.After(longest/2 + rand.N(longest/2)):
	}
}

// restart begins at the end of the log. With a reason, what was known before is void.
func (e *Engine) restart(ctx context.Context, reason string) error {
	head, err := e.head(ctx)
	if err != nil {
		return err
	}
	e.setDegraded(false)
	if reason != "" && head.Epoch != e.Position().Epoch {
		reason = "epoch"
	}
	e.order.Lock()
	defer e.order.Unlock()
	// What loads from here on loads for the new log, and who is told of the end of the old one is told before a cursor of
	// the new.
	for _, sh := range e.shards {
		sh.Suspend(head)
	}
	e.mu.Lock()
	e.restarts++
	e.mu.Unlock()
	e.move(head)
	if e.options.Began != nil {
		e.options.Began(head)
	}
	e.window.Reset(head)
	e.marks.begin(head)
	e.copies.reset()
	for _, s := range e.allStreams() {
		s.Reset(head)
	}
	if reason != "" {
		e.options.Logger.Warn("live: the log does not continue where this hub was; every subscription starts anew", "reason", reason)
		e.options.Lost(reason)
	}
	e.hand(nil, head)
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.ready:
	default:
		close(e.ready)
	}
	return nil
}

// upToDate reports whether a hub that lost its broker finds it again and has missed nothing: then nothing is late, and it
// may be long until the next entry comes.
func (e *Engine) upToDate(ctx context.Context) bool {
	e.mu.Lock()
	degraded := e.degraded
	e.mu.Unlock()
	if !degraded {
		return false
	}
	head, err := e.head(ctx)
	return err == nil && head == e.Position()
}

// Degraded reports whether the broker cannot be reached.
func (e *Engine) Degraded() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.degraded
}

func (e *Engine) setDegraded(degraded bool) {
	e.mu.Lock()
	changed := e.degraded != degraded
	e.degraded = degraded
	e.mu.Unlock()
	if changed {
		e.options.Degraded(degraded)
	}
}

// deliver resolves a batch of entries, finds whom they concern and hands them to the shards.
func (e *Engine) deliver(batch []broker.Entry) {
	e.order.Lock()
	defer e.order.Unlock()
	var deliveries []*livequery.Delivery
	followed := e.options.Watch.Now()
	for _, raw := range batch {
		decoded, err := record.Decode(raw.Data)
		if decoded.Sent > 0 && followed != 0 {
			e.options.Watch.Measure(observe.BrokerLag, "", time.Since(time.UnixMilli(decoded.Sent)))
		}
		if e.copies.follow(decoded.ID, raw.Position) {
			decoded = record.Entry{}
		}
		if e.options.Seen != nil {
			if err == nil {
				e.options.Seen(raw.Position, &decoded)
			} else {
				e.options.Seen(raw.Position, nil)
			}
		}
		entry := e.resolve(raw, decoded, err, func(s *livequery.Stream, r *record.Change) (*livequery.Change, error) {
			return s.Resolve(r, raw.Position)
		})
		entry.Followed = followed
		e.window.Add(entry)
		e.marks.pass(raw.Position)
		deliveries = e.match(entry, deliveries)
	}
	for _, d := range deliveries {
		d.Followed = followed
	}
	e.hand(deliveries, batch[len(batch)-1].Position)
}

// match finds the queries that an entry concerns.
func (e *Engine) match(entry *livequery.Entry, out []*livequery.Delivery) []*livequery.Delivery {
	oldest := e.window.Base()
	if entry.Unreadable {
		for _, s := range e.allStreams() {
			out = s.Match(entry, oldest, out)
		}
		return e.channels.Match(entry, out)
	}
	for s := range entry.Streams() {
		out = s.Match(entry, oldest, out)
	}
	return e.channels.Match(entry, out)
}

// hand gives the shards what entries up to a position mean. The position moves before: whoever loads a list because of what a
// client was told must not begin before that.
func (e *Engine) hand(deliveries []*livequery.Delivery, upto broker.Position) {
	e.mu.Lock()
	e.position = upto
	e.mu.Unlock()
	for _, sh := range e.shards {
		sh.Deliver(deliveries, upto)
	}
	e.move(upto)
}

// move moves the position and wakes those who wait for it.
func (e *Engine) move(upto broker.Position) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.position, e.handed = upto, upto
	close(e.moved)
	e.moved = make(chan struct{})
}

// resolve turns an entry, as it was decoded, into what the streams make of it. What cannot be read is logged and marked: it may have
// changed anything.
func (e *Engine) resolve(raw broker.Entry, decoded record.Entry, err error, resolve func(*livequery.Stream, *record.Change) (*livequery.Change, error)) *livequery.Entry {
	entry := &livequery.Entry{Position: raw.Position, Size: len(raw.Data)}
	if err != nil {
		e.options.Logger.Error("live: an entry of the log cannot be read; subscriptions are resynced", "position", raw.Position.String(), session.Cause(err))
		entry.Unreadable = true
		return entry
	}
	entry.Messages, entry.Recheck = decoded.Messages, decoded.Recheck
	for i := range decoded.Changes {
		r := &decoded.Changes[i]
		stream := e.stream(r.Router)
		if stream == nil {
			continue // a router of another version of the application
		}
		c, err := resolve(stream, r)
		if err != nil {
			e.options.Logger.Error("live: a change on the log cannot be read; subscriptions are resynced", "position", raw.Position.String(), "router", r.Router, session.Cause(err))
			entry.Unreadable = true
		} else if c != nil {
			entry.Changes = append(entry.Changes, c)
		}
	}
	return entry
}

func (e *Engine) stream(router string) *livequery.Stream {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.streams[router]
}
