package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// mergeAttempts is how often a write with a base is tried when other writes come between its Get and its UPDATE.
const mergeAttempts = 4

// merging runs do, again while it conflicts if it is a merge: then the row is loaded anew, and the write may fit it still. Each run has
// a transaction of its own, for one that has read the row may go on seeing it so.
func (e *endpoint) merging(merges bool, do func() error) (err error) {
	for range mergeAttempts {
		if err = do(); !merges || !errors.Is(err, ErrConflict) {
			break
		}
	}
	return err
}

// checkBase is checkVersion for a write that says what its writer saw of the fields that it writes: another version is none the worse as long
// as these are still so.
func (e *endpoint) checkBase(ctx context.Context, by rights, i item, loaded any, o record.Object) error {
	seen, err := e.seenVersion(i.version)
	if err != nil {
		return err
	}
	conflicts, problem := e.verbs.overlap(by.view, loaded, i, seen != nil && *seen != *o.Version)
	switch {
	case problem != nil:
		return problem
	case len(conflicts) == 0 || seen != nil && *seen == *o.Version:
		return nil
	}
	p := ErrConflict.problem()
	p.Conflicts = conflicts
	return e.tell(ctx, p, by, seen, o)
}

// overlap names the fields of a write that are not as its writer saw them; with versions, another version of the row counts for those of
// which he does not say what he saw. What he may not write is refused first: what it is, is not for him to find out.
func (r *Router[T]) overlap(v *view, loaded any, i item, versions bool) (conflicts []string, problem *wire.Problem) {
	m, row := r.model, loaded.(*T)
	draft := *row
	written, problem := m.write(v, &draft, i.data)
	if problem != nil {
		return nil, problem
	}
	var base map[string]json.RawMessage
	if err := json.Unmarshal(i.base, &base); err != nil || base == nil {
		return nil, wire.NewProblem(http.StatusBadRequest, "malformed_message", "base: want an object of fields, got "+describe(i.base)).Field("base", "want an object of fields")
	}
	for _, name := range slices.Sorted(maps.Keys(base)) {
		if !written[name] {
			return nil, wire.NewProblem(http.StatusBadRequest, "malformed_message",
				fmt.Sprintf("base: it has a field %q that data has not", clip(name))).Field("base", "want fields of data alone")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		saw, said := base[name]
		same, message := !versions, ""
		if said {
			same, message = m.holds(row, name, saw)
		}
		switch {
		case message != "":
			if problem == nil {
				problem = wire.NewProblem(http.StatusUnprocessableEntity, "invalid_value", fmt.Sprintf("base: field %q: %s", clip(name), message))
			}
			problem.Field("base."+name, message)
		case !same:
			conflicts = append(conflicts, name)
		}
	}
	return conflicts, problem
}

// holds reports whether a field of a row has a value, as JSON that a client sent, or what is wrong with that. It is a value that the client was
// sent, so a decoder of what clients write has no part in it.
func (m *model[T]) holds(row *T, name string, saw json.RawMessage) (same bool, message string) {
	f, draft := &m.fields[m.fieldNames[name]], *row
	is, err := f.get(reflect.ValueOf(row).Elem())
	if err != nil {
		return false, ""
	}
	if f.codec.oneWay { // only a decoder writes it
		return sameJSON(is, saw), ""
	}
	if err := f.set(reflect.ValueOf(&draft).Elem(), bytes.TrimSpace(saw)); err != nil {
		return false, f.codec.explain(bytes.TrimSpace(saw), err)
	}
	was, err := f.get(reflect.ValueOf(&draft).Elem())
	return err == nil && f.codec.same(is, was), ""
}

// same reports whether two JSON values of the type are one. A database may return a time in another zone, and JSON in another spelling.
func (c *codec) same(a, b []byte) bool {
	switch {
	case bytes.Equal(a, b):
		return true
	case c.typ == where.Time:
		var s, t time.Time
		return json.Unmarshal(a, &s) == nil && json.Unmarshal(b, &t) == nil && s.Equal(t) && !bytes.Equal(a, null) && !bytes.Equal(b, null)
	case c.shapeless:
		return sameJSON(a, b)
	}
	return false
}

// sameJSON reports whether two texts are the same JSON, with numbers as they stand.
func sameJSON(a, b []byte) bool {
	s, okS := anyValue(a)
	t, okT := anyValue(b)
	return okS && okT && reflect.DeepEqual(s, t)
}

func anyValue(data []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return v, d.Decode(&v) == nil
}
