package live_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// writer is who makes a change, as the tests' Author says it.
type writer struct {
	Name string `json:"name"`
}

// authors has changes say who made them: the visitor by number, nobody for visitor 0.
func authors(ctx context.Context) any {
	if id := visitor(ctx); id != 0 {
		return writer{fmt.Sprint("v", id)}
	}
	return nil
}

func as(ctx context.Context, id int64) context.Context {
	return context.WithValue(ctx, visitorKey{}, id)
}

// told is what a follower is told next: op, key and author of each item.
func (f *follower) told() string {
	f.t.Helper()
	var all []string
	changes := f.want("change").Changes
	for len(changes) == 0 { // a window that has settled
		changes = f.want("change").Changes
	}
	for _, c := range changes {
		all = append(all, strings.TrimSpace(c.Op+" "+c.Key+" "+string(c.By)))
	}
	return strings.Join(all, ", ")
}

func TestChangesSayWhoMadeThem(t *testing.T) {
	m := desk()
	m.Scope = live.Everyone
	b := newBench(t, live.Options{Author: authors}, m)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos","where":{"title":{"ne":"hidden"}}}`)
	f.want("snapshot")
	b.want(201, "…", "POST", "/live/memos", `{"title":"x"}`, "Visitor", "7")
	equal(t, "create", f.told(), `create 3 {"name":"v7"}`)
	b.want(200, "…", "PATCH", "/live/memos/3", `{"title":"y"}`, "Visitor", "8", "If-Match", "1")
	equal(t, "update", f.told(), `update 3 {"name":"v8"}`)
	b.want(200, "…", "PATCH", "/live/memos/3", `{"title":"hidden"}`, "Visitor", "9", "If-Match", "2")
	equal(t, "leave", f.told(), `leave 3 {"name":"v9"}`)
	b.want(200, "…", "PATCH", "/live/memos/3", `{"title":"z"}`, "Visitor", "7", "If-Match", "3")
	equal(t, "enter", f.told(), `enter 3 {"name":"v7"}`)
	b.want(204, "", "DELETE", "/live/memos/3", "", "Visitor", "8", "If-Match", "4")
	equal(t, "delete", f.told(), `delete 3 {"name":"v8"}`)
	_ = m.Updated(as(t.Context(), 5), memo{ID: 1, Version: 4, Title: "milk"}, memo{ID: 1, Version: 5, Title: "oats"})
	equal(t, "the application's", f.told(), `enter 1 {"name":"v5"}`)
	_ = m.Changed(t.Context(), memo{ID: 1, Version: 6, Title: "rye"})
	equal(t, "nobody's", f.told(), `enter 1`)
	f.say(`{"type":"subscribe","id":2,"router":"memos"}`)
	if raw := f.want("snapshot").Raw; strings.Contains(raw, `"by":`) {
		t.Errorf("a snapshot says who made changes: %s", raw)
	}
}

func TestABatchAndATransactionKeepEachAuthor(t *testing.T) {
	m := desk()
	m.Scope = live.Everyone
	l := newLedger(t)
	relayed := make(chan string, 1)
	l.relay = func(data []byte) { relayed <- string(data) }
	b := newBench(t, live.Options{Author: authors, Outbox: l}, m)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	err := b.hub.Batch(as(t.Context(), 3), func(ctx context.Context) error {
		return errors.Join(m.Changed(ctx, memo{ID: 1, Version: 5}), m.Changed(as(ctx, 4), memo{ID: 2, Version: 10}))
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "batch", f.told(), `enter 1 {"name":"v3"}, enter 2 {"name":"v4"}`)
	if err := live.Tx(as(t.Context(), 6), l.db, func(ctx context.Context, _ *sql.Tx) error {
		return m.Changed(ctx, memo{ID: 1, Version: 6})
	}); err != nil {
		t.Fatal(err)
	}
	if stored := <-relayed; !strings.Contains(stored, `"by":{"name":"v6"}`) {
		t.Errorf("the outbox holds %s", stored)
	}
}

// The windows of a hub tell a row that changed twice in one entry once, as it is, and by whom it was changed last.
func TestAWindowSaysWhoChangedARowLast(t *testing.T) {
	m := desk()
	m.Scope = live.Everyone
	b := newBench(t, live.Options{Author: authors}, m)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos","order":"title","limit":5}`)
	f.want("snapshot")
	was := memo{ID: 1, OwnerID: 1, ListID: 7, Title: "milk", Note: "two", Stars: 3, Version: 4}
	mid, now := was, was
	mid.Title, mid.Version, now.Title, now.Version = "oats", 5, "rye", 6
	if err := b.hub.Batch(t.Context(), func(ctx context.Context) error {
		return errors.Join(m.Updated(as(ctx, 3), was, mid), m.Updated(as(ctx, 4), mid, now))
	}); err != nil {
		t.Fatal(err)
	}
	equal(t, "window", f.told(), `enter 1 {"name":"v4"}`)
}

func TestTouchedParentsSayWhoTouchedThem(t *testing.T) {
	parents, children := desk(), desk()
	for _, m := range []*memos{parents, children} {
		m.Scope = live.Everyone
	}
	children.Name = "children"
	children.Touches = []live.Toucher[memo]{live.Parent(&parents.Router, func(memo) live.Key { return "2" })}
	b := newBench(t, live.Options{Author: authors}, parents, children)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	b.want(200, "…", "PATCH", "/live/children/1", `{"title":"y"}`, "Visitor", "8", "If-Match", "4")
	equal(t, "parent", f.told(), `enter 2 {"name":"v8"}`)
}

func TestAnAuthorThatCannotBeToldIsLeftOutAndLogged(t *testing.T) {
	for name, test := range map[string]struct {
		author func(context.Context) any
		log    string
	}{
		"larger than 1 KiB": {func(context.Context) any { return strings.Repeat("x", 1023) }, "returned 1025 bytes of JSON, want 1024 at most"},
		"no JSON":           {func(context.Context) any { return func() {} }, "Options.Author returned a func()"},
		"a panic":           {func(context.Context) any { panic("no user") }, "no user"},
		"a nil pointer":     {func(context.Context) any { return (*writer)(nil) }, ""},
		"the largest":       {func(context.Context) any { return strings.Repeat("x", 1022) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := desk()
			b := newBench(t, live.Options{Author: test.author}, m)
			b.want(200, "…", "PATCH", "/live/memos/1", `{"title":"y"}`, "If-Match", "4")
			if told := strings.Contains(b.spy.entries[0], `"by":`); told != (name == "the largest") {
				t.Errorf("published %s", b.spy.entries[0])
			}
			if test.log != "" && !strings.Contains(b.log.String(), test.log) || test.log == "" && b.log.String() != "" {
				t.Errorf("logged %s, want %s", b.log, test.log)
			}
		})
	}
}

func TestABulkChangeHasNoAuthor(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{Author: authors}, m)
	if err := m.ChangedWhere(as(t.Context(), 3), where.Eq("list_id", 7)); err != nil {
		t.Fatal(err)
	}
	if entry := b.spy.entries[0]; strings.Contains(entry, `"by":`) {
		t.Errorf("published %s, which no hub reads", entry)
	}
}
