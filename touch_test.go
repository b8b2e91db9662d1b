package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// perEntry returns the changes of each entry on the log: op, router and key.
func (s *spy) perEntry(t *testing.T) []string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []string{}
	for _, data := range s.entries {
		var entry struct {
			Changes []struct{ Op, Router, Key string }
		}
		if err := json.Unmarshal([]byte(data), &entry); err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, c := range entry.Changes {
			text += " " + c.Op + " " + c.Router + " " + c.Key
		}
		all = append(all, strings.TrimSpace(text))
	}
	s.entries = nil
	return all
}

func TestTouchSendsWhatChangedInNestedRows(t *testing.T) {
	s := newShop(3)
	b := newBench(t, live.Options{}, s.order)
	f := b.follow(`{"type":"subscribe","id":1,"router":"orders","where":{"id__in":[1,2]}}`)
	f.want("snapshot")
	s.put(line{ID: 11, OrderID: 1, ProductID: 2, Cost: "less", Version: 2})
	lists := 0
	list := s.order.List
	s.order.List = func(ctx context.Context, q live.Query) ([]order, error) {
		lists++
		clause, args := q.SQL(where.SQLite)
		equal(t, "asked for", fmt.Sprint(clause, args), `WHERE "id" IN (?, ?, ?)[1 2 404]`)
		return list(ctx, q)
	}
	s.counted()
	if err := s.order.Touch(t.Context(), "2", "1", "404", "1"); err != nil {
		t.Fatal(err)
	}
	equal(t, "loads", s.counted(), "map[customers:1 lines:1 products:1]")
	equal(t, "on the log", fmt.Sprint(b.spy.perEntry(t)), "[put orders 2 put orders 1]")
	told := f.want("change").Raw
	if lists != 1 || !strings.Contains(told, `"op":"enter","key":"1","version":1`) || !strings.Contains(told, `"id":11,"order_id":1,"product_id":2,"cost":"less"`) {
		t.Errorf("%d lists, told %s", lists, told)
	}
	for _, none := range [][]live.Key{nil, {"404"}} {
		s.order.List = list
		if err := s.order.Touch(t.Context(), none...); err != nil || len(b.spy.entries) != 0 {
			t.Errorf("touched %v: %v, %v", none, err, b.spy.entries)
		}
	}
}

func TestWhoeverIsPublishedTouchesItsParents(t *testing.T) {
	s := newShop(2)
	b := newBench(t, live.Options{}, s.order, s.line)
	f := b.follow(`{"type":"subscribe","id":1,"router":"orders"}`)
	f.want("snapshot")
	old, _ := get(s, s.lines, "10")
	moved := old
	moved.OrderID, moved.Version = 2, 2
	loose := line{ID: 99, Version: 1}
	for _, test := range []struct {
		what string
		do   func(context.Context) error
		log  string
	}{
		{"changed", func(ctx context.Context) error { return s.line.Changed(ctx, old) }, "put lines 10 put orders 1"},
		{"created", func(ctx context.Context) error {
			return s.line.Created(ctx, line{ID: 55, OrderID: 2})
		}, "create lines 55 put orders 2"},
		{"updated", func(ctx context.Context) error { return s.line.Updated(ctx, old, old) }, "update lines 10 put orders 1"},
		{"moved", func(ctx context.Context) error { s.put(moved); return s.line.Updated(ctx, old, moved) }, "update lines 10 put orders 1 put orders 2"},
		{"of none", func(ctx context.Context) error { return s.line.Created(ctx, loose) }, "create lines 99"},
		{"of one that is gone", func(ctx context.Context) error { return s.line.Created(ctx, line{ID: 98, OrderID: 404}) }, "create lines 98"},
		{"deleted", func(ctx context.Context) error { return s.line.Deleted(ctx, moved) }, "delete lines 10 put orders 2"},
	} {
		if err := test.do(t.Context()); err != nil {
			t.Fatal(test.what, err)
		}
		equal(t, test.what, fmt.Sprint(b.spy.perEntry(t)), "["+test.log+"]")
		if strings.Contains(test.log, "orders") {
			if told := f.want("change").Raw; strings.Count(told, `"op":"enter"`) != strings.Count(test.log, "orders") {
				t.Errorf("%s: told %s", test.what, told)
			}
		}
	}
}

// TestAParentThatCannotBeLoaded: the row itself is told.
func TestAParentThatCannotBeLoaded(t *testing.T) {
	s := newShop(1)
	list := s.order.List
	b := newBench(t, live.Options{}, s.order, s.line)
	row, _ := get(s, s.lines, "10")
	for name, broken := range map[string]func(){
		"List": func() {
			s.order.List = func(context.Context, live.Query) ([]order, error) { return nil, errors.New("no database") }
		},
		"nested": func() { s.order.List, s.fail = list, errors.New("no database") },
	} {
		broken()
		if err := s.line.Changed(t.Context(), row); err == nil || !strings.Contains(err.Error(), "live: router orders: ") || !strings.Contains(err.Error(), "no database") {
			t.Errorf("%s: the publisher is told %v", name, err)
		}
		equal(t, name, fmt.Sprint(b.spy.perEntry(t)), "[put lines 10]")
	}
	alone := newShop(1)
	b = newBench(t, live.Options{}, alone.line)
	if err := alone.line.Changed(t.Context(), row); err == nil || err.Error() != "live: router orders, which is a parent, is not registered with this hub" {
		t.Error(err)
	}
	equal(t, "without its parent's router", fmt.Sprint(b.spy.perEntry(t)), "[put lines 10]")
	if err := alone.order.Touch(t.Context(), "1"); err == nil || !strings.Contains(err.Error(), "not registered") {
		t.Error(err)
	}
}

// branch is a row of a tree whose rows are each other's parents.
type branch struct {
	ID int64 `live:"id,key"`
	Up int64 `live:"up,write"`
}

// tree is branches that touch the ones above, in a ring.
func tree(rows map[int64]branch) *live.Router[branch] {
	r := &live.Router[branch]{
		Name: "tree", Scope: live.Everyone,
		Get: func(_ context.Context, k live.Key) (branch, error) {
			row, ok := rows[k.Int64()]
			if !ok {
				return row, live.ErrNotFound
			}
			return row, nil
		},
		Update: func(_ context.Context, _, now branch) (branch, error) { rows[now.ID] = now; return now, nil },
	}
	r.Touches = []live.Toucher[branch]{live.Parent(r, func(row branch) live.Key { return live.Key(strconv.FormatInt(row.Up, 10)) })}
	return r
}

func TestTouchGoesUpAndEnds(t *testing.T) {
	r := tree(map[int64]branch{1: {1, 3}, 2: {2, 1}, 3: {3, 2}, 4: {4, 2}})
	b := newBench(t, live.Options{}, r)
	if err := r.Created(t.Context(), branch{4, 2}); err != nil {
		t.Fatal(err)
	}
	equal(t, "a ring", fmt.Sprint(b.spy.perEntry(t)), "[create tree 4 put tree 2 put tree 1 put tree 3]")
	if err := r.Touch(t.Context(), "4", "2"); err != nil {
		t.Fatal(err)
	}
	equal(t, "touched", fmt.Sprint(b.spy.perEntry(t)), "[put tree 4 put tree 2 put tree 1 put tree 3]")
	b.want(200, "…", "PATCH", "/live/tree/4", `{"up":1}`)
	equal(t, "a verb", fmt.Sprint(b.spy.perEntry(t)), "[update tree 4 put tree 2 put tree 1 put tree 3]")
	if err := r.Touch(t.Context(), "x"); err == nil || err.Error() != `live: router tree: key "x": key: want an integer, got the string "x"` {
		t.Error(err)
	}
}

// TestReloadAsksForSomeAtOnce: a database bounds the placeholders of a statement.
func TestReloadAsksForSomeAtOnce(t *testing.T) {
	s := newShop(1200)
	b := newBench(t, live.Options{}, s.order)
	var asked []int
	list := s.order.List
	s.order.List = func(ctx context.Context, q live.Query) ([]order, error) {
		_, args := q.SQL(where.SQLite)
		asked = append(asked, len(args))
		return list(ctx, q)
	}
	var keys []live.Key
	for id := range s.orders {
		keys = append(keys, live.Key(strconv.FormatInt(id, 10)))
	}
	if err := s.order.Touch(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	if log := b.spy.perEntry(t); len(log) != 1 || strings.Count(log[0], "put") != 1200 || fmt.Sprint(asked) != "[500 500 200]" {
		t.Errorf("%d entries, lists of %v", len(log), asked)
	}
	equal(t, "loads", s.counted(), "map[customers:1 lines:1 products:1]")
}

func TestRowsThatCannotBeLoadedAnew(t *testing.T) {
	r := &live.Router[branch]{Name: "mute", Scope: live.Everyone, Create: func(_ context.Context, in branch) (branch, error) { return in, nil }}
	newBench(t, live.Options{}, r)
	if err := r.Touch(t.Context(), "1"); err == nil || err.Error() != "live: router mute: it has neither List nor Get, so its rows cannot be loaded anew: set one" {
		t.Error(err)
	}
}

// TestAParentOnAnotherHubIsNotTouched: its rows do not belong into this log.
func TestAParentOnAnotherHubIsNotTouched(t *testing.T) {
	s := newShop(1)
	newBench(t, live.Options{}, s.order)
	b := newBench(t, live.Options{}, s.line)
	row, _ := get(s, s.lines, "10")
	if err := s.line.Changed(t.Context(), row); err == nil || !strings.Contains(err.Error(), "is not registered with this hub") {
		t.Error(err)
	}
	equal(t, "on the log", fmt.Sprint(b.spy.perEntry(t)), "[put lines 10]")
}
