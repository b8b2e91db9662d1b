package live_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/transport/transporttest"
	"github.com/swampline/live/where"
)

func TestChangedIDPublishesWhatIsThere(t *testing.T) {
	for name, set := range map[string]func(m *memos, asked *[]string){
		"by List": func(m *memos, asked *[]string) {
			all := m.List
			m.List = func(ctx context.Context, q live.Query) ([]memo, error) {
				*asked = append(*asked, q.Where.String())
				return all(ctx, q)
			}
		},
		"by Get": func(m *memos, asked *[]string) {
			m.List = nil
			get := m.Get
			m.Get = func(ctx context.Context, key live.Key) (memo, error) {
				*asked = append(*asked, string(key))
				return get(ctx, key)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := desk()
			var asked []string
			set(m, &asked)
			b := newBench(t, live.Options{}, m)
			if err := m.ChangedID(t.Context(), "1", "7", "01", "2", "7"); err != nil {
				t.Fatal(err)
			}
			equal(t, "on the log", strings.Join(b.spy.changes(t), ", "), "put 1, put 2, delete 7")
			if len(b.spy.entries) != 1 || strings.Contains(b.spy.entries[0], "secret") {
				t.Errorf("entries %s", b.spy.entries)
			}
			want := `{"id__in":[1,2,7]}`
			if name == "by Get" {
				want = "1 7 2"
			}
			equal(t, "asked for", strings.Join(asked, " "), want)
			if err := m.ChangedID(t.Context()); err != nil || len(b.spy.entries) != 1 {
				t.Error("no keys are something", err)
			}
			if err := m.ChangedID(t.Context(), "1", "x"); err == nil || !strings.Contains(err.Error(), `got the string "x"`) || len(b.spy.entries) != 1 {
				t.Error(err)
			}
		})
	}
}

func TestChangedIDOfATextKey(t *testing.T) {
	type page struct {
		Name string `live:"name,key"`
	}
	var asked string
	r := &live.Router[page]{Name: "pages", Scope: live.Everyone, List: func(_ context.Context, q live.Query) ([]page, error) {
		asked = q.Where.String()
		return []page{{"a,b"}, {"other"}}, nil
	}}
	b := newBench(t, live.Options{}, r)
	if err := r.ChangedID(t.Context(), "a,b", "null", `"`); err != nil {
		t.Fatal(err)
	}
	equal(t, "asked for", asked, `{"name__in":["\"","a,b","null"]}`)
	equal(t, "on the log", strings.Join(b.spy.changes(t), ", "), `put a,b, delete null, delete "`)
}

func TestChangedIDThatCannotLoadPublishesNothing(t *testing.T) {
	down := errors.New("the database is down")
	m := desk()
	m.List = func(context.Context, live.Query) ([]memo, error) { return nil, down }
	b := newBench(t, live.Options{}, m)
	if err := m.ChangedID(t.Context(), "1"); !errors.Is(err, down) || len(b.spy.entries) != 0 {
		t.Error(err, b.spy.entries)
	}
	blind := &live.Router[memo]{Name: "blind", Scope: live.Everyone, Create: func(_ context.Context, in memo) (memo, error) { return in, nil }}
	b.hub.Register(blind)
	if err := blind.ChangedID(t.Context(), "1"); err == nil || !strings.Contains(err.Error(), "neither List nor Get") {
		t.Error(err)
	}
}

func TestChangedIDReachesSubscribers(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{}, m)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	row, _ := m.get(1)
	row.Title, row.Version = "soy", 5
	m.put(row)
	m.put(memo{ID: 3, OwnerID: 1, Title: "tea", Version: 1})
	if err := m.ChangedID(t.Context(), "1", "3", "2"); err != nil {
		t.Fatal(err)
	}
	equal(t, "change", scrub(f.want("change").Raw), `{"type":"change","query":"Q","cursor":"C","changes":[`+
		`{"op":"enter","key":"1","version":5,"fields":{"id":1,"list_id":7,"title":"soy","note":"two","stars":3,"version":5,"loud":"SOY"}},`+
		`{"op":"enter","key":"3","version":1,"fields":{"id":3,"list_id":0,"title":"tea","note":"","stars":0,"version":1,"loud":"TEA"}}]}`)
	if err := m.Delete(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if err := m.ChangedID(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if change := f.want("change"); !strings.Contains(change.Raw, `"op":"delete","key":"1"`) {
		t.Errorf("deleted: %s", change.Raw)
	}
	if err := m.Updated(t.Context(), row, row); err != nil { // late: the row is gone
		t.Fatal(err)
	}
	if change := f.want("change"); !strings.Contains(change.Raw, `[{"op":"leave","key":"1","version":5}]`) {
		t.Errorf("what is late brings it back: %s", change.Raw)
	}
}

func TestChangedWhereReloadsWhomItConcerns(t *testing.T) {
	log := memory.New(memory.Options{})
	m, n := desk(), desk()
	here, there := newBench(t, live.Options{Broker: log}, m), newBench(t, live.Options{Broker: log}, n)
	seven := there.follow(`{"type":"subscribe","id":1,"router":"memos","where":{"list_id":7}}`)
	eight := there.follow(`{"type":"subscribe","id":1,"router":"memos","where":{"list_id":8}}`)
	nine := here.follow(`{"type":"subscribe","id":1,"router":"memos","where":{"list_id":9}}`)
	for _, f := range []*follower{seven, eight, nine} {
		f.want("snapshot")
	}
	row, _ := n.get(1)
	row.ListID, row.Version = 8, 5
	n.put(row)
	if err := m.ChangedWhere(t.Context(), where.And(where.In("list_id", 7, 8), where.Gt("version", 0))); err != nil {
		t.Fatal(err)
	}
	if m := seven.want("resync"); m.Reason != "bulk" || len(m.Rows) != 0 {
		t.Errorf("who had the row: %s", m.Raw)
	}
	if m := eight.want("resync"); m.Reason != "bulk" || len(m.Rows) != 1 {
		t.Errorf("who has it: %s", m.Raw)
	}
	nine.say(`{"type":"ping","id":9}`)
	nine.want("pong")
	later := row
	later.ListID, later.Version = 9, 6
	if err := n.Updated(t.Context(), row, n.put(later)); err != nil {
		t.Fatal(err)
	}
	eight.want("change")
	nine.want("change")

	if err := m.ChangedWhere(t.Context(), where.Eq("nothing", 1)); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Error(err)
	}
	if err := m.ChangedWhere(t.Context(), where.Nothing()); err != nil {
		t.Error(err)
	}
	if err := desk().ChangedWhere(t.Context(), where.Nothing()); err == nil {
		t.Error("not registered")
	}
}

func TestSuppressPublishesNothing(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{}, m, &live.Channel{Name: "chat"})
	quiet := live.Suppress(t.Context())
	if !live.Suppressed(quiet) || live.Suppressed(t.Context()) {
		t.Error("an adapter cannot tell which context is quiet")
	}
	row, _ := m.get(1)
	for _, err := range []error{
		m.Created(quiet, row), m.Updated(quiet, row, row), m.Deleted(quiet, row), m.Changed(quiet, row), m.ChangedID(quiet, "1"),
		m.ChangedWhere(quiet, where.Where{}), b.hub.Publish(quiet, "chat", 1),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if len(b.spy.entries) != 0 {
		t.Errorf("published %s", b.spy.entries)
	}
	if err := m.Changed(t.Context(), row); err != nil || len(b.spy.entries) != 1 {
		t.Error("all is quiet", err)
	}
}

// Windows and counts are reloaded and counted anew as lists are, by bulk changes and by other rights.
func TestWindowsAndCountsFollowToo(t *testing.T) {
	m := desk()
	rule := ruled(m)
	m.Count = func(_ context.Context, q live.Query) (int64, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if q.Where.String() == "{}" {
			return int64(len(m.rows)), nil
		}
		return int64(len(m.rows)) - 1, nil // all but the other visitor's
	}
	b := newBench(t, live.Options{}, m)
	window := b.follow(`{"type":"subscribe","id":1,"router":"memos","order":"id","limit":1}`)
	count := b.follow(`{"type":"subscribe","id":1,"router":"memos","count":true}`)
	window.want("snapshot")
	count.want("snapshot")
	row, _ := m.get(1)
	row.Title, row.Version = "soy", 5
	m.put(row)
	m.put(memo{ID: 3, OwnerID: 1, Title: "tea", Version: 1})
	if err := m.ChangedWhere(t.Context(), where.Where{}); err != nil {
		t.Fatal(err)
	}
	if resync := resynced(window); resync.Reason != "bulk" || len(resync.Rows) != 1 || resync.Rows[0].Fields["title"] != "soy" {
		t.Errorf("window: %s", resync.Raw)
	}
	if counted := count.next(); !strings.Contains(counted.Raw, `"count":2`) {
		t.Errorf("count: %s", counted.Raw)
	}
	everything := live.Everyone
	rule.Store((*func(context.Context) (where.Where, error))(&everything))
	if err := b.hub.Recheck(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if resync := resynced(window); resync.Reason != "rights" {
		t.Errorf("window: %s", resync.Raw)
	}
	if counted := count.next(); !strings.Contains(counted.Raw, `"count":3`) {
		t.Errorf("count: %s", counted.Raw)
	}
	if err := m.Deleted(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	changed(window, "delete")
	if err := b.hub.Recheck(t.Context(), ""); err != nil { // the same rights: no word of it
		t.Fatal(err)
	}
	row.Version = 6
	if err := m.Created(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	changed(window, "create")
}

// resynced returns the next resync, behind what says whether rows are beyond a window.
func resynced(f *follower) transporttest.Message {
	f.t.Helper()
	for {
		if m := f.next(); m.Type != "change" || !strings.Contains(m.Raw, `"changes":[]`) {
			return m
		}
	}
}

// changed waits for a change.
func changed(f *follower, op string) {
	f.t.Helper()
	if m := resynced(f); m.Type != "change" || !strings.Contains(m.Raw, `"op":"`+op+`","key":"1"`) {
		f.t.Errorf("got %s, want the row %sd", m.Raw, op)
	}
}
