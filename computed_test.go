package live_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/swampline/live"
)

// TestComputedFromItsInputs: with From a computed field is sent again when an input changes, be the value equal, and Of is not
// asked for the row as it was.
func TestComputedFromItsInputs(t *testing.T) {
	m := desk()
	var asked atomic.Value
	asked.Store("")
	of := func(value func(memo) any) func(memo) any {
		return func(row memo) any {
			asked.Store(asked.Load().(string) + fmt.Sprintf("%s/%d/%d ", row.Title, row.OwnerID, row.Version))
			return value(row)
		}
	}
	m.Serializer.Computed = map[string]live.Computed[memo]{
		"size": {From: []string{"title", "owner_id"}, Of: of(func(row memo) any { return len(row.Title) })},
	}
	m.Scope = live.Everyone
	b := newBench(t, live.Options{}, m)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos","where":{"id":1}}`)
	f.want("snapshot")
	update := func(change func(*memo)) (fields, of string) {
		t.Helper()
		was, _ := m.get(1)
		now := was
		change(&now)
		now.Version++
		asked.Store("")
		if err := m.Updated(t.Context(), was, m.put(now)); err != nil {
			t.Fatal(err)
		}
		_, fields, _ = strings.Cut(f.want("change").Raw, `"fields":`)
		return strings.TrimSuffix(fields, "}]}"), asked.Load().(string)
	}
	fields, rows := update(func(row *memo) { row.Title = "soya" })
	equal(t, "an input changed, the value did not", fields, `{"title":"soya","version":5,"size":4}`)
	equal(t, "asked for", rows, "soya/1/5 ")
	fields, rows = update(func(row *memo) { row.Note = "x" })
	equal(t, "no input changed", fields, `{"note":"x","version":6}`)
	equal(t, "asked for", rows, "soya/1/6 ") // it travels with the row, for those whom it enters
	fields, _ = update(func(row *memo) { row.OwnerID = 9 })
	equal(t, "an input that is never sent changed", fields, `{"version":7,"size":4}`)
}

// TestComputedOfAListIsComputedForItsRows: what the caller does not get is not computed.
func TestComputedOfAListIsComputedForItsRows(t *testing.T) {
	m := desk()
	var asked atomic.Value
	asked.Store("")
	m.Serializer.Computed["loud"] = live.Computed[memo]{Of: func(row memo) any {
		asked.Store(asked.Load().(string) + row.Title + " ")
		return 1
	}}
	b := newBench(t, live.Options{}, m)
	b.want(200, "…", "GET", "/live/memos", "")
	equal(t, "computed for a list", asked.Load().(string), "milk ") // the List returned another visitor's memo, too
	b.refused(404, "not_found", "GET", "/live/memos/2", "")
	equal(t, "computed for a row that the caller may not see", asked.Load().(string), "milk ")
}
