package live

import (
	"maps"
	"reflect"

	"github.com/swampline/live/where"
)

// RouterInfo is what a registered router declares, as plain data: for tools that write types, documents or forms of it. What
// depends on the caller is not in it: scope, and which view and which verbs are his.
type RouterInfo struct {
	// Name is how clients call the router.
	Name string
	// Model is the Go type of its rows.
	Model reflect.Type
	// Fields are the published fields: those of the model in the order of the struct, then the computed and the nested ones, each
	// by name.
	Fields []FieldInfo
	// Views are the audiences that see less than Fields, by name; empty for a serializer without.
	Views []ViewInfo
	// List, Count, Get, Create, Update and Delete say which of these verbs exist.
	List, Count, Get, Create, Update, Delete bool
	// Verbs are those of the application's own, by name.
	Verbs []VerbInfo
	// Relations are those of the serializer, by name; the routers that they name need not be registered.
	Relations map[string]Relation
}

// ViewInfo is a view: its fields as the audience sees them, in the order of [RouterInfo].Fields. Of a nested field it has those fields
// that the view of the same name shows, and Write says what this audience may write.
type ViewInfo struct {
	Name   string
	Fields []FieldInfo
}

// FieldInfo is one published field.
type FieldInfo struct {
	// Name is how the field is published.
	Name string
	// Type is the Go type of a field of the model, nil for one that is computed or nested. Pointers and sql.Null are the value that
	// they hold, and may be null.
	Type reflect.Type
	// Kind says how values of a field of the model go over the wire and compare: where.Opaque for what is none of the others. It is
	// zero for a field that is computed or nested.
	Kind where.Type
	// Nullable says that the field may be null.
	Nullable bool
	// Key and Version mark the fields of these meanings.
	Key, Version bool
	// Write says that clients may write the field, and Decoded that a func of the serializer reads it, so that what they write
	// need not be of its Type.
	Write, Decoded bool
	// Filter says that clients may filter by the field, and Order that they may sort by it.
	Filter, Order bool
	// Nested are the fields of the rows that a nested field holds: of one row, or null, or with Many of a list. These can neither be
	// written, filtered nor sorted by. Nil for every other field.
	Nested []FieldInfo
	Many   bool
}

// VerbInfo is a verb of the application's own.
type VerbInfo struct {
	Name string
	// Row says that it is called for a row: it is a RowVerb.
	Row bool
	// In and Out are the Go types of what clients send and are answered, in the form of encoding/json; struct{} stands for nothing.
	In, Out reflect.Type
}

// Routers returns what the registered routers declare, by name. The caller may change what it is given.
func (h *Hub) Routers() []RouterInfo {
	h.mu.Lock()
	defer h.mu.Unlock()
	var infos []RouterInfo
	for _, name := range sortedKeys(h.endpoints) {
		infos = append(infos, h.endpoints[name].info())
	}
	return infos
}

// info is what the router declares.
func (r *Router[T]) info() RouterInfo {
	i := RouterInfo{
		Name: r.Name, Model: reflect.TypeFor[T](), Fields: r.model.info(""), Relations: maps.Clone(r.Serializer.Relations),
		List: r.List != nil, Count: r.Count != nil, Get: r.Get != nil,
		Create: r.Create != nil, Update: r.Update != nil, Delete: r.Delete != nil,
	}
	for _, name := range sortedKeys(r.Serializer.Views) {
		i.Views = append(i.Views, ViewInfo{name, r.model.info(name)})
	}
	for _, name := range sortedKeys(r.Verbs) {
		v := r.Verbs[name]
		in, out := v.types()
		i.Verbs = append(i.Verbs, VerbInfo{Name: name, Row: v.row() != nil, In: in, Out: out})
	}
	return i
}

// info is what a view shows; without a name, what is published.
func (m *model[T]) info(view string) []FieldInfo {
	v := m.views[view]
	infos := []FieldInfo{}
	for i := range m.fields {
		if !v.Shows(i) {
			continue
		}
		f := &m.fields[i]
		infos = append(infos, FieldInfo{
			Name: f.name, Type: reflect.TypeFor[T]().FieldByIndex(f.path).Type, Kind: f.codec.typ, Nullable: f.codec.nullable,
			Key: f.key, Version: f.version, Write: v.write[i], Decoded: v.write[i] && m.decode[f.name] != nil, Filter: f.matchable(),
			Order: f.matchable() && v.Where.CheckOrder([]where.Order{{Field: f.name}}) == nil,
		})
	}
	for j := range m.computed {
		if v.Shows(len(m.fields) + j) {
			infos = append(infos, FieldInfo{Name: m.computed[j].name})
		}
	}
	for _, n := range m.nested {
		if v.Has(n.name) {
			fields, many := n.info(view)
			infos = append(infos, FieldInfo{Name: n.name, Nested: fields, Many: many, Nullable: !many})
		}
	}
	return infos
}
