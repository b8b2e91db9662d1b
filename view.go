package live

import (
	"context"
	"fmt"
	"slices"

	"github.com/swampline/live/internal/livequery"
)

// View is the part of a serializer's fields that an audience has. All others do not exist to it: they are not sent, and to
// filter, order by or write one is answered as if it were a name out of the blue. The zero value has every published field.
// The key is in every view.
type View struct {
	// Fields are the fields that the audience sees, by name: published, computed and nested ones. Nil means all that are
	// published, but those in Except.
	Fields []string
	// Except are the published fields that the audience does not see. It goes without Fields.
	Except []string
	// Write are the fields that the audience may write, out of those of the view that can be written at all. Nil means
	// these; an empty slice means none.
	Write []string
}

// view is a View that was compiled.
type view struct {
	*livequery.View
	write []bool // by the model's field
}

// names returns the names that a view has, out of those that are published.
func (v View) names(published []string) (map[string]bool, error) {
	for _, name := range slices.Concat(v.Fields, v.Except) {
		if !slices.Contains(published, name) {
			return nil, fmt.Errorf("%q is no published field: want one of %s", name, list(published))
		}
	}
	if v.Fields != nil && v.Except != nil {
		return nil, fmt.Errorf("it has both Fields and Except: leave one of them")
	}
	names := map[string]bool{}
	for _, name := range published {
		names[name] = v.Fields == nil && !slices.Contains(v.Except, name) || slices.Contains(v.Fields, name)
	}
	return names, nil
}

// addViews compiles the views, with that of all published fields.
func (m *model[T]) addViews(views map[string]View, shown map[string]map[string]bool) error {
	m.views = map[string]*view{"": m.allOf(m.schema.View(""))}
	for _, name := range sortedKeys(views) {
		names := shown[name]
		if key := m.fields[m.key].name; !names[key] {
			return fmt.Errorf("view %q: it lacks the key, without which no client can hold a row: add %q", name, key)
		}
		fields := make([]bool, len(m.schema.Fields))
		for i, f := range m.schema.Fields {
			fields[i] = f.Published && names[f.Name]
		}
		for _, n := range m.nested {
			for i := range n.variants {
				fields[n.first+i] = names[n.name] && n.of[name] == i
			}
		}
		v := m.allOf(m.schema.AddView(name, fields))
		if err := m.permit(v, views[name].Write); err != nil {
			return fmt.Errorf("view %q: %w", name, err)
		}
		m.views[name] = v
	}
	return nil
}

// allOf returns a view in which everything can be written that it shows and that can be written at all.
func (m *model[T]) allOf(v *livequery.View) *view {
	write := make([]bool, len(m.fields))
	for i := range m.fields {
		write[i] = m.fields[i].write && v.Shows(i)
	}
	return &view{v, write}
}

// permit narrows what can be written in a view.
func (m *model[T]) permit(v *view, names []string) error {
	if names == nil {
		return nil
	}
	write := make([]bool, len(m.fields))
	for _, name := range names {
		i, ok := m.fieldNames[name]
		switch {
		case !v.Has(name):
			return fmt.Errorf("its Write names %q, which is no field of the view: add it to the view, or remove it there", name)
		case !ok || !m.fields[i].write:
			return fmt.Errorf("its Write names %q, which cannot be written: give the field the option write or a decoder, or remove it there", name)
		}
		write[i] = true
	}
	v.write = write
	return nil
}

// view returns what the caller may see and write. An error refuses him: there is no view for those of whom nobody knows.
func (e *endpoint) view(ctx context.Context) (v *view, err error) {
	if e.choose == nil {
		return e.views[""], nil
	}
	defer e.hub.caught(&err, inScope)
	name, err := e.choose(ctx)
	if err != nil {
		return nil, err
	}
	if v = e.views[name]; v == nil {
		return nil, fmt.Errorf("live: router %s: the serializer's View returned %q, which is not declared: add it to Views, or return one of %s",
			e.name, name, list(sortedKeys(e.views)[1:]))
	}
	return v, nil
}

// list quotes names for a sentence.
func list(names []string) string {
	text := ""
	for i, name := range names {
		switch {
		case i > 0 && i == len(names)-1:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += fmt.Sprintf("%q", name)
	}
	return text
}
