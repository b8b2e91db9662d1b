package livequery

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/index"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/where"
)

// Registry makes the queries of a hub: it numbers them. The zero value is ready for use.
type Registry struct {
	last  atomic.Uint64
	named sync.Once
	name  string
}

func (r *Registry) newQuery(prefix string, since broker.Position) *Query {
	return &Query{ID: prefix + strconv.FormatUint(r.last.Add(1), 36), since: since, touched: since}
}

// Stream is the live side of one router. Its methods may be called by any goroutine.
type Stream struct {
	Schema   *Schema
	registry *Registry
	// Fetch has a window's rows read, or a counter's counted. It is set before the stream is used, and must not wait: it is
	// called with the stream's lock held.
	Fetch func(*Query)
	// Publishing is how long a change is in the database, at most, before it is on the log. It is set before the stream is used; zero for a database
	// that is never ahead of the log.
	Publishing time.Duration
	// Wait has Greet called when Publishing has passed. It is set before the stream is used, and must not wait: it is called with the stream's lock
	// held.
	Wait func(*Query)

	mu    sync.Mutex
	index *index.Index[*Query]
	// queries holds the queries by the text of their predicates; where these have more than one, it follows as other.
	queries map[string]*Query
	idle    idlers
	// windows are the windows on each list, of whatever limits.
	windows map[string][]*Query
	// unsure counts, for each query, the members that resumed from a cursor and may hold rows that this hub never saw. One that counts rows
	// has never seen any, and is always in it.
	unsure map[*Query]int
	rows   rows
	// lists is how many lists were noted.
	lists uint64
	// resolved is the position of the last entry that changed a row; unknown, of the last whose earlier state nobody here
	// knew; began, that from which on the log is known.
	resolved, unknown, began broker.Position

	telling telling // scratch of Match
}

// NewStream returns the stream of a router.
func NewStream(r *Registry, s *Schema) *Stream {
	st := &Stream{
		Schema: s, registry: r,
		index:   index.New[*Query](s.Where),
		queries: map[string]*Query{},
		windows: map[string][]*Query{},
		unsure:  map[*Query]int{},
		rows:    newRows(),
	}
	st.telling.found = func(q *Query, was, now bool) {
		c := st.telling.change
		st.tell(q, c, c.judge(was, false, now))
	}
	return st
}

// Spec is what identical subscriptions have in common.
type Spec struct {
	// View is the fields that are seen; nil means all that are published.
	View      *View
	Predicate *where.Predicate
	// Order and Limit make a window of the query: the first Limit rows. Zero takes all, and Order does not count.
	Order []where.Order
	Limit int
	// Count asks for the number of rows in place of the rows.
	Count bool
	// Caller holds the values of the caller's request.
	Caller context.Context
}

// of reports whether a query of the predicate is that of the spec.
func (c *Spec) of(q *Query) bool {
	switch {
	case q.View != c.View || (q.counter != nil) != c.Count:
		return false
	case c.Count || c.Limit <= 0:
		return c.Count || q.window == nil
	}
	return q.window != nil && q.window.limit == c.Limit && q.window.list == c.list()
}

// list is the same for windows on one list.
func (c *Spec) list() string {
	text := c.View.Name + "\x00" + c.Predicate.String()
	if c.Limit > 0 {
		for _, by := range c.Order {
			text += "\x00" + by.String()
		}
	}
	return text
}

// Acquire returns the query of a spec, for one more subscription. At is the position up to which the log was handed
// to the shards: a query that is new knows nothing of what was before. Each Acquire is paid back by one Release.
func (s *Stream) Acquire(spec Spec, at func() broker.Position) *Query {
	if spec.View == nil {
		spec.View = s.Schema.View("")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	text := spec.Predicate.String()
	q := s.queries[text]
	for q != nil && !spec.of(q) {
		q = q.other
	}
	if q == nil {
		q = s.newQuery(spec, at())
		q.other = s.queries[text]
		s.queries[text] = q
	}
	s.idle.take(q)
	q.refs++
	q.Caller = spec.Caller
	return q
}

func (s *Stream) newQuery(spec Spec, since broker.Position) *Query {
	if !s.resolved.IsZero() && !since.After(s.resolved) {
		since = s.resolved // the hub is in the middle of a batch
	}
	q := s.registry.newQuery("k", since)
	q.stream, q.View, q.Predicate = s, spec.View, spec.Predicate
	switch {
	case spec.Count:
		q.counter, s.unsure[q] = &counter{}, 1
	case spec.Limit > 0:
		q.window = newWindow(s.Schema, spec.Order, spec.Limit)
		q.window.list = spec.list()
		s.windows[q.window.list] = append(s.windows[q.window.list], q)
	}
	s.index.Insert(&q.entry, spec.Predicate, q)
	return q
}

// all yields every query.
func (s *Stream) all(yield func(*Query) bool) {
	for _, q := range s.queries {
		for ; q != nil; q = q.other {
			if !yield(q) {
				return
			}
		}
	}
}

// Release pays an Acquire back. A query that nobody refers to stays for Expire to remove: a client that polls, or that
// reconnects, finds it again.
func (s *Stream) Release(q *Query) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.refs--; q.refs == 0 {
		s.idle.put(q)
	}
}

// Expire removes the queries that nobody has referred to since a moment.
func (s *Stream) Expire(before time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for q := s.idle.before(before); q != nil; q = s.idle.before(before) {
		s.remove(q)
	}
}

// remove forgets a query.
func (s *Stream) remove(q *Query) {
	s.index.Remove(&q.entry)
	if q.window != nil {
		s.close(q)
	}
	if q.counter != nil {
		delete(s.unsure, q)
	}
	text := q.Predicate.String()
	first := s.queries[text]
	if first != q {
		for first.other != q {
			first = first.other
		}
		first.other = q.other
		return
	}
	delete(s.queries, text) // with the text, which is the query's
	if q.other != nil {
		s.queries[q.other.Predicate.String()] = q.other
	}
}

// Read is one row that a list returned.
type Read struct {
	Key     string
	Version *int64
	Row     where.Row
	// Values are the row's fields, for windows.
	Values []json.RawMessage
}

// Resolve turns a record into a change, in the order of the log: each record of the log once.
func (s *Stream) Resolve(r *record.Change, at broker.Position) (*Change, error) {
	c, err := s.change(r, at)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.bulk != nil {
		s.rows.bulk(c.bulk, at)
		s.resolved = at
		return c, nil
	}
	if r.Op == record.Delete && s.rows.states[r.Key] == nil {
		c.outrank(at)
	}
	s.rows.resolve(c, r, at)
	if s.resolved = at; c.wasUnknown {
		s.unknown = at
	}
	return c, nil
}

// watched reports whether some query's predicate matches a row.
func (s *Stream) watched(row where.Row) bool {
	found := false
	if row != nil {
		s.index.Match(nil, row, func(*Query, bool, bool) { found = true })
	}
	return found
}

// Reset forgets what the log told: it was lost or replaced.
func (s *Stream) Reset(at broker.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.resolved, s.unknown, s.began = newRows(), at, broker.Position{}, at
	for q := range s.all {
		q.since, q.touched, q.primed = at, at, nil
		if q.window != nil {
			q.window.unload()
		}
		if q.counter != nil {
			q.counter.known = false
		}
	}
}

// change decodes a record.
func (s *Stream) change(r *record.Change, at broker.Position) (*Change, error) {
	c := &Change{
		stream: s, key: r.Key, op: r.Op, number: r.Version, mutation: r.Mutation, by: r.By,
	}
	if r.Version != nil {
		c.version = strconv.AppendInt(nil, *r.Version, 10)
	} else {
		c.version = record.AppendVersion(nil, nil, at.String())
	}
	var err error
	if r.Op == record.Bulk {
		if c.bulk, err = s.Schema.filter(r.Where); err != nil {
			return nil, fmt.Errorf("router %s, of many rows: %w", r.Router, err)
		}
		return c, nil
	}
	if r.Now != nil {
		c.values = s.Schema.Values(r.Now)
		if c.now, err = s.Schema.Row(c.values); err != nil {
			return nil, fmt.Errorf("router %s, key %s: %w", r.Router, r.Key, err)
		}
	}
	if r.Was != nil {
		if c.was, err = s.Schema.Row(s.Schema.Values(r.Was)); err != nil {
			return nil, fmt.Errorf("router %s, key %s: %w", r.Router, r.Key, err)
		}
	}
	if r.Changed != nil {
		c.after = s.Schema.versionOf(r.Was)
		c.changed = make([]bool, len(s.Schema.Fields))
		for _, name := range r.Changed {
			if i, ok := s.Schema.byName[name]; ok {
				c.changed[i] = true
			}
		}
	}
	if r.Version == nil && c.changed != nil {
		c.silent = s.Schema.silent(c.changed)
	}
	return c, nil
}

// Stats is what a stream holds.
type Stats struct{ Queries, Rows int }

// Stats returns what the stream holds.
func (s *Stream) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{s.index.Len(), len(s.rows.states)}
}
