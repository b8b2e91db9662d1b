package live_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/where"
)

// settle waits until a hub has followed the log to its end: an answer to a subscriber comes behind what was published before.
func (b *bench) settle() {
	b.Helper()
	if err := live.CatchUp(limit(b.T), b.hub); err != nil {
		b.Fatal(err)
	}
}

// edited is a bench with memo 1, which visitors 5 and 6 took from version 4 to 6: title, then note.
func edited(t *testing.T, o live.Options, m *memos) *bench {
	if m.Scope == nil {
		m.Scope = live.Everyone
	}
	o.Author = authors
	b := newBench(t, o, m)
	b.want(200, "…", "PATCH", "/live/memos/1", `{"title":"oats"}`, "Visitor", "5", "If-Match", "4")
	b.want(200, "…", "PATCH", "/live/memos/1", `{"note":"six"}`, "Visitor", "6", "If-Match", "5")
	b.settle()
	return b
}

// public is desk with rows that everybody sees.
func public() *memos {
	m := desk()
	m.Scope = live.Everyone
	return m
}

const (
	oats         = `{"key":"1","version":6,"fields":{"id":1,"list_id":7,"title":"oats","note":"six","stars":3,"version":6,"loud":"OATS"}}`
	since4       = `,"changed":{"loud":{"version":5,"by":{"name":"v5"}},"note":{"version":6,"by":{"name":"v6"}},"title":{"version":5,"by":{"name":"v5"}}}`
	since5       = `,"changed":{"note":{"version":6,"by":{"name":"v6"}}}`
	conflictHead = `{"title":"Conflict","status":409,"code":"conflict","detail":"the row was changed by somebody else"`
)

func TestAConflictSaysWhatChangedAndByWhom(t *testing.T) {
	b := edited(t, live.Options{}, public())
	b.want(409, conflictHead+`,"current":`+oats+since4+`}`, "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4")
	b.want(409, conflictHead+`,"current":`+oats+since5+`}`, "DELETE", "/live/memos/1", "", "If-Match", "5")
	b.want(409, conflictHead+`,"current":`+oats+`}`, "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "3") // which the log does not know
	b.want(409, conflictHead+`,"current":`+oats+`}`, "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "9")
	equal(t, "socket", b.say(`{"type":"call","id":5,"router":"memos","verb":"update","key":"1","version":5,"data":{"title":"x"}}`)[0],
		`{"type":"error","id":5,"problem":`+conflictHead+`,"current":`+oats+since5+`}}`)
}

func TestABulkConflictSaysWhatChanged(t *testing.T) {
	m := public()
	m.Tx = func(ctx context.Context, do func(context.Context) error) error { return do(ctx) }
	b := edited(t, live.Options{}, m)
	b.want(409, conflictHead+`,"errors":{"1":["the row was changed by somebody else"]},"current":`+oats+since5+`}`,
		"PATCH", "/live/memos", `[{"key":"2","version":9,"data":{"title":"x"}},{"key":"1","version":5,"data":{"title":"x"}}]`)
}

// A write that another one overtook between its Get and its UPDATE is told what that did.
func TestARacedConflictSaysWhatChanged(t *testing.T) {
	m := public()
	m.Tx = func(ctx context.Context, do func(context.Context) error) error { return do(ctx) }
	var b *bench
	store := m.Update
	m.Update = func(ctx context.Context, was, now memo) (memo, error) {
		if now.Title != "mine" {
			return store(ctx, was, now)
		}
		b.want(200, "…", "PATCH", "/live/memos/1", `{"note":"nine"}`, "Visitor", "8", "If-Match", fmt.Sprint(was.Version))
		b.settle()
		return store(ctx, was, now)
	}
	b = edited(t, live.Options{}, m)
	w := b.refused(409, "conflict", "PATCH", "/live/memos/1", `{"title":"mine"}`, "If-Match", "6")
	if !strings.Contains(w.Body.String(), `"changed":{"note":{"version":7,"by":{"name":"v8"}}}`) {
		t.Errorf("got %s", w.Body)
	}
	w = b.refused(409, "conflict", "PATCH", "/live/memos", `[{"key":"1","version":7,"data":{"title":"mine"}}]`)
	if !strings.Contains(w.Body.String(), `"changed":{}`) { // the same note again: of what he sees, nothing is another
		t.Errorf("got %s", w.Body)
	}
}

func TestAConflictTellsNoFieldOfAnotherView(t *testing.T) {
	m := public()
	m.Serializer.Views = map[string]live.View{"guest": {Except: []string{"note", "loud"}}}
	m.Serializer.View = func(ctx context.Context) (string, error) {
		if visitor(ctx) == 1 {
			return "guest", nil
		}
		return "", nil
	}
	b := edited(t, live.Options{}, m)
	w := b.refused(409, "conflict", "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4")
	if text := w.Body.String(); !strings.Contains(text, `"changed":{"title":{"version":5,"by":{"name":"v5"}}}`) || strings.Contains(text, "note") {
		t.Errorf("a guest is told %s", text)
	}
}

// Who could not see a row for a while is told nothing of what happened to it then.
func TestAConflictTellsNothingOfWhatWasHidden(t *testing.T) {
	m := desk()
	m.Scope = func(ctx context.Context) (where.Where, error) {
		if visitor(ctx) == 1 {
			return where.Ne("list_id", 9), nil
		}
		return where.Where{}, nil
	}
	b := newBench(t, live.Options{Author: authors}, m)
	b.want(200, "…", "PATCH", "/live/memos/1", `{"list_id":9,"note":"hidden"}`, "Visitor", "5", "If-Match", "4")
	b.want(200, "…", "PATCH", "/live/memos/1", `{"list_id":7}`, "Visitor", "5", "If-Match", "5")
	b.settle()
	w := b.refused(409, "conflict", "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4")
	if strings.Contains(w.Body.String(), "changed\":") {
		t.Errorf("told %s", w.Body)
	}
	w = b.refused(409, "conflict", "PATCH", "/live/memos/1", `{"title":"x"}`, "Visitor", "6", "If-Match", "4")
	if !strings.Contains(w.Body.String(), `"list_id":{"version":6`) {
		t.Errorf("who saw it all is told %s", w.Body)
	}
}

// What the log does not hold, or tells with gaps, is not known.
func TestAConflictSaysNothingThatItDoesNotKnow(t *testing.T) {
	b := edited(t, live.Options{HistoryEntries: 1}, public())
	b.want(409, conflictHead+`,"current":`+oats+`}`, "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4")
	b.want(409, conflictHead+`,"current":`+oats+since5+`}`, "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "5")

	m := public()
	b = edited(t, live.Options{}, m)
	row, _ := m.get(1)
	row.Version, row.Title = 7, "unheard"
	m.put(row) // past the router
	if w := b.refused(409, "conflict", "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "5"); strings.Contains(w.Body.String(), "changed\":") {
		t.Errorf("told %s of a row of which the log does not know all", w.Body)
	}
	_ = m.Changed(t.Context(), row) // of which the log does know the version before
	b.settle()
	if w := b.refused(409, "conflict", "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "5"); !strings.Contains(w.Body.String(),
		`"changed":{"loud":{"version":7},"note":{"version":6,"by":{"name":"v6"}},"title":{"version":7}}`) {
		t.Errorf("told %s", w.Body)
	}
}

// A node knows from the log what another one wrote.
func TestAConflictKnowsWhatAnotherNodeDid(t *testing.T) {
	shared := memory.New(memory.Options{})
	here, there := public(), desk()
	there.Scope, there.rows = live.Everyone, here.rows
	b, other := newBench(t, live.Options{Broker: shared}, here), newBench(t, live.Options{Broker: shared, Author: authors}, there)
	b.settle()
	other.want(200, "…", "PATCH", "/live/memos/1", `{"title":"oats"}`, "Visitor", "5", "If-Match", "4")
	b.settle()
	w := b.refused(409, "conflict", "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4")
	if !strings.Contains(w.Body.String(), `"title":{"version":5,"by":{"name":"v5"}}`) {
		t.Errorf("told %s", w.Body)
	}
}

func TestTheApplicationsOwnConflictGoesOut(t *testing.T) {
	m := public()
	m.Get = func(context.Context, live.Key) (memo, error) {
		return memo{}, errors.Join(&live.Error{
			Code: "taken", Status: http.StatusConflict, Detail: "no", Current: []byte(`{"key":"1"}`),
			Changed: map[string]live.FieldChange{"title": {Version: 3, By: []byte(`"Ben"`)}}, Conflicts: []string{"title"},
		})
	}
	b := newBench(t, live.Options{}, m)
	b.want(409, `{"title":"Conflict","status":409,"code":"taken","detail":"no","current":{"key":"1"},"changed":{"title":{"version":3,"by":"Ben"}},"conflicts":["title"]}`,
		"GET", "/live/memos/1", "")
}
