package session_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// windowed is a hub whose subscriptions are to the first rows by id. Its windows have all rows that there are, so none is ever refilled.
type windowed struct {
	*hub
	// prepare, unless nil, is asked whether a window is prepared.
	prepare func() bool
}

func (h windowed) Subscribe(_ context.Context, m wire.Message) (session.Source, error) {
	order, err := where.ParseOrder("id")
	if err != nil {
		return session.Source{}, err
	}
	p, err := h.bind(nil)
	if err != nil {
		return session.Source{}, err
	}
	q := h.stream.Acquire(livequery.Spec{Predicate: p, Order: order, Limit: m.Limit}, h.engine.Position)
	source := session.Source{
		Query: q, Release: func() { h.stream.Release(q) },
		Load: func(context.Context, broker.Position, bool) (session.Loaded, error) { return h.first(q, p, m.Limit) },
		Prepare: func(context.Context) error {
			if h.prepare != nil && !h.prepare() || h.stream.Loaded(q) {
				return nil
			}
			_, err := h.first(q, p, m.Limit)
			return err
		},
	}
	if m.Bound != nil {
		source.Edge, err = h.stream.Schema.Where.RowJSON(order, [][]byte{m.Bound[0]})
	}
	return source, err
}

// first reads the list for a window and gives it to it.
func (h windowed) first(q *livequery.Query, p *where.Predicate, limit int) (session.Loaded, error) {
	at := h.engine.Position()
	all, more := h.list(p), false
	page := livequery.Page{At: at}
	loaded := session.Loaded{At: at, Listing: wire.Listing{Order: "id", More: &more, Rows: []byte{}}}
	for i, r := range all {
		row, err := h.stream.Schema.Row(h.values(r))
		if err != nil {
			return loaded, err
		}
		page.Rows = append(page.Rows, livequery.Read{Key: r.key(), Version: &r.version, Row: row, Values: h.values(r)})
		if more = i >= limit; more {
			continue
		}
		if i > 0 {
			loaded.Listing.Rows = append(loaded.Listing.Rows, ',')
		}
		loaded.Listing.Rows = q.View.AppendRow(loaded.Listing.Rows, "", r.key(), fmt.Append(nil, r.version), h.values(r), nil)
		loaded.Keys = append(loaded.Keys, r.key())
		if i == limit-1 {
			loaded.Edge = row
		}
	}
	h.stream.Prime(q, page.Rows, h.stream.Reading(at))
	filled := false
	h.engine.Settle(func(now broker.Position) (d *livequery.Delivery) {
		if since, ok := h.engine.Window(at, math.MaxInt); ok {
			d, filled = h.stream.Fill(q, page, since, now)
			loaded.Fills = h.stream.Fills(q)
		}
		return d
	})
	if !filled {
		return loaded, fmt.Errorf("the window cannot be filled as of %s", at)
	}
	return loaded, nil
}

// window subscribes to the first rows, after the cursor and up to the bound that the client holds under the id, if it does.
func (c *client) window(id int64, limit int) *mirror.Feed {
	c.t.Helper()
	what := fmt.Sprintf(`"router":"things","limit":%d`, limit)
	if feed := c.Feeds[id]; feed == nil {
		c.Feeds[id] = &mirror.Feed{Window: mirror.Window{Limit: limit}}
	} else if feed.Bound != nil {
		bound, err := json.Marshal(feed.Bound)
		if err != nil {
			c.t.Fatal(err)
		}
		what += `,"bound":` + string(bound)
	}
	return c.follow(id, what)
}

// shows are the keys of the rows that a window shows.
func shows(feed *mirror.Feed) (keys []string) {
	for _, r := range feed.Shown() {
		keys = append(keys, r.Key)
	}
	return keys
}

// A window may lose its rows between the moment when it was prepared for a client that resumes and the one when that joins it: then they are
// read again. Only if that is in vain is the client resynced.
func TestAWindowThatIsLostBeforeItIsJoinedIsReadAgain(t *testing.T) {
	for name, test := range map[string]struct {
		lost    int // times
		resyncs []string
	}{"once": {1, nil}, "as often as it is read": {4, []string{"unknown"}}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, h *hub) {
				asked := 0
				h.env.App = windowed{hub: h, prepare: func() bool { asked++; return asked > test.lost }}
				h.mustPut(1, 0)
				h.mustPut(2, 0)
				synctest.Wait()
				c := h.client()
				first := c.window(1, 2)
				c.drain()
				c.reconnect()
				time.Sleep(time.Hour) // of the bubble: nobody follows the window any more, and it is gone
				h.mustPut(3, 0)
				h.mustPut(0, 0)
				c.window(1, 2)
				c.drain()
				resyncs(t, first, test.resyncs...)
				if got := shows(first); !slices.Equal(got, []string{"0", "1"}) {
					t.Errorf("it shows %v, want 0 and 1", got)
				}
				if want := min(test.lost, 3) + 1; asked != want {
					t.Errorf("it was prepared %d times, want %d", asked, want)
				}
			})
		})
	}
}

// TestAMemberThatDiffersFromItsWindowFallsBehind lets a client that came by the log follow a window that was ahead of it: the window has lost
// a row, or holds one, of which the log tells only when the client is behind once more. Then nobody but the client knows up to
// where it holds every row, and it is to end with what the database has.
func TestAMemberThatDiffersFromItsWindowFallsBehind(t *testing.T) {
	ahead := map[string]func(*hub) *record.Change{
		"of a delete": func(h *hub) *record.Change { return h.commit(2, func(thing) *thing { return nil }) },
		"of a create": func(h *hub) *record.Change { return h.commit(0, func(r thing) *thing { return &r }) },
	}
	fall := map[string]func(*hub){
		"rechecked": (*hub).recheck,
		"overflown": func(h *hub) { // its queue is dropped with what makes it too long
			for range 3 {
				h.mustPut(1, 0)
			}
		},
	}
	for what, write := range ahead {
		for how, fall := range fall {
			for then, leaves := range map[string]bool{"stays": false, "leaves": true} {
				t.Run(what+", "+how+", "+then, func(t *testing.T) {
					inBubble(t, options{queue: 600}, func(t *testing.T, h *hub) {
						h.env.App = windowed{hub: h}
						fallBehind(t, h, write, fall, leaves)
					})
				})
			}
		}
	}
}

// fallBehind has a client resume a window that a write put ahead of the log, and fall behind. If it leaves, it takes only a part of what it
// is told then, and goes on elsewhere by what it holds.
func fallBehind(t *testing.T, h *hub, write func(*hub) *record.Change, fall func(*hub), leaves bool) {
	for id := range int64(6) {
		h.mustPut(id+1, 0)
	}
	synctest.Wait()
	c := h.client()
	c.tagged = true // as clients do
	feed := c.window(1, 3)
	c.drain()
	c.session.Close()
	unsent := write(h)
	other := h.client()
	newest := other.window(1, 3)
	other.drain()
	c.reconnect()
	c.window(1, 3)
	c.drain()
	fall(h)
	if _, err := h.publish(unsent); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	if leaves {
		frames, err := c.session.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.take(frames)
		c.reconnect()
		c.window(1, 3)
	}
	c.drain()
	other.drain()
	p, err := h.bind(nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, r := range h.list(p)[:3] {
		want = append(want, r.key())
	}
	if got := shows(feed); !slices.Equal(got, want) || len(feed.Resyncs) > 0 {
		t.Errorf("it shows %v after the resyncs %v, want %v", got, feed.Resyncs, want)
	}
	if got := shows(newest); !slices.Equal(got, want) {
		t.Errorf("who came last shows %v, want %v", got, want)
	}
}

// A window whose rights are evaluated anew and are the same is told nothing if nothing happened to it, what did if it was little, and its rows
// are read anew if it was more than can be told.
func TestARecheckedWindowIsToldWhatItMissed(t *testing.T) {
	created := func(from, to int64) func(*hub) []*record.Change {
		return func(h *hub) (changes []*record.Change) {
			for id := from; id < to; id++ {
				changes = append(changes, h.commit(id, func(r thing) *thing { return &r }))
			}
			return changes
		}
	}
	for name, missed := range map[string]struct {
		write func(*hub) []*record.Change
		told  string
		ops   []string
	}{
		"nothing":               {created(0, 0), "", nil},
		"rows beyond":           {created(10, 20), "", nil},
		"a new row":             {created(0, 1), "change", []string{"create 0", "enter 1", "enter 2"}},
		"a row that goes":       {func(h *hub) []*record.Change { return []*record.Change{h.commit(2, func(thing) *thing { return nil })} }, "change", []string{"delete 2", "enter 1", "enter 3", "enter 4"}},
		"more than can be told": {created(10, 10+5000), "resync change", nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, h *hub) {
				h.env.App = windowed{hub: h}
				for id := range int64(6) {
					h.mustPut(id+1, 0)
				}
				synctest.Wait()
				c := h.client()
				feed := c.window(1, 3)
				c.drain()
				c.told()
				feed.Ops = nil
				h.recheck()
				if _, err := h.publish(missed.write(h)...); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				c.drain()
				if got := c.told(); got != missed.told || !slices.Equal(feed.Ops, missed.ops) {
					t.Errorf("told %q, %v; want %q, %v", got, feed.Ops, missed.told, missed.ops)
				}
				h.mustPut(1, 1)
				c.drain()
				if got := feed.Ops[len(feed.Ops)-1]; got != "update 1" {
					t.Errorf("then it is told %q", got)
				}
			})
		})
	}
}
