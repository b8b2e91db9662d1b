package live

import (
	"fmt"
	"reflect"

	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/record"
)

// Tail returns the hub's log, for who reads it himself, and tells a listener of what the hub follows from here on: package relay/pusher
// calls it.
func (h *Hub) Tail(l extend.Listener) extend.Log {
	host{h}.Listen(l)
	return extend.Log{Broker: h.options.Broker, Logger: h.options.Logger, Running: h.running}
}

// Tail returns what reads the router's rows on the log, as those of a view; the empty one has all published fields. Package
// relay/pusher calls it.
func (r *Router[T]) Tail(view string) (rows extend.Rows[T], err error) {
	if r.endpoint == nil {
		return rows, fmt.Errorf("router %s: it is not registered: call hub.Register before", r.Name)
	}
	m := r.model
	v := m.views[view]
	if v == nil {
		return rows, fmt.Errorf("router %s: its serializer has no view %q: declare it in Views", r.Name, view)
	}
	return extend.Rows[T]{Schema: m.schema, View: v.View, Key: m.fields[m.key].name, KeyJSON: m.keyJSON, Part: m.part}, nil
}

// part is a row with the fields that predicates can use, as far as the log has them.
func (m *model[T]) part(fields record.Fields) (row T, err error) {
	v := reflect.ValueOf(&row).Elem()
	for i := range m.fields {
		f := &m.fields[i]
		data := fields[f.name]
		if data == nil || !f.matchable() {
			continue
		}
		if err := f.set(v, data); err != nil {
			return row, fmt.Errorf("field %s: %w", f.goName, err)
		}
	}
	return row, nil
}
