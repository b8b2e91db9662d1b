package livequery

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/where"
)

// newViewedHub returns a hub whose stream has a view without the note, before it is used.
func newViewedHub(t testing.TB) (h *hub, all, bare *View) {
	h = newHub(t)
	s := h.stream.Schema
	return h, s.View(""), s.AddView("bare", []bool{true, true, false, false})
}

func TestTheViewIsPartOfAQuerysIdentity(t *testing.T) {
	h, all, bare := newViewedHub(t)
	p := h.stream.bind(t, boxA)
	a, b := h.stream.Acquire(Spec{View: all, Predicate: p}, h.position), h.stream.Acquire(Spec{View: bare, Predicate: p}, h.position)
	if a == b || a.ID == b.ID || a.Tag() == b.Tag() || h.stream.Acquire(Spec{View: bare, Predicate: p}, h.position) != b {
		t.Errorf("queries %s %s, tags %s %s", a.ID, b.ID, a.Tag(), b.Tag())
	}
	if h.stream.Schema.View("bare") != bare || h.stream.Schema.View("other") != nil {
		t.Error("a view is not found by its name")
	}
}

func TestAChangeIsEncodedOnceForEachView(t *testing.T) {
	h, all, bare := newViewedHub(t)
	queries := map[*Query]*View{}
	for _, filter := range []string{`{}`, `{"box":1}`, `{"id":1}`, `{"version":2}`} {
		for _, v := range []*View{all, bare} {
			q := h.stream.Acquire(Spec{View: v, Predicate: h.stream.bind(t, filter)}, h.position)
			h.stream.Prime(q, h.reads(thing{1, 1, 1, "secret"}), h.stream.Reading(h.position()))
			queries[q] = v
		}
	}
	rec := updated(thing{1, 1, 1, "secret"}, thing{1, 1, 2, "secret too"})
	c, err := h.stream.Resolve(&rec, at(1))
	if err != nil {
		t.Fatal(err)
	}
	encoded := map[string]map[*byte]bool{} // view and op → the bytes
	told := 0
	for _, d := range h.stream.Match(&Entry{Position: at(1), Changes: []*Change{c}}, broker.Position{}, nil) {
		for _, p := range d.parts {
			b := p.change.fragment(d.Query.View, p.verdict)
			if name := queries[d.Query].Name + " " + ops[p.verdict]; encoded[name] == nil {
				encoded[name] = map[*byte]bool{&b[0]: true}
			} else {
				encoded[name][&b[0]] = true
			}
			told++
		}
	}
	if told != len(queries) {
		t.Fatalf("%d of %d queries were told", told, len(queries))
	}
	for name, copies := range encoded {
		if len(copies) != 1 {
			t.Errorf("%s is encoded %d times", name, len(copies))
		}
	}
	if len(encoded) != 4 { // in each view an update, and the enter of who waited for version 2
		t.Errorf("encoded %v", encoded)
	}
}

func TestAViewsMessagesHoldItsFieldsOnly(t *testing.T) {
	h, _, bare := newViewedHub(t)
	rec := updated(thing{1, 1, 1, "a"}, thing{1, 2, 2, "b"})
	c, err := h.stream.change(&rec, at(1))
	if err != nil {
		t.Fatal(err)
	}
	for v, want := range map[Verdict]string{
		Create: `{"op":"create","key":"1","version":2,"fields":{"id":1,"box":2}}`,
		Enter:  `{"op":"enter","key":"1","version":2,"fields":{"id":1,"box":2}}`,
		Update: `{"op":"update","key":"1","version":2,"fields":{"box":2}}`,
		Leave:  `{"op":"leave","key":"1","version":2}`,
		Delete: `{"op":"delete","key":"1","version":2}`,
	} {
		if got := string(c.fragment(bare, v)); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name(v), got, want)
		}
	}
	if got := string(bare.AppendFields(nil, c.values, nil)); got != `{"id":1,"box":2}` {
		t.Error(got)
	}
}

// TestAnUpdateOutsideTheView: it is told for its version, and not at all when the model has none.
func TestAnUpdateOutsideTheView(t *testing.T) {
	for _, versioned := range []bool{true, false} {
		h, all, bare := newViewedHub(t)
		p := h.stream.bind(t, boxA)
		full, part := h.stream.Acquire(Spec{View: all, Predicate: p}, h.position), h.stream.Acquire(Spec{View: bare, Predicate: p}, h.position)
		for _, q := range []*Query{full, part} {
			h.stream.Prime(q, h.reads(thing{1, 1, 1, "a"}), h.stream.Reading(h.position()))
		}
		rec := updated(thing{1, 1, 1, "a"}, thing{1, 1, 1, "b"})
		if !versioned {
			rec = unversioned(rec)
		}
		c, err := h.stream.Resolve(&rec, at(1))
		if err != nil {
			t.Fatal(err)
		}
		e := &Entry{Position: at(1), Changes: []*Change{c}}
		got := map[*Query]string{}
		for _, d := range h.stream.Match(e, broker.Position{}, nil) {
			got[d.Query] = string(d.Frame(d.Query.ID).Items)
		}
		wantFull, wantPart := `{"op":"update","key":"1","version":1,"fields":{"note":"b"}}`, `{"op":"update","key":"1","version":1,"fields":{}}`
		if !versioned {
			wantFull, wantPart = fmt.Sprintf(`{"op":"update","key":"1","version":%q,"fields":{"note":"b"}}`, at(1)), ""
		}
		if got[full] != wantFull || got[part] != wantPart {
			t.Errorf("versioned %v: all fields are told %s, the view %s", versioned, got[full], got[part])
		}
		if replayed := part.Replay(e, Knowledge{Sure: true}); (replayed == nil) == versioned {
			t.Errorf("versioned %v: who catches up is told %v", versioned, replayed)
		}
		if unchanged := h.stream.UnchangedSince(part, at(0), ""); unchanged == versioned {
			t.Errorf("versioned %v: the view's list is unchanged: %v", versioned, unchanged)
		}
		if h.stream.UnchangedSince(full, at(0), "") {
			t.Error("the list of all fields is taken for unchanged")
		}
	}
}

// TestAWindowOfAView: an update outside the view is not told, and does not make the window differ from the list.
func TestAWindowOfAView(t *testing.T) {
	h, _, bare := newViewedHub(t)
	order := []where.Order{{Field: "id"}}
	q := h.stream.Acquire(Spec{View: bare, Predicate: h.stream.bind(t, `{}`), Order: order, Limit: 1}, h.position)
	read := func(note string, at broker.Position) *Delivery {
		t.Helper()
		rows := h.reads(thing{1, 1, 1, note})
		rows[0].Version, rows[0].Values = nil, []json.RawMessage{[]byte("1"), []byte("1"), nil, []byte("1")}
		d, ok := h.stream.Fill(q, Page{Rows: rows, At: at}, nil, at)
		if !ok {
			t.Fatal("a page is not taken")
		}
		return d
	}
	if d := read("a", at(0)); d == nil || len(d.items) != 1 {
		t.Fatalf("the first page: %+v", d)
	}
	for i, notes := range []string{"ab", "bc", "cd"} {
		rec := unversioned(updated(thing{1, 1, 1, notes[:1]}, thing{1, 1, 1, notes[1:]}))
		c, err := h.stream.Resolve(&rec, at(i+1))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range h.stream.Match(&Entry{Position: at(i + 1), Changes: []*Change{c}}, broker.Position{}, nil) {
			if whole := i == 0; d.Empty() == whole { // the first change of a row that a list returned is told in whole
				t.Errorf("change %d: told %s", i, d.Frame(q.ID).Data)
			}
		}
	}
	if d := read("d", at(3)); d != nil {
		t.Errorf("the same page once more is told as %s", d.Frame(q.ID).Data)
	}
}

// TestVariantsShareAName: a field that views show in different shapes stands on the log once for each.
func TestVariantsShareAName(t *testing.T) {
	matchable, err := where.NewSchema(where.Field{Name: "id", Type: where.Int})
	if err != nil {
		t.Fatal(err)
	}
	fields := []Field{{Name: "id", Published: true}, {Name: "lines", Published: true}, {Name: "lines@guest", As: "lines"}}
	s, err := NewSchema("orders", fields, matchable)
	if err != nil {
		t.Fatal(err)
	}
	guest := s.AddView("guest", []bool{true, false, true})
	values := s.Values(record.Fields{"id": json.RawMessage("1"), "lines": json.RawMessage(`[1]`), "lines@guest": json.RawMessage(`[2]`)})
	for v, want := range map[*View]string{s.View(""): `{"id":1,"lines":[1]}`, guest: `{"id":1,"lines":[2]}`} {
		if got := string(v.AppendFields(nil, values, nil)); got != want || !v.Has("lines") || v.Has("lines@guest") {
			t.Errorf("view %q: %s, want %s", v.Name, got, want)
		}
	}
}
