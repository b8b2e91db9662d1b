package livequery

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/where"
)

// thing is a row of the tests' model. Box can be filtered on, note cannot.
type thing struct {
	id, box, version int64
	note             string
}

func (r thing) key() string { return strconv.FormatInt(r.id, 10) }

func (r thing) fields() record.Fields {
	return record.Fields{
		"id": json.RawMessage(r.key()), "box": fmt.Appendf(nil, "%d", r.box),
		"note": fmt.Appendf(nil, "%q", r.note), "version": fmt.Appendf(nil, "%d", r.version),
	}
}

func (r thing) matched() record.Fields {
	f := r.fields()
	delete(f, "note")
	return f
}

// change makes a record; was or now is nil where the row did not or does not exist, or is not known.
func change(op record.Op, was, now *thing) record.Change {
	c := record.Change{Router: "things", Op: op}
	for _, r := range []*thing{was, now} {
		if r != nil {
			version := r.version
			c.Key, c.Version = r.key(), &version
		}
	}
	if was != nil {
		c.Was = was.matched()
	}
	if now != nil {
		c.Now = now.fields()
	}
	if was != nil && now != nil {
		c.Changed = []string{}
		for name, value := range now.fields() {
			if string(was.fields()[name]) != string(value) {
				c.Changed = append(c.Changed, name)
			}
		}
	}
	return c
}

func created(now thing) record.Change      { return change(record.Create, nil, &now) }
func updated(was, now thing) record.Change { return change(record.Update, &was, &now) }
func put(now thing) record.Change          { return change(record.Put, nil, &now) }
func deleted(was thing) record.Change      { return change(record.Delete, &was, nil) }

// unversioned takes a record's version away.
func unversioned(c record.Change) record.Change { c.Version = nil; return c }

// at is the n-th position of the tests' log.
func at(n int) broker.Position { return broker.Position{Epoch: 77, Major: uint64(n)} }

func newStream(t testing.TB) *Stream {
	t.Helper()
	matchable, err := where.NewSchema(
		where.Field{Name: "id", Type: where.Int, Filter: true},
		where.Field{Name: "box", Type: where.Int, Filter: true},
		where.Field{Name: "version", Type: where.Int, Filter: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	fields := []Field{{Name: "id", Published: true}, {Name: "box", Published: true}, {Name: "note", Published: true}, {Name: "version", Published: true, Version: true}}
	schema, err := NewSchema("things", fields, matchable)
	if err != nil {
		t.Fatal(err)
	}
	return NewStream(new(Registry), schema)
}

func (s *Stream) bind(t testing.TB, filter string) *where.Predicate {
	t.Helper()
	w, err := where.ParseJSON([]byte(filter), where.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Schema.Where.Bind(w)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// hub is a stream with a log, and clients that are told at once what happens.
type hub struct {
	t       testing.TB
	stream  *Stream
	log     []*Entry
	clients []*watcher
}

// watcher is a live client of one query.
type watcher struct {
	*mirror.Client
	feed   *mirror.Feed
	query  *Query
	unsure bool
	// told are the ops as they came, and "unknown" and "unreadable".
	told []string
}

func newHub(t testing.TB) *hub { return &hub{t: t, stream: newStream(t)} }

func (h *hub) position() broker.Position { return at(len(h.log)) }

func (h *hub) acquire(filter string) *Query {
	return h.stream.Acquire(Spec{Predicate: h.stream.bind(h.t, filter)}, h.position)
}

// watch subscribes to a filter, with a snapshot of the rows given.
func (h *hub) watch(filter string, rows ...thing) *watcher {
	w := &watcher{Client: mirror.New(), query: h.acquire(filter)}
	w.feed = &mirror.Feed{Answered: true, Query: w.query.ID, Cursor: h.position().String(), Rows: map[string]mirror.Row{}}
	w.Feeds[1] = w.feed
	h.stream.Prime(w.query, h.reads(rows...), h.stream.Reading(h.position()))
	for _, r := range rows {
		w.hold(r)
	}
	h.clients = append(h.clients, w)
	return w
}

// resume subscribes to a filter as a client of another hub does that holds the rows given.
func (h *hub) resume(filter string, rows ...thing) *watcher {
	w := &watcher{Client: mirror.New(), query: h.acquire(filter), unsure: true}
	w.feed = &mirror.Feed{Answered: true, Query: w.query.ID, Cursor: h.position().String(), Rows: map[string]mirror.Row{}}
	w.Feeds[1] = w.feed
	for _, r := range rows {
		w.hold(r)
	}
	h.stream.Unsure(w.query, 1)
	h.clients = append(h.clients, w)
	return w
}

func (w *watcher) hold(r thing) {
	w.feed.Rows[r.key()] = mirror.Row{Key: r.key(), Version: fmt.Appendf(nil, "%d", r.version), Fields: r.fields()}
}

func (h *hub) reads(rows ...thing) []Read {
	var reads []Read
	for _, r := range rows {
		row, err := h.stream.Schema.Row(h.stream.Schema.Values(r.fields()))
		if err != nil {
			h.t.Fatal(err)
		}
		reads = append(reads, Read{Key: r.key(), Version: &r.version, Row: row})
	}
	return reads
}

// publish appends one entry and tells the clients.
func (h *hub) publish(changes ...record.Change) {
	h.t.Helper()
	for _, d := range h.match(changes...) {
		for _, w := range h.clients {
			if w.query == d.Query {
				w.deliver(h.t, d)
			}
		}
	}
}

func (w *watcher) deliver(t testing.TB, d *Delivery) {
	t.Helper()
	if d.Unreadable {
		w.told = append(w.told, "unreadable")
		return
	}
	if d.Unknown && w.unsure {
		w.told = append(w.told, "unknown")
		return
	}
	if d.Empty() {
		return
	}
	for _, p := range d.parts {
		w.told = append(w.told, ops[p.verdict]+" "+p.change.key)
	}
	if err := w.Receive(d.Frame(w.query.ID).Data); err != nil {
		t.Fatal(err)
	}
}

// holds checks the client's rows.
func (w *watcher) holds(t testing.TB, rows ...thing) {
	t.Helper()
	want := map[string]string{}
	for _, r := range rows {
		want[r.key()] = fmt.Sprint(r.box, r.note, r.version)
	}
	got := map[string]string{}
	for key, r := range w.feed.Rows {
		var note string
		_ = json.Unmarshal(r.Fields["note"], &note)
		got[key] = fmt.Sprint(string(r.Fields["box"]), note, string(r.Fields["version"]))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: holds %v, want %v; was told %v", w.query.Predicate, got, want, w.told)
	}
}

// was checks what the client was told since the last check.
func (w *watcher) was(t testing.TB, told ...string) {
	t.Helper()
	if fmt.Sprint(w.told) != fmt.Sprint(told) {
		t.Errorf("%s: was told %v, want %v", w.query.Predicate, w.told, told)
	}
	w.told = nil
}

// window acquires one of all rows and gives it those that a list returned, with the place up to which the list was read, nil when it has all.
func (h *hub) window(order string, limit int, last where.Row, rows ...thing) *Query {
	h.t.Helper()
	by, err := where.ParseOrder(order)
	if err != nil {
		h.t.Fatal(err)
	}
	q := h.stream.Acquire(Spec{Predicate: h.stream.bind(h.t, `{}`), Order: by, Limit: limit}, h.position)
	page := Page{Rows: h.reads(rows...), At: h.position(), Last: last}
	for i, r := range rows {
		page.Rows[i].Values = h.stream.Schema.Values(r.fields())
	}
	h.stream.Prime(q, page.Rows, h.stream.Reading(h.position()))
	if _, ok := h.stream.Fill(q, page, nil, h.position()); !ok {
		h.t.Fatal("not filled")
	}
	return q
}

// match appends one entry and returns what queries are told.
func (h *hub) match(changes ...record.Change) []*Delivery {
	h.t.Helper()
	e := &Entry{Position: at(len(h.log) + 1)}
	for i := range changes {
		c, err := h.stream.Resolve(&changes[i], e.Position)
		if err != nil {
			h.t.Fatal(err)
		}
		e.Changes = append(e.Changes, c)
	}
	h.log = append(h.log, e)
	return h.stream.Match(e, broker.Position{}, nil)
}
