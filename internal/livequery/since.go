package livequery

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// Since returns which of the fields that a view shows changed between two versions of a row, each with its last change, as the newest entries of
// the log tell, oldest first; nil when they do not tell all of it. Of a row that the predicate did not match all the while, nothing is told:
// what happened to it meanwhile is not for who could not see it. The version itself is no field that changes.
func (v *View) Since(entries []*Entry, scope *where.Predicate, key string, from, to int64) map[string]wire.FieldChange {
	steps := v.schema.steps(entries, key)
	found := map[string]wire.FieldChange{}
	for at := to; at > from; {
		c, changed, before, ok := into(steps, at, from)
		if !ok {
			return nil
		}
		row, err := v.schema.Row(c.values)
		if err != nil || !scope.Match(row) {
			return nil
		}
		for i, f := range v.schema.Fields {
			name := cmp.Or(f.As, f.Name)
			if _, later := found[name]; changed[i] && v.shown[i] && !f.Version && !later {
				found[name] = wire.FieldChange{Version: at, By: c.by}
			}
		}
		at = before
	}
	return found
}

// steps are the changes of a row since it was last created, as far as the entries hold them, by the version that they made.
func (s *Schema) steps(entries []*Entry, key string) map[int64][]*Change {
	steps := map[int64][]*Change{}
	for _, e := range slices.Backward(entries) {
		for _, c := range slices.Backward(e.Changes) {
			if c.key != key || c.bulk != nil || c.stream.Schema != s {
				continue
			}
			if c.op == record.Delete {
				return steps
			}
			if c.number != nil {
				steps[*c.number] = append(steps[*c.number], c)
			}
			if c.op == record.Create {
				return steps
			}
		}
	}
	return steps
}

// into finds the change that made a version out of an earlier one, though of none before from: by what its publisher says, or else because
// what the row was at the version right before it is there.
func into(steps map[int64][]*Change, at, from int64) (c *Change, changed []bool, before int64, ok bool) {
	for _, c := range steps[at] {
		if c.changed != nil && c.after != nil && *c.after >= from && *c.after < at {
			return c, c.changed, *c.after, true
		}
	}
	if len(steps[at]) == 0 || len(steps[at-1]) == 0 {
		return nil, nil, 0, false
	}
	c, was := steps[at][len(steps[at])-1], steps[at-1][0] // what made it, not what told of it again
	changed = make([]bool, len(c.values))
	for i := range changed {
		changed[i] = !bytes.Equal(c.values[i], was.values[i])
	}
	return c, changed, at - 1, true
}

// versionOf reads the version of what a row was, nil when it is not there.
func (s *Schema) versionOf(fields record.Fields) *int64 {
	data, ok := fields[s.version]
	if !ok {
		return nil
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}
