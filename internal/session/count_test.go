package session_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// counting is a hub whose subscriptions are to the number of rows.
type counting struct{ *hub }

// counts makes the hub's subscriptions ones to the number of rows.
func (h *hub) counts() {
	h.env.App = counting{h}
	h.stream.Fetch = func(q *livequery.Query) { h.ended.Go(func() { h.count(q) }) }
}

func (h counting) Subscribe(_ context.Context, m wire.Message) (session.Source, error) {
	p, err := h.bind(m.Where)
	if err != nil {
		return session.Source{}, err
	}
	q := h.stream.Acquire(livequery.Spec{Predicate: p, Count: true}, h.engine.Position)
	return session.Source{
		Query: q, Release: func() { h.stream.Release(q) },
		Load: func(context.Context, broker.Position, bool) (session.Loaded, error) {
			h.count(q)
			n, at := h.stream.Count(q)
			return session.Loaded{At: at, Listing: wire.Listing{Count: &n}}, nil
		},
	}, nil
}

// count counts a query's rows for all who watch it.
func (h *hub) count(q *livequery.Query) {
	at := h.engine.Position()
	n := int64(len(h.list(q.Predicate)))
	h.engine.Settle(func(now broker.Position) *livequery.Delivery { return h.stream.Counted(q, n, at, now) })
}

func (h *hub) wantCount(feed *mirror.Feed, filter string) {
	h.t.Helper()
	p, err := h.bind([]byte(filter))
	if err != nil {
		h.t.Fatal(err)
	}
	if want := int64(len(h.list(p))); feed.Count == nil || *feed.Count != want {
		h.t.Errorf("it shows %v, and there are %d", *feed.Count, want)
	}
}

// ahead stores a row in a box without a word on the log, and returns what remains to be published.
func (h *hub) ahead(id, box int64) *record.Change {
	return h.commit(id, func(r thing) *thing { r.box = box; return &r })
}

// The database may be ahead of the log: then two counts as of one position differ. Who has the first, and comes to watch after the second, is
// told the second at the latest when the log says that a row came.
func TestTwoCountsAsOfOnePosition(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.counts()
		h.mustPut(1, 1)
		synctest.Wait()
		c := h.client()
		feed := c.subscribe(1, `{"box":1}`) // it has its answer, and has not taken it
		synctest.Wait()
		unpublished := h.ahead(2, 1)
		other := h.client()
		later := other.subscribe(1, `{"box":1}`)
		other.drain()
		h.wantCount(later, `{"box":1}`)
		c.drain()
		if _, err := h.publish(unpublished); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.drain()
		h.wantCount(feed, `{"box":1}`)
	})
}

// The same between two hubs: the one to which a client comes has counted a row that the log does not tell of yet, and the one from which it
// comes had not.
func TestACountThatIsAheadOfTheLogAtTheNextHub(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.counts()
		h.mustPut(1, 1)
		synctest.Wait()
		c := h.client()
		feed := c.subscribe(1, `{"box":1}`)
		c.drain()
		next := newHubOn(t, &flaky{Broker: h.broker.Broker}, h.store, options{})
		defer next.close()
		next.counts()
		synctest.Wait()
		unpublished := h.ahead(2, 1)
		other := next.client()
		other.subscribe(1, `{"box":1}`)
		other.drain()
		c.session.Close()
		c.hub = next
		c.reconnect()
		c.subscribe(1, `{"box":1}`)
		c.drain()
		if _, err := h.publish(unpublished); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.drain()
		next.wantCount(feed, `{"box":1}`)
		if told := c.told(); told != "snapshot resumed count" {
			t.Errorf("it was told %s", told)
		}
	})
}

// A publisher need not say what the row was, and a hub that only counts rows has never heard of it: it counts anew.
func TestARowThatLeavesACountUnheardOf(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		next := newHubOn(t, &flaky{Broker: h.broker.Broker}, h.store, options{})
		defer next.close()
		next.counts()
		synctest.Wait()
		c := next.client()
		feed := c.subscribe(1, `{"box":1}`)
		c.drain()
		moved := h.ahead(1, 2)
		moved.Op, moved.Was, moved.Changed = record.Put, nil, nil
		if _, err := h.publish(moved); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.drain()
		next.wantCount(feed, `{"box":1}`)
	})
}
