package live

import (
	"reflect"
	"slices"
)

// StoredField is a field of a model that its tags declare: for tools that read rows from the database themselves, such as what
// publishes changes that it finds there.
type StoredField struct {
	// Name is that of the field in predicates and, unless it serves rights only, on the wire.
	Name string
	// Path leads to the field in T, as reflect.Value.FieldByIndex takes it, but for pointers to embedded structs, which may be nil.
	Path []int
	// Type is its Go type.
	Type reflect.Type
	// Key, Version and Match mark the fields of these meanings; Match says that predicates may use the field.
	Key, Version, Match bool
}

// StoredFields returns the fields that T's tags declare, in the order of the struct, those for rights included and those that are
// computed or nested not. It is nil as long as the router is not registered. The caller may change what it is given.
func (r *Router[T]) StoredFields() []StoredField {
	if r.endpoint == nil {
		return nil
	}
	var fields []StoredField
	for i := range r.model.fields {
		f := &r.model.fields[i]
		fields = append(fields, StoredField{
			Name: f.name, Path: slices.Clone(f.path), Type: reflect.TypeFor[T]().FieldByIndex(f.path).Type,
			Key: f.key, Version: f.version, Match: f.matchable(),
		})
	}
	return fields
}

// Hub returns the hub with which the router is registered, nil before.
func (r *Router[T]) Hub() *Hub {
	if r.endpoint == nil {
		return nil
	}
	return r.endpoint.hub
}
