package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/internal/seed"
	"github.com/swampline/live/transport/transporttest"
)

// TestStress lets a writer that never stops change rows under clients that subscribe, drop, resume and change transport at
// random. Afterwards each client's rows equal the table's under its filter. On the way each client checks that its cursors grow, that
// a difference comes to the version that it was made for, and, on a channel whose messages are numbered, that each comes once, in
// order, and none is missing.
//
// It runs with changes whose publisher says what the row was and with such that do not, and for fewer clients with a window so
// small that resumes read from the broker, and queues that overflow.
func TestStress(t *testing.T) {
	t.Run("updated", func(t *testing.T) { stress(t, 200, live.Options{}, false) })
	t.Run("changed", func(t *testing.T) { stress(t, 200, live.Options{}, true) })
	t.Run("read from the broker", func(t *testing.T) {
		stress(t, 40, live.Options{HistoryEntries: 50, MaxQueueBytes: 8 << 10}, false)
	})
}

func stress(t *testing.T, clients int, o live.Options, unsaid bool) {
	steps, patience := 6, 2*time.Minute
	if os.Getenv("LIVE_TEST_LONG") != "" {
		steps, patience = 60, 15*time.Minute
	}
	seed, _ := seed.First(t)

	o.Logger = slog.New(slog.DiscardHandler)
	hub := live.New(o)
	table := newTable()
	items := table.router("items")
	hub.Register(items, &live.Channel{Name: "news", Subscribe: func(context.Context, string) error { return nil }})
	server := httptest.NewServer(hub)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	var writers, readers sync.WaitGroup
	var done atomic.Bool
	var published atomic.Int64
	for w := range 2 {
		writers.Go(func() {
			scribble(ctx, t, rand.New(rand.NewPCG(seed, uint64(w))), table, items, hub, unsaid, w == 0, &done, &published)
		})
	}
	all := make([]*watcher, clients)
	for i := range all {
		all[i] = &watcher{
			t: t, name: fmt.Sprintf("client %d", i), rnd: rand.New(rand.NewPCG(seed, uint64(1000+i))),
			url: server.URL + "/live/", list: int64(i % 10), http: server.Client(),
		}
		readers.Go(func() { all[i].live(ctx, steps) })
	}
	readers.Wait()
	done.Store(true)
	writers.Wait()

	// Quiescence: everybody reads on until he has seen the last row of his list.
	for list := range int64(10) {
		if err := items.Created(ctx, table.insert(item{ListID: list, Title: theEnd})); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range all {
		readers.Go(func() { w.settle(ctx, table) })
	}
	readers.Wait()
	var seen, resumes, resyncs int
	for _, w := range all {
		seen, resumes, resyncs = seen+w.changes, resumes+w.resumes, resyncs+w.resyncs
	}
	t.Logf("%d publishes, %d changes received, %d resumes, %d resyncs", published.Load(), seen, resumes, resyncs)
	if seen == 0 || resumes == 0 {
		t.Error("nothing happened")
	}
	if err := hub.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	server.Close()
}

// theEnd is the title of the last row of each list.
const theEnd = "the end"

// scribble changes rows at random and tells the hub, in any of the ways that there are.
func scribble(ctx context.Context, t *testing.T, rnd *rand.Rand, table *table, items *live.Router[item], hub *live.Hub, unsaid, numbered bool, done *atomic.Bool, published *atomic.Int64) {
	check := func(err error) {
		if err != nil && ctx.Err() == nil {
			t.Errorf("publish: %v", err)
		}
		published.Add(1)
	}
	news := 0
	for n := 0; !done.Load() && ctx.Err() == nil; n++ {
		id := 1 + rnd.Int64N(200)
		switch rnd.IntN(10) {
		case 0, 1:
			check(items.Created(ctx, table.insert(item{ListID: rnd.Int64N(10), Title: "new"})))
		case 2:
			if was, err := table.remove(table.random(rnd)); err == nil {
				check(items.Deleted(ctx, was))
			}
		case 3:
			was, now, err := table.change(id, func(i *item) { i.ListID = rnd.Int64N(10) })
			if err == nil && unsaid {
				check(items.Changed(ctx, now))
			} else if err == nil {
				check(items.Updated(ctx, was, now))
			}
		case 4, 5:
			if was, now, err := table.change(id, func(i *item) { i.ListID = rnd.Int64N(10) }); err == nil {
				check(items.Updated(ctx, was, now))
			}
		case 6:
			if numbered {
				news++
				check(hub.Publish(ctx, "news", news))
			}
		default:
			if was, now, err := table.change(table.random(rnd), func(i *item) { i.Title = fmt.Sprint(n) }); err == nil {
				check(items.Updated(ctx, was, now))
			}
		}
		table.pace(ctx, 5*time.Millisecond)
	}
}

// random returns the key of some row.
func (t *table) random(rnd *rand.Rand) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return 1 + rnd.Int64N(max(1, t.last))
}

// pace bounds the rate of a writer: unbounded, two writers would starve the clients of a small machine.
func (t *table) pace(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// watcher is a client that keeps a list as the protocol says, and checks what it is told.
type watcher struct {
	t    *testing.T
	name string
	rnd  *rand.Rand
	url  string
	list int64
	http *http.Client

	client    *transporttest.Client
	transport string
	rows      map[string]held
	cursor    string
	ended     bool // the last row of the list came
	news      int  // the last number on the channel

	changes, resumes, resyncs int
}

type held struct {
	version int64
	list    int64
	title   string
}

func (w *watcher) errorf(format string, args ...any) {
	w.t.Helper()
	w.t.Errorf(w.name+" ("+w.transport+"): "+format, args...)
}

// live subscribes, and then drops, resumes and changes transport.
func (w *watcher) live(ctx context.Context, steps int) {
	w.connect(ctx, []string{
		fmt.Sprintf(`{"type":"subscribe","id":1,"router":"items","where":{"list_id":%d}}`, w.list),
		`{"type":"subscribe","id":2,"channel":"news"}`,
	})
	for step := 0; step < steps && ctx.Err() == nil && !w.t.Failed(); step++ {
		for range w.rnd.IntN(12) {
			w.read(ctx)
		}
		subscriptions := w.client.Subscriptions()
		if w.rnd.IntN(2) == 0 {
			w.client.Drop()
		} else {
			w.client.Close()
		}
		w.resumes++
		w.connect(ctx, subscriptions)
	}
}

// connect opens a client of a random transport with subscriptions that go on, or begin.
func (w *watcher) connect(ctx context.Context, subscriptions []string) {
	w.transport = transporttest.All[w.rnd.IntN(len(transporttest.All))]
	c, err := transporttest.Dial(ctx, w.transport, w.url, transporttest.ClientOptions{HTTP: w.http})
	if err == nil {
		err = c.Send(ctx, subscriptions...)
	}
	if err != nil {
		w.errorf("connect: %v", err)
	}
	w.client = c
}

// settle reads on until the end, and compares.
func (w *watcher) settle(ctx context.Context, table *table) {
	for !w.ended && ctx.Err() == nil && !w.t.Failed() {
		w.read(ctx)
	}
	w.client.Close()
	want := map[string]held{}
	for _, i := range table.all() {
		if i.ListID == w.list {
			want[key(i)] = held{i.Version, i.ListID, i.Title}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if w.rows[k] != want[k] {
			w.errorf("row %s is %+v, want %+v", k, w.rows[k], want[k])
		}
	}
	for k := range w.rows {
		if _, ok := want[k]; !ok {
			w.errorf("row %s is %+v, and should not be there", k, w.rows[k])
		}
	}
}

// read takes one message.
func (w *watcher) read(ctx context.Context) {
	m, err := w.client.Next(ctx)
	if err != nil {
		w.errorf("next: %v", err)
		return
	}
	switch m.Type {
	case "snapshot", "resync":
		if m.Type == "resync" {
			w.resyncs++
		}
		// Two writers that publish in the other order than they commit can leave a doubt that only the database can end.
		if m.Type == "resync" && m.Reason != "unknown" {
			w.errorf("a resync although history covers every cursor: %s", m.Reason)
		}
		if m.ID == 1 {
			w.reset(m)
		}
	case "change":
		w.grow(m)
		for _, c := range m.Changes {
			w.apply(c)
			w.changes++
		}
	case "message":
		for _, data := range m.Messages {
			w.count(data)
		}
	case "error", "closed":
		w.errorf("got %s", m.Raw)
	}
}

func (w *watcher) reset(m transporttest.Message) {
	w.rows, w.cursor = map[string]held{}, m.Cursor
	for _, r := range m.Rows {
		w.rows[r.Key] = w.merge(held{}, r.Fields)
	}
}

// count checks that messages are told once, in order, without a gap.
func (w *watcher) count(data json.RawMessage) {
	var n int
	if err := json.Unmarshal(data, &n); err != nil || w.news != 0 && n != w.news+1 {
		w.errorf("message %s came after %d: %v", data, w.news, err)
	}
	w.news = n
	w.changes++
}

// grow checks that positions strictly increase.
func (w *watcher) grow(m transporttest.Message) {
	if m.Cursor <= w.cursor {
		w.errorf("the change %s is not after %s", m.Raw, w.cursor)
	}
	w.cursor = m.Cursor
}

// apply takes one change by the rules of docs/protocol.md.
func (w *watcher) apply(c transporttest.Change) {
	was, holds := w.rows[c.Key]
	var version int64
	numbered := json.Unmarshal(c.Version, &version) == nil
	if !numbered && c.Op != "delete" { // of what was deleted long ago, it is not known which version was the last
		w.errorf("%s of version %s", c.Op, c.Version)
	}
	if holds && numbered && version < was.version {
		return // the snapshot was ahead of the log
	}
	switch c.Op {
	case "create", "enter":
		w.rows[c.Key] = w.merge(held{}, c.Fields)
	case "update":
		if !holds {
			return
		}
		// With two writers the versions between may be published late, and are then not told. The difference still brings
		// the row up to date, because it is told only to who holds the version before.
		if version > was.version+1 {
			w.errorf("row %s: the difference to version %d came to version %d", c.Key, version, was.version)
		}
		w.rows[c.Key] = w.merge(was, c.Fields)
	case "leave", "delete":
		delete(w.rows, c.Key)
	}
}

func (w *watcher) merge(into held, fields map[string]any) held {
	for name, value := range fields {
		switch name {
		case "version":
			into.version = int64(value.(float64))
		case "list_id":
			into.list = int64(value.(float64))
		case "title":
			into.title = value.(string)
			w.ended = w.ended || into.title == theEnd
		}
	}
	return into
}
