package livequery

import (
	"fmt"
	"testing"

	"github.com/swampline/live/internal/record"
)

// TestTruthTable is the table of the delivery contract, over every combination: what the row was to the query, by the
// publisher and by what else is known of it, what it is, and what is known of the change.
func TestTruthTable(t *testing.T) {
	cases := 0
	for _, op := range []record.Op{record.Create, record.Update, record.Put, record.Delete} {
		for n := range 1 << 7 {
			bit := func(i int) bool { return n>>i&1 == 1 }
			was, other, now := bit(0), bit(1), bit(2)
			c := &Change{op: op, contiguous: bit(3), wasUnknown: bit(4), stale: bit(5), doubtful: bit(6)}
			if op == record.Delete && now && !c.stale {
				continue // cannot be
			}
			got := c.judge(was, other, now)
			if want := table(c, was || other, was, now); got != want {
				t.Errorf("%s %07b: was %v, other %v, now %v: verdict %q, want %q", op, n, was, other, now, name(got), name(want))
			}
			cases++
		}
	}
	if cases < 300 {
		t.Errorf("only %d cases", cases)
	}
}

func name(v Verdict) string {
	return [...]string{"nothing", "create", "enter", "update", "leave", "delete", "unknown", "doubt"}[v]
}

// table says the same once more, by what the subscriber holds.
func table(c *Change, seen, was, now bool) Verdict {
	if c.doubtful && (seen || now) {
		return Doubt
	}
	if now { // he shall hold the row
		switch {
		case c.stale:
			return Nothing // and does already
		case was && c.contiguous:
			return Update
		case !seen && c.op == record.Create:
			return Create
		}
		return Enter
	}
	switch { // he shall not
	case seen && c.op == record.Delete && !c.stale:
		return Delete
	case seen:
		return Leave
	case c.wasUnknown:
		return Unknown
	}
	return Nothing
}

// TestFragmentsCarryWhatTheOpNeeds checks what stands in a message.
func TestFragmentsCarryWhatTheOpNeeds(t *testing.T) {
	h := newHub(t)
	rec := updated(thing{1, 1, 1, "a"}, thing{1, 1, 2, "b"})
	rec.Mutation = `m"`
	c, err := h.stream.change(&rec, at(1))
	if err != nil {
		t.Fatal(err)
	}
	whole := `"fields":{"id":1,"box":1,"note":"b","version":2}`
	for v, want := range map[Verdict]string{
		Create: `{"op":"create","key":"1","version":2,` + whole + `,"mutation":"m\""}`,
		Enter:  `{"op":"enter","key":"1","version":2,` + whole + `,"mutation":"m\""}`,
		Update: `{"op":"update","key":"1","version":2,"fields":{"note":"b","version":2},"mutation":"m\""}`,
		Leave:  `{"op":"leave","key":"1","version":2,"mutation":"m\""}`,
		Delete: `{"op":"delete","key":"1","version":2,"mutation":"m\""}`,
	} {
		if got := string(c.fragment(h.stream.Schema.View(""), v)); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name(v), got, want)
		}
		if once, again := c.fragment(h.stream.Schema.View(""), v), c.fragment(h.stream.Schema.View(""), v); &once[0] != &again[0] {
			t.Errorf("%s is encoded twice", name(v))
		}
	}
}

func TestAMissingFieldIsNull(t *testing.T) {
	h := newHub(t)
	everything := h.watch(`{}`)
	rec := created(thing{1, 1, 1, "a"})
	delete(rec.Now, "note")
	rec.Now["more"] = []byte("1")
	h.publish(rec)
	if got := fmt.Sprintf("%s", everything.feed.Rows["1"].Fields); got != "map[box:1 id:1 note:null version:1]" {
		t.Errorf("a record of another version of the application: %s", got)
	}
}
