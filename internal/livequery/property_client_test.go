package livequery

import (
	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
)

// client is one client with one subscription, on its way.
type client struct {
	feed   *mirror.Feed
	all    *mirror.Client
	filter string
	node   *node // nil when it is away
	query  *Query
	mark   string // of its snapshot
	unsure bool
	live   bool
	held   map[string]struct{}
	old    *Backfill
	upto   int // the entries that it was told
	list   []thing
	listed int // 0: no snapshot is under way; 1: acquired; 2: read
	listAt int
	// reading is when the list began to be read.
	reading Reading
}

// disturb takes a live client away, or lets it overflow.
func (w *world) disturb(c *client) {
	if w.rand.IntN(2) == 0 {
		c.live = false
		w.note("%s is slow at %d", w.who(c), c.upto)
		return // it reads on from where it is
	}
	w.note("%s leaves at %d", w.who(c), c.upto)
	w.leave(c)
}

func (w *world) leave(c *client) {
	if c.unsure {
		c.node.stream.Unsure(c.query, -1)
	}
	c.node.stream.Release(c.query)
	c.node, c.live, c.unsure, c.held, c.old, c.listed = nil, false, false, nil, nil, 0
}

// advance brings a client one step on its way.
func (w *world) advance(c *client) {
	switch {
	case c.node == nil && c.feed != nil && w.rand.IntN(5) > 0:
		w.resume(c)
	case c.node == nil || c.listed > 0:
		w.snapshot(c)
	case !c.live && c.upto < len(c.node.entries):
		w.replay(c)
	case !c.live:
		if c.old.Used() && !c.unsure {
			c.unsure = true
			c.node.stream.Unsure(c.query, 1)
		}
		c.live, c.held, c.old = true, nil, nil
		w.note("%s is live at %d", w.who(c), c.upto)
	}
}

func (w *world) resume(c *client) {
	n := w.hubs[w.rand.IntN(len(w.hubs))]
	cursor, _ := broker.ParsePosition(c.feed.Cursor)
	if int(cursor.Major) > len(n.entries) {
		return
	}
	c.node, c.upto = n, int(cursor.Major)
	c.query = n.stream.Acquire(Spec{Predicate: n.stream.bind(w.t, c.filter)}, n.position)
	c.feed.Query = c.query.ID
	if c.unsure = !n.stream.Knows(c.query, cursor, c.mark); c.unsure {
		n.stream.Unsure(c.query, 1)
	}
	w.note("%s resumes at %d, unsure %v", w.who(c), c.upto, c.unsure)
}

// snapshot subscribes in three steps, between which anything may happen.
func (w *world) snapshot(c *client) {
	switch c.listed {
	case 0:
		c.node = w.hubs[w.rand.IntN(len(w.hubs))]
		c.query = c.node.stream.Acquire(Spec{Predicate: c.node.stream.bind(w.t, c.filter)}, c.node.position)
		c.listAt = len(c.node.entries)
		c.listed = 1
	case 1:
		c.list, c.reading = nil, c.node.stream.Reading(at(c.listAt))
		for _, r := range w.rows {
			if w.sees(c, r) {
				c.list = append(c.list, r)
			}
		}
		c.listed = 2
		w.note("%s read %v", w.who(c), c.list)
	case 2:
		h := &hub{t: w.t, stream: c.node.stream}
		c.mark = c.node.stream.Prime(c.query, h.reads(c.list...), c.reading)
		c.feed = &mirror.Feed{Answered: true, Query: c.query.ID, Cursor: at(c.listAt).String(), Rows: map[string]mirror.Row{}}
		c.all = mirror.New()
		c.all.Feeds[1] = c.feed
		c.held = map[string]struct{}{}
		for _, r := range c.list {
			(&watcher{feed: c.feed}).hold(r)
			c.held[r.key()] = struct{}{}
		}
		c.upto, c.listed = c.listAt, 0
		w.note("%s has a snapshot at %d", w.who(c), c.listAt)
	}
}

func (w *world) sees(c *client, r thing) bool {
	h := &hub{t: w.t, stream: c.node.stream}
	return c.query.Predicate.Match(h.reads(r)[0].Row)
}

// replay tells a client that catches up the next entry: from memory, or from the broker.
func (w *world) replay(c *client) {
	e := c.node.entries[c.upto]
	if c.upto < c.node.base {
		if c.old == nil {
			c.old = c.node.stream.Backfill()
			remember(w.log, c.old, c.node.stream, max(c.node.began, c.upto-lookback), c.upto)
		}
		e = &Entry{Position: e.Position}
		for i := range w.log[c.upto] {
			change, err := c.old.Resolve(c.node.stream, &w.log[c.upto][i], e.Position)
			if err != nil {
				w.t.Fatal(err)
			}
			e.Changes = append(e.Changes, change)
		}
	}
	c.upto++
	if d := c.query.Replay(e, Knowledge{Held: c.held, Sure: !c.unsure, Old: c.old}); d != nil {
		w.tell(c, d, true)
	}
	if c.node != nil && c.listed == 0 {
		c.feed.Cursor = e.Position.String()
	}
}

// lookback is how many entries before its place a client that reads old history knows of, as the engine has it.
const lookback = 64

// remember has a way through old history know of what was before it.
func remember(log [][]record.Change, old *Backfill, s *Stream, from, upto int) {
	for i := from; i < upto; i++ {
		for n := range log[i] {
			old.Remember(s, &log[i][n], at(i+1))
		}
	}
}

// tell hands a delivery to a client; it subscribes anew when nobody knows what happened.
func (w *world) tell(c *client, d *Delivery, unsure bool) {
	if d.Unreadable || d.Unknown && unsure {
		w.resyncs++
		w.note("%s resyncs at %d", w.who(c), d.Position.Major)
		w.leave(c)
		c.feed = nil
		return
	}
	if d.Empty() {
		return
	}
	w.note("%s is told %s", w.who(c), d.Frame(c.query.ID).Data)
	if c.held != nil {
		d.Keys(func(key string) { c.held[key] = struct{}{} })
	}
	if err := c.all.Receive(d.Frame(c.query.ID).Data); err != nil {
		w.t.Fatal(err)
	}
}

// check compares what a client holds with the database.
func (w *world) check(c *client) {
	var rows []thing
	for _, r := range w.rows {
		if w.sees(c, r) {
			rows = append(rows, r)
		}
	}
	(&watcher{Client: c.all, feed: c.feed, query: c.query}).holds(w.t, rows...)
}
