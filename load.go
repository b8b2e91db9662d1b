package live

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/engine"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// loads are the reads of the database that are under way for subscriptions. Those that want the same at the same time share
// one: when a thousand clients of one list reconnect together, the list is read once or twice.
type loads struct {
	mu     sync.Mutex
	flying map[load]*flight
	landed []landed // newest last
}

// landed is a read that is over, and can serve those who are told their rows again: after a deploy, or when the log was lost, they come one
// after the other, and what the log has told since is told them anyway.
type landed struct {
	load
	flight *flight
}

const (
	// serves is how long such a read serves others, and mostLanded how many of a router are kept.
	serves     = 2 * time.Second
	mostLanded = 16
)

// again returns a read that is over and serves who needs one that began at a position or later; nil when there is none. The lock is held.
func (l *loads) again(key load, after broker.Position, log *engine.Engine) *flight {
	for _, one := range l.landed {
		if _, held := log.Window(one.flight.at, 0); one.load == key && !one.flight.missed(after) && held {
			return one.flight
		}
	}
	return nil
}

// land keeps a read that is over for a while. The lock is held.
func (l *loads) land(key load, f *flight) {
	l.landed = slices.DeleteFunc(l.landed, func(one landed) bool { return one.load == key })
	if len(l.landed) == mostLanded {
		l.landed = slices.Delete(l.landed, 0, 1)
	}
	l.landed = append(l.landed, landed{key, f})
	time.AfterFunc(serves, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.landed = slices.DeleteFunc(l.landed, func(one landed) bool { return one.flight == f })
	})
}

// load is what is read: a query, which says whose rows, in an order.
type load struct {
	query *livequery.Query
	order string
	limit int
}

// flight is one read. What it read is there when done is closed.
type flight struct {
	began   broker.Position // where the log was then; zero while it waits for its turn
	done    chan struct{}
	cancel  context.CancelFunc
	waiting int

	at    broker.Position // that the database had reached
	mark  string          // see Stream.Prime
	fills uint64          // see Stream.Fills
	page  page
	count int64
	err   error
}

// missed reports whether the read began before a position.
func (f *flight) missed(after broker.Position) bool {
	return !f.began.IsZero() && (after.After(f.began) || after.Epoch != 0 && after.Epoch != f.began.Epoch)
}

// inside is in the context of the application's code that reads for a hub.
type inside struct{ hub *Hub }

// inTurn runs f, which reads lists or counts, when it is its turn: see Options.MaxLoads. What reads more inside of f, with its context, has
// its turn already.
func (e *endpoint) inTurn(ctx context.Context, f func(context.Context) error) error {
	h := e.hub
	if ctx.Value(inside{h}) != nil {
		return f(ctx)
	}
	began := h.watch.Now()
	waiting, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(h.waits, cancel)
	err := h.loads.Enter(waiting)
	stop()
	cancel()
	if err != nil {
		return err
	}
	defer h.loads.Leave()
	h.watch.Since(MetricLoadWaits, e.name, began)
	return f(context.WithValue(ctx, inside{h}, true))
}

// load joins a read that is under way, or waits for its turn, and began at a position that is not before after, or else begins one. Whoever began it
// may go; it ends early when nobody waits any more. Who is told his rows again takes what was read for others who were just before, too.
func (e *endpoint) load(ctx context.Context, q *livequery.Query, s selection, after broker.Position, again bool) (*flight, error) {
	key := load{q, orderText(s.order), s.limit}
	l := &e.loads
	l.mu.Lock()
	f := l.flying[key]
	if f == nil && again {
		if f = l.again(key, after, e.hub.engine); f != nil {
			l.mu.Unlock()
			return f, nil
		}
	}
	if f == nil || f.missed(after) {
		f = &flight{done: make(chan struct{})}
		if l.flying == nil {
			l.flying = map[load]*flight{}
		}
		l.flying[key] = f
		var reading context.Context
		reading, f.cancel = e.hub.detached(ctx)
		e.hub.sessions.Go(func() {
			label(reading, "router", e.name)
			err := e.inTurn(reading, func(reading context.Context) error {
				l.mu.Lock()
				f.began = e.hub.engine.Position()
				l.mu.Unlock()
				e.fly(reading, f, q, s)
				return nil
			})
			if err != nil { // nobody waited any more for its turn, or the hub has stopped
				f.err = err
			}
			l.mu.Lock()
			if l.flying[key] == f {
				delete(l.flying, key)
			}
			if again && f.err == nil {
				l.land(key, f)
			}
			l.mu.Unlock()
			f.cancel()
			close(f.done)
		})
	}
	f.waiting++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if f.waiting--; f.waiting == 0 {
			if l.flying[key] == f {
				delete(l.flying, key) // nobody may join what is about to be cancelled
			}
			f.cancel()
		}
	}()
	select {
	case <-f.done:
		return f, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// detached returns a context with the values of another that ends when the hub stops.
func (h *Hub) detached(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(h.running, cancel)
	return ctx, func() { stop(); cancel() }
}

// fly reads.
func (e *endpoint) fly(ctx context.Context, f *flight, q *livequery.Query, s selection) {
	defer e.hub.guard(&f.err, inList)
	if s.count {
		if f.err = e.counted(ctx, q, s.predicate); f.err == nil {
			f.count, f.at = e.stream.Count(q)
		}
		return
	}
	for range 10 {
		reading := e.stream.Reading(e.hub.engine.Position())
		f.at = reading.At
		if f.page, f.err = e.read(ctx, s, q.Spare()); f.err != nil {
			return
		}
		f.mark = e.stream.Prime(q, reads(f.page), reading)
		if !q.Windowed() {
			return
		}
		var filled bool
		if f.fills, filled = e.fill(q, livequery.Page{Rows: reads(f.page), At: f.at, Last: f.page.last}); filled {
			return
		}
		// The log has outrun the list, or does not say what the rows are.
	}
	f.err = fmt.Errorf("%w: the log moves on faster than the list is read", session.ErrUnavailable)
}

// reads are the rows of a page as the stream takes them.
func reads(p page) []livequery.Read {
	out := make([]livequery.Read, len(p.rows))
	for i, l := range p.rows {
		out[i] = livequery.Read{Key: l.object.Key, Version: l.object.Version, Row: l.row, Values: l.object.Values}
	}
	return out
}

// fill gives a window its rows, and returns for how many times.
func (e *endpoint) fill(q *livequery.Query, p livequery.Page) (fills uint64, filled bool) {
	e.hub.engine.Settle(func(now broker.Position) (d *livequery.Delivery) {
		if since, ok := e.hub.engine.Window(p.At, math.MaxInt); ok {
			d, filled = e.stream.Fill(q, p, since, now)
			fills = e.stream.Fills(q)
		}
		return d
	})
	return fills, filled
}

// seed gives a window the rows of another on the same list: who reads on has been shown these.
func (e *endpoint) seed(q *livequery.Query) (seeded bool) {
	e.hub.engine.Settle(func(broker.Position) *livequery.Delivery {
		seeded = e.stream.Seed(q)
		return nil
	})
	return seeded
}

// source returns what a session needs of an authorised subscription.
func (e *endpoint) source(ctx context.Context, s selection) session.Source {
	q := e.stream.Acquire(s.spec(ctx), e.hub.engine.Position)
	source := session.Source{
		Query: q, Edge: s.edge,
		Release: func() { e.stream.Release(q) },
		Load: func(ctx context.Context, after broker.Position, again bool) (session.Loaded, error) {
			f, err := e.load(ctx, q, s, after, again)
			if err != nil {
				return session.Loaded{}, err
			}
			if s.count {
				return session.Loaded{At: f.at, Listing: wire.Listing{Count: &f.count}}, nil
			}
			listing, rows, edge := e.listing(s, f.page, f.at.String())
			keys := make([]string, len(rows))
			for i, l := range rows {
				keys[i] = l.object.Key
			}
			return session.Loaded{At: f.at, Mark: f.mark, Fills: f.fills, Listing: listing, Keys: keys, Edge: edge}, nil
		},
	}
	if q.Windowed() {
		source.Prepare = func(ctx context.Context) error {
			if (e.stream.Loaded(q) || e.seed(q)) && e.stream.Reaches(q, s.edge) {
				return nil
			}
			_, err := e.load(ctx, q, s, broker.Position{}, false)
			return err
		}
	}
	return source
}

// How long a read that failed is left alone, and the least time between two counts.
const (
	refillRetry  = time.Second
	recountEvery = 100 * time.Millisecond
)

// fetch reads what a query that others watch needs: rows for a window that runs low, or a new count. It does not wait.
func (e *endpoint) fetch(q *livequery.Query) {
	ctx, cancel := e.hub.detached(q.Caller)
	e.hub.sessions.Go(func() {
		defer cancel()
		label(ctx, "router", e.name)
		if q.Counts() {
			e.recount(ctx, q)
		} else {
			e.refill(ctx, q)
		}
	})
}

// wait tells a window's strangers what it is when the log has what they were given.
func (e *endpoint) wait(q *livequery.Query) {
	published, done := context.WithTimeout(e.hub.running, e.stream.Publishing) // a hub that has stopped leaves no timer that keeps it in memory
	context.AfterFunc(published, func() {
		defer done()
		if e.hub.running.Err() == nil {
			e.hub.engine.Settle(func(at broker.Position) *livequery.Delivery { return e.stream.Greet(q, at) })
		}
	})
}

func (e *endpoint) refill(ctx context.Context, q *livequery.Query) {
	from, n, ok := e.stream.Wanted(q)
	if !ok {
		return
	}
	_, order := q.Limit()
	var next page
	var at broker.Position
	err := e.inTurn(ctx, func(ctx context.Context) (err error) {
		next, at, err = e.readOn(ctx, q, from, order, n)
		return err
	})
	if err != nil {
		if e.failed(ctx, "live: the rows that follow a window cannot be read; trying again", err) {
			e.stream.Unfilled(q)
		}
		return
	}
	e.hub.engine.Settle(func(now broker.Position) *livequery.Delivery {
		since, ok := e.hub.engine.Window(at, math.MaxInt)
		if !ok {
			e.stream.Unfilled(q)
			return nil
		}
		return e.stream.Refill(q, livequery.Page{Rows: reads(next), At: at, From: from, Last: next.last}, since, now)
	})
}

// readOn reads the rows that follow a place in an order.
func (e *endpoint) readOn(ctx context.Context, q *livequery.Query, from where.Row, order []where.Order, n int) (next page, at broker.Position, err error) {
	defer e.hub.guard(&err, inList)
	after, err := e.schema.Where.After(order, from)
	if err != nil {
		return next, at, err
	}
	reading := e.stream.Reading(e.hub.engine.Position())
	at = reading.At
	if next, err = e.list(ctx, q.Predicate.And(after), order, n); err == nil {
		err = e.complete(ctx, q.View, next)
	}
	if err == nil {
		e.stream.Prime(q, reads(next), reading)
	}
	return next, at, err
}

// failed logs an error of a read that no single caller is told of, and waits until it can be tried again. It reports false when it
// never can: the hub has stopped.
func (e *endpoint) failed(ctx context.Context, what string, err error) bool {
	if ctx.Err() != nil || e.hub.waits.Err() != nil {
		return false
	}
	e.log(ctx, what, err)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(refillRetry):
		return true
	}
}

// recount counts a query's rows anew. Under a stream of changes it does so at most every so often, for all who watch.
func (e *endpoint) recount(ctx context.Context, q *livequery.Query) {
	select {
	case <-time.After(recountEvery):
	case <-ctx.Done():
		return
	}
	if err := e.inTurn(ctx, func(ctx context.Context) error { return e.counted(ctx, q, q.Predicate) }); err != nil {
		if e.failed(ctx, "live: the rows cannot be counted; trying again", err) {
			e.stream.Uncounted(q)
		}
	}
}

// counted asks the application for the number of rows, and tells those who watch it.
func (e *endpoint) counted(ctx context.Context, q *livequery.Query, p *where.Predicate) (err error) {
	defer e.hub.guard(&err, inList)
	at := e.hub.engine.Position()
	began := e.hub.watch.Now()
	n, err := e.verbs.count(ctx, Query{Where: p, schema: e.schema.Where})
	e.hub.watch.Since(MetricLoads, e.name, began)
	if err != nil {
		return err
	}
	if n < 0 {
		return errors.New("the func Count returned a negative number")
	}
	e.hub.engine.Settle(func(now broker.Position) *livequery.Delivery { return e.stream.Counted(q, n, at, now) })
	return nil
}
