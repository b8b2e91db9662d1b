package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// gauge counts how many are inside of something at once.
type gauge struct{ now, most, total atomic.Int64 }

func (g *gauge) enter() {
	g.total.Add(1)
	n := g.now.Add(1)
	for m := g.most.Load(); n > m && !g.most.CompareAndSwap(m, n); m = g.most.Load() {
	}
}

func (g *gauge) leave() { g.now.Add(-1) }

// busyTable is a database whose reads are counted, and wait until they are let go.
type busyTable struct {
	*table
	*live.Router[item]
	reads, scopes gauge
	open          chan struct{}
	once          sync.Once
}

func newBusyTable() *busyTable {
	b := &busyTable{table: newTable(), open: make(chan struct{})}
	b.Router = b.table.router("items")
	b.Scope = func(context.Context) (where.Where, error) { b.scopes.total.Add(1); return where.Where{}, nil }
	b.List = func(ctx context.Context, q live.Query) ([]item, error) {
		b.reads.enter()
		defer b.reads.leave()
		select {
		case <-b.open:
			return b.all(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	b.Count = func(ctx context.Context, q live.Query) (int64, error) {
		rows, err := b.List(ctx, q)
		return int64(len(rows)), err
	}
	return b
}

// release lets the reads go.
func (b *busyTable) release() { b.once.Do(func() { close(b.open) }) }

// until waits for a condition that other goroutines bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("in vain for: %s", what)
		default:
			runtime.Gosched()
		}
	}
}

// post asks a hub for a round with one message.
func post(ctx context.Context, hub *live.Hub, message string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, "POST", "/live/", strings.NewReader(message))
	r.Header.Set("Content-Type", "application/x-ndjson")
	w := httptest.NewRecorder()
	hub.ServeHTTP(w, r)
	return w
}

// After a deploy everybody comes at once: ten thousand with LIVE_TEST_LONG.
func TestClientsThatComeAtOnceShareTheReadsOfFiftyLists(t *testing.T) {
	const lists, loads = 50, 4
	clients := 2000
	if os.Getenv("LIVE_TEST_LONG") != "" {
		clients = 10_000
	}
	db := newBusyTable()
	for i := range int64(lists * 2) {
		db.insert(item{ListID: i % lists, Title: "x"})
	}
	b := newBench(t, live.Options{MaxLoads: loads}, db.Router)
	var all sync.WaitGroup
	var wrong atomic.Int64
	for i := range clients {
		all.Go(func() {
			w := post(t.Context(), b.hub, fmt.Sprintf(`{"type":"subscribe","id":1,"router":"items","where":{"list_id":%d}}`, i%lists))
			if body := w.Body.String(); !strings.HasPrefix(body, `{"type":"snapshot","id":1,`) || strings.Count(body, `"title":"x"`) != 2 {
				if wrong.Add(1) == 1 {
					t.Errorf("a client got %s", body)
				}
			}
		})
	}
	until(t, "all are there", func() bool { return db.scopes.total.Load() >= int64(clients) && db.reads.now.Load() == loads })
	db.release()
	all.Wait()
	if n := db.reads.most.Load(); n != loads {
		t.Errorf("%d lists were read at once, want %d", n, loads)
	}
	if n := db.reads.total.Load(); n < lists || n > 2*lists {
		t.Errorf("%d lists were read for %d different ones", n, lists)
	}
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d clients got something else than their list", n)
	}
}

// Who is told his rows again, because the log does not reach back to his cursor, is given what was read for others who were just before, and what
// the log has told since. Who asks for the first time is not.
func TestClientsWhoAreResyncedOneAfterTheOtherShareARead(t *testing.T) {
	for name, ask := range map[string]string{"rows": ``, "window": `,"order":"id","limit":5`} {
		t.Run(name, func(t *testing.T) {
			db := newBusyTable()
			db.release()
			for range 3 {
				db.insert(item{ListID: 7, Title: "x"})
			}
			b := newBench(t, live.Options{}, db.Router)
			first := `{"type":"subscribe","id":1,"router":"items","where":{"list_id":7}` + ask + `}`
			again := strings.TrimSuffix(first, "}") + `,"cursor":"1.10"}` // of a log that is gone
			tell := func(message, kind, want string) {
				t.Helper()
				if body := post(t.Context(), b.hub, message).Body.String(); !strings.HasPrefix(body, `{"type":"`+kind+`"`) || !strings.Contains(body, want) {
					t.Fatalf("got %s, want a %s with %s", body, kind, want)
				}
			}
			reads := func(want int64) {
				t.Helper()
				if n := db.reads.total.Swap(0); n != want {
					t.Errorf("%d reads, want %d", n, want)
				}
			}
			for range 20 {
				tell(again, "resync", "")
			}
			reads(1)
			tell(first, "snapshot", "")
			reads(1)
			if err := db.Created(t.Context(), db.insert(item{ListID: 7, Title: "new"})); err != nil {
				t.Fatal(err)
			}
			if err := live.CatchUp(t.Context(), b.hub); err != nil { // publishing does not wait for it
				t.Fatal(err)
			}
			for range 20 {
				tell(again, "resync", `"title":"new"`)
			}
			reads(0)
		})
	}
}

// Whatever reads lists or counts waits for its turn.
func TestEveryReadOfAListWaitsForItsTurn(t *testing.T) {
	const each, loads = 20, 3
	db := newBusyTable()
	b := newBench(t, live.Options{MaxLoads: loads}, db.Router)
	var all sync.WaitGroup
	for i := range each {
		where := fmt.Sprintf(`"router":"items","where":{"list_id":%d}`, i)
		for _, message := range []string{
			`{"type":"subscribe","id":1,` + where + `}`,
			`{"type":"subscribe","id":1,"limit":3,"order":"id",` + where + `}`,
			`{"type":"subscribe","id":1,"count":true,` + where + `}`,
			`{"type":"call","id":1,"verb":"list",` + where + `}`,
		} {
			all.Go(func() {
				if w := post(t.Context(), b.hub, message); strings.Contains(w.Body.String(), `"error"`) {
					t.Errorf("%s: %s", message, w.Body)
				}
			})
		}
		for _, url := range []string{"?list_id=%d", "?list_id=%d&count=true"} {
			all.Go(func() { b.want(200, "…", "GET", "/live/items"+fmt.Sprintf(url, i), "") })
		}
	}
	until(t, "all are there", func() bool { return db.scopes.total.Load() >= 6*each && db.reads.now.Load() == loads })
	db.release()
	all.Wait()
	if n := db.reads.most.Load(); n != loads {
		t.Errorf("%d were read at once, want %d", n, loads)
	}
}

func TestWhoeverGoesLeavesTheLine(t *testing.T) {
	db := newBusyTable()
	b := newBench(t, live.Options{MaxLoads: 1}, db.Router)
	var all sync.WaitGroup
	ask := func(ctx context.Context, list int) {
		all.Go(func() {
			post(ctx, b.hub, fmt.Sprintf(`{"type":"subscribe","id":1,"router":"items","where":{"list_id":%d}}`, list))
		})
	}
	ask(t.Context(), 1)
	until(t, "a read", func() bool { return db.reads.now.Load() == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	for list := range 20 {
		ask(ctx, 2+list)
	}
	ask(t.Context(), 100)
	until(t, "the others", func() bool { return db.scopes.total.Load() == 22 })
	cancel()
	until(t, "they have gone", func() bool { return b.hub.Waiting() == 1 })
	db.release()
	all.Wait()
	if n := db.reads.total.Load(); n != 2 {
		t.Errorf("%d lists were read, want 2", n)
	}
}

// A List that asks its own hub has its turn already.
func TestAListThatReadsAList(t *testing.T) {
	db := newBusyTable()
	db.release()
	inner := db.table.router("inner")
	var hub *live.Hub
	list := db.List
	db.List = func(ctx context.Context, q live.Query) ([]item, error) {
		for _, message := range []string{`{"type":"call","id":1,"router":"inner","verb":"list"}`, `{"type":"subscribe","id":1,"router":"inner"}`} {
			if w := post(ctx, hub, message); strings.Contains(w.Body.String(), `"error"`) || w.Code != 200 {
				return nil, fmt.Errorf("%s: %s", message, w.Body)
			}
		}
		return list(ctx, q)
	}
	b := newBench(t, live.Options{MaxLoads: 1}, db.Router, inner)
	hub = b.hub
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() { b.want(200, "…", "GET", fmt.Sprintf("/live/items?list_id=%d", i), "") })
	}
	all.Wait()
}

// Shutdown ends the waiting, and what is read then.
func TestShutdownEndsTheLine(t *testing.T) {
	db := newBusyTable()
	b := newBench(t, live.Options{MaxLoads: 1, DrainWindow: 1}, db.Router)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			post(t.Context(), b.hub, fmt.Sprintf(`{"type":"subscribe","id":1,"router":"items","where":{"list_id":%d}}`, i))
		})
		all.Go(func() {
			r := httptest.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("/live/items?list_id=%d", 100+i), nil)
			w := httptest.NewRecorder()
			b.hub.ServeHTTP(w, r)
			var problem struct{ Code string }
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || w.Code == 503 && problem.Code != "unavailable" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	until(t, "all are there", func() bool { return db.scopes.total.Load() >= 20 && db.reads.now.Load() == 1 })
	ended := make(chan error, 1)
	go func() { ended <- b.hub.Shutdown(limit(t)) }()
	until(t, "the line is gone", func() bool { return b.hub.Waiting() == 0 })
	db.release() // a read that was begun is the application's to end
	if err := <-ended; err != nil {
		t.Error(err)
	}
	all.Wait()
}
