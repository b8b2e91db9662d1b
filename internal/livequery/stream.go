package livequery

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/index"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/where"
)

// Registry makes the queries of a hub: it numbers them and knows how many shards their members are spread over.
type Registry struct {
	shards int
	last   atomic.Uint64
}

// NewRegistry returns a registry for a number of shards.
func NewRegistry(shards int) *Registry { return &Registry{shards: shards} }

func (r *Registry) newQuery(prefix string, since broker.Position) *Query {
	return &Query{
		ID:    prefix + strconv.FormatUint(r.last.Add(1), 36),
		since: since, touched: since,
		members: make([][]Member, r.shards),
	}
}

// Stream is the live side of one router. Its methods may be called by any goroutine.
type Stream struct {
	Schema   *Schema
	registry *Registry
	// Fetch has a window's rows read, or a counter's counted. It is set before the stream is used, and must not wait: it is
	// called with the stream's lock held.
	Fetch func(*Query)

	mu      sync.Mutex
	index   *index.Index[*Query]
	queries map[string]*Query
	// windows are the windows on each list, of whatever limits.
	windows map[string][]*Query
	// unsure counts, for each query, the members that resumed from a cursor and may hold rows that this hub never saw.
	unsure map[*Query]int
	rows   rows
	// resolved is the position of the last entry that changed a row; unknown, of the last whose earlier state nobody here
	// knew; began, that from which on the log is known.
	resolved, unknown, began broker.Position
}

// NewStream returns the stream of a router.
func NewStream(r *Registry, s *Schema) *Stream {
	return &Stream{
		Schema: s, registry: r,
		index:   index.New[*Query](s.Where),
		queries: map[string]*Query{},
		windows: map[string][]*Query{},
		unsure:  map[*Query]int{},
		rows:    newRows(),
	}
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

// name tells queries apart.
func (c *Spec) name() string {
	switch {
	case c.Count:
		return c.list() + "\x00count"
	case c.Limit > 0:
		return c.list() + "\x00" + strconv.Itoa(c.Limit)
	}
	return c.list()
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
	name := spec.name()
	q := s.queries[name]
	if q == nil {
		since := at()
		if !s.resolved.IsZero() && !since.After(s.resolved) {
			since = s.resolved // the hub is in the middle of a batch
		}
		q = s.registry.newQuery("k", since)
		q.stream, q.View, q.Predicate = s, spec.View, spec.Predicate
		switch {
		case spec.Count:
			q.counter = &counter{}
		case spec.Limit > 0:
			q.window = newWindow(s.Schema, spec.Order, spec.Limit)
			q.window.list = spec.list()
			s.windows[q.window.list] = append(s.windows[q.window.list], q)
		}
		q.handle = s.index.Add(spec.Predicate, q)
		s.queries[name] = q
	}
	q.refs++
	q.Caller = spec.Caller
	return q
}

// Release pays an Acquire back. A query that nobody refers to stays for Expire to remove: a client that polls, or that
// reconnects, finds it again.
func (s *Stream) Release(q *Query) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.refs--; q.refs == 0 {
		q.idle = time.Now()
	}
}

// Expire removes the queries that nobody has referred to since a moment.
func (s *Stream) Expire(before time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, q := range s.queries {
		if q.refs == 0 && q.idle.Before(before) {
			s.index.Remove(q.handle)
			delete(s.queries, key)
			if q.window != nil {
				s.close(q)
			}
		}
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

// Prime notes the rows that a list for the query returned, read after the position.
func (s *Stream) Prime(q *Query, list []Read, at broker.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range list {
		s.rows.note(r.Key, r.Version, r.Row, at)
	}
	current := s.began.IsZero() || s.began.Epoch == at.Epoch && !s.began.After(at) // else the log was lost meanwhile
	if q.primed.IsZero() && current {
		q.primed = at
		if s.resolved.After(at) { // what came by meanwhile was resolved without these rows
			q.primed = s.resolved
		}
	}
}

// Unsure adds to the number of a query's members that may hold rows which this hub never saw. While there are such, a
// change whose earlier state nobody knows is told to the query as unknown.
func (s *Stream) Unsure(q *Query, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsure[q] += n; s.unsure[q] == 0 {
		delete(s.unsure, q)
	}
}

// PrimedBefore reports whether this hub knows every row that a subscription with this cursor can hold: a list was loaded
// before it, and all that followed was matched.
func (s *Stream) PrimedBefore(q *Query, cursor broker.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return q.primedBefore(cursor)
}

func (q *Query) primedBefore(p broker.Position) bool {
	return !q.primed.IsZero() && q.primed.Epoch == p.Epoch && !q.primed.After(p)
}

// UnchangedSince reports whether it is certain that nothing concerned the query after the position.
func (s *Stream) UnchangedSince(q *Query, p broker.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.since.Epoch != p.Epoch || q.since.After(p) || q.touched.After(p) || q.counter != nil && q.stale() {
		return false
	}
	return !s.unknown.After(p) || q.primedBefore(p)
}

// Tag names a query for caches: the same text for the same view and predicate on every hub, telling nothing of it.
func (q *Query) Tag() string { return Tag(q.stream.Schema, q.View.Name, q.Predicate) }

// Tag names the rows that a predicate matches, in a view.
func Tag(s *Schema, view string, p *where.Predicate) string {
	sum := sha256.Sum256([]byte(s.Router + "\x00" + view + "\x00" + p.String()))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
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

// Match tells the queries that an entry concerns. It is called once for each entry, in order, after Resolve. Oldest is the
// oldest position whose changes may still be followed by ones that were published too late.
func (s *Stream) Match(e *Entry, oldest broker.Position, out []*Delivery) []*Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := len(out)
	tell := func(q *Query, c *Change, v Verdict) {
		if q.window == nil { // a window takes all of it, and tells what is left
			v = c.within(q.View, v)
		}
		if v == Nothing || q.counter != nil && v == Update {
			return
		}
		if q.counter != nil {
			q.touched = e.Position
			s.recount(q)
			return
		}
		if q.telling == nil {
			q.telling = &Delivery{Query: q, Position: e.Position}
			q.touched = e.Position
			out = append(out, q.telling)
		}
		q.telling.add(c, v)
	}
	if e.Unreadable {
		s.resolved = e.Position
		for _, q := range s.queries {
			if q.touched = e.Position; q.counter != nil {
				s.recount(q)
				continue
			}
			out = append(out, &Delivery{Query: q, Position: e.Position, Unreadable: true})
		}
	}
	for _, c := range e.Changes {
		if c.stream == s {
			s.match(c, tell)
		}
	}
	for _, d := range out[first:] {
		d.Query.telling = nil
		if w := d.Query.window; w != nil {
			w.apply(d)
			s.fetch(d.Query)
		}
	}
	s.rows.sweep(func(st *state) bool {
		return st.position.After(oldest) || !st.doubt && s.watched(st.row) ||
			slices.ContainsFunc(st.ahead, func(a reading) bool { return s.watched(a.row) })
	})
	return out
}

func (s *Stream) match(c *Change, tell func(*Query, *Change, Verdict)) {
	if c.bulk != nil {
		for _, q := range s.queries {
			tell(q, c, c.overlap(q.Predicate))
		}
		return
	}
	if c.others != nil {
		// Rare: publisher, hub and lists differ on what the row was. Judge each candidate by all rows.
		seen := map[*Query]struct{}{}
		collect := func(q *Query, _, _ bool) { seen[q] = struct{}{} }
		s.index.Match(c.was, c.now, collect)
		for _, row := range c.others {
			s.index.Match(row, nil, collect)
		}
		for q := range seen {
			tell(q, c, c.verdict(q.Predicate))
		}
		return
	}
	s.index.Match(c.was, c.now, func(q *Query, was, now bool) { tell(q, c, c.judge(was, false, now)) })
	if c.wasUnknown {
		for q := range s.unsure {
			if v := c.verdict(q.Predicate); v == Unknown {
				tell(q, c, v)
			}
		}
	}
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
	for _, q := range s.queries {
		q.since, q.touched, q.primed = at, at, broker.Position{}
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
		stream: s, key: r.Key, op: r.Op, number: r.Version, mutation: r.Mutation,
		version: record.AppendVersion(nil, r.Version, at.String()),
	}
	var err error
	if r.Op == record.Bulk {
		if c.bulk, err = s.Schema.filter(r.Where); err != nil {
			return nil, fmt.Errorf("router %s, of many rows: %w", r.Router, err)
		}
		return c, nil
	}
	if r.Now != nil {
		c.values = s.Schema.values(r.Now)
		if c.now, err = s.Schema.Row(c.values); err != nil {
			return nil, fmt.Errorf("router %s, key %s: %w", r.Router, r.Key, err)
		}
	}
	if r.Was != nil {
		if c.was, err = s.Schema.Row(s.Schema.values(r.Was)); err != nil {
			return nil, fmt.Errorf("router %s, key %s: %w", r.Router, r.Key, err)
		}
	}
	if r.Changed != nil {
		c.changed = make([]bool, len(s.Schema.Fields))
		for _, name := range r.Changed {
			if i, ok := s.Schema.byName[name]; ok {
				c.changed[i] = true
			}
		}
	}
	c.views = make([]viewed, len(s.Schema.views))
	for i, v := range s.Schema.views {
		c.views[i].silent = r.Version == nil && c.changed != nil && !v.any(c.changed)
	}
	return c, nil
}

// Stats is what a stream holds.
type Stats struct{ Queries, Rows int }

// Stats returns what the stream holds.
func (s *Stream) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{len(s.queries), len(s.rows.states)}
}
