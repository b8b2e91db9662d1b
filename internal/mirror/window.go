package mirror

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Window holds what a feed knows of a window: the first rows of a list in an order.
type Window struct {
	// Limit is how many rows were asked for; zero for a feed that is no window.
	Limit int
	// Order is the effective order that the server told.
	Order string
	// More is whether rows are beyond, as far as was told.
	More bool
	// Bound is the place up to which the feed holds every row: values of the order's fields; nil when it holds all.
	Bound []json.RawMessage
	// CheckPlaces has the server's word of a row's place compared with the rows. They differ for a moment where the database was
	// ahead of the log when a list was read.
	CheckPlaces bool
}

// Shown returns the feed's rows in order, in a window the first of them.
func (f *Feed) Shown() []Row {
	rows := make([]Row, 0, len(f.Rows))
	for _, r := range f.Rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, f.compare)
	if f.Limit > 0 && len(rows) > f.Limit {
		rows = rows[:f.Limit]
	}
	return rows
}

// settle trims the rows of a window where the server says that they are all there is, and finds the bound.
func (f *Feed) settle(trim bool, more *bool) {
	if f.Limit == 0 {
		return
	}
	if trim {
		kept := map[string]Row{}
		for _, r := range f.Shown() {
			kept[r.Key] = r
		}
		f.Rows = kept
	}
	if more != nil {
		f.More = *more
	}
	rows := make([]Row, 0, len(f.Rows))
	for _, r := range f.Rows {
		rows = append(rows, r)
	}
	switch {
	case len(rows) < f.Limit && more != nil && !*more:
		f.Bound = nil
	case len(rows) == 0:
	case len(rows) >= f.Limit, more != nil, f.Bound != nil && f.beyond(slices.MaxFunc(rows, f.compare)):
		f.Bound = f.place(slices.MaxFunc(rows, f.compare))
	}
}

// beyond reports whether a row lies beyond the bound.
func (f *Feed) beyond(r Row) bool {
	bound := Row{Fields: map[string]json.RawMessage{}}
	i := 0
	for name := range strings.SplitSeq(f.Order, ",") {
		bound.Fields[strings.TrimPrefix(name, "-")] = f.Bound[i]
		i++
	}
	bound.Key = r.Key
	return f.compare(r, bound) > 0
}

func (f *Feed) place(r Row) []json.RawMessage {
	var values []json.RawMessage
	for name := range strings.SplitSeq(f.Order, ",") {
		values = append(values, r.Fields[strings.TrimPrefix(name, "-")])
	}
	return values
}

func (f *Feed) compare(a, b Row) int {
	if f.Order != "" {
		for name := range strings.SplitSeq(f.Order, ",") {
			field, desc := strings.CutPrefix(name, "-")
			c := compareJSON(a.Fields[field], b.Fields[field])
			if c != 0 && desc {
				return -c
			} else if c != 0 {
				return c
			}
		}
	}
	return cmp.Compare(a.Key, b.Key)
}

func compareJSON(a, b json.RawMessage) int {
	if bytes.Equal(a, b) {
		return 0
	}
	rank := func(v json.RawMessage) int { return strings.IndexByte("nft", v[0]) } // null, false, true
	if x, y := rank(a), rank(b); x >= 0 || y >= 0 {
		return cmp.Compare(x, y)*b2i(x >= 0 && y >= 0) + b2i(x < 0) - b2i(y < 0)
	}
	var s, t string
	if json.Unmarshal(a, &s) == nil && json.Unmarshal(b, &t) == nil {
		p, err1 := time.Parse(time.RFC3339Nano, s)
		q, err2 := time.Parse(time.RFC3339Nano, t)
		if err1 == nil && err2 == nil {
			return p.Compare(q)
		}
		return cmp.Compare(s, t)
	}
	var m, n float64
	_, _ = json.Unmarshal(a, &m), json.Unmarshal(b, &n)
	return cmp.Compare(m, n)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// checkPlaces reports where the server's word of a row's place is wrong, once a whole message was applied.
func (f *Feed) checkPlaces(m Message) error {
	if f.Limit == 0 {
		return nil
	}
	rows := f.Shown()
	for _, c := range m.Changes {
		if c.At == nil {
			continue
		}
		if *c.At >= len(rows) || rows[*c.At].Key != c.Key {
			return fmt.Errorf("row %s is said to be at %d, and is not: %v", c.Key, *c.At, keysOf(rows))
		}
	}
	return nil
}

func keysOf(rows []Row) (keys []string) {
	for _, r := range rows {
		keys = append(keys, r.Key)
	}
	return keys
}
