package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/swampline/live/where"
)

// Model is all routers of a hub whose rows are of one Go type: for adapters of libraries that know no more of a row than its type. Each
// method calls the router's method of its name on each of them, in the order of their names, and all is one entry of the log. A row
// may be given as a T or a *T, a nil one and one of another type are errors. What one router cannot publish, the others do all the same; the
// error tells of each. The zero Model has no routers: it publishes nothing.
type Model struct {
	hub     *Hub
	routers []rowRouter
}

// rowRouter is a *Router[T] to whom T is not known.
type rowRouter interface {
	ChangedWhere(ctx context.Context, w where.Where) error
	created(ctx context.Context, now any) error
	updated(ctx context.Context, was, now any) error
	deleted(ctx context.Context, was any) error
	changed(ctx context.Context, now any) error
}

// Model returns the routers that are registered for rows of row's type: row is a T or a *T, which may be nil. It is false when there are none.
func (h *Hub) Model(row any) (Model, bool) {
	t := reflect.TypeOf(row)
	if t == nil {
		return Model{}, false
	}
	m := Model{hub: h, routers: h.routersOf(t)}
	if m.routers == nil && t.Kind() == reflect.Pointer {
		m.routers = h.routersOf(t.Elem())
	}
	return m, m.routers != nil
}

// routersOf returns what sortRouters made of a type.
func (h *Hub) routersOf(t reflect.Type) []rowRouter {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.models[t]
}

// sortRouters returns the routers of a type in the order of their names. Models share what it returned: adapters ask with each statement.
func (h *Hub) sortRouters(t reflect.Type) (all []rowRouter) {
	for _, name := range slices.Sorted(maps.Keys(h.endpoints)) {
		if e := h.endpoints[name]; e.row == t {
			all = append(all, e.router)
		}
	}
	return all
}

// Created calls [Router.Created].
func (m Model) Created(ctx context.Context, now any) error {
	return m.each(ctx, func(ctx context.Context, r rowRouter) error { return r.created(ctx, now) })
}

// Updated calls [Router.Updated].
func (m Model) Updated(ctx context.Context, was, now any) error {
	return m.each(ctx, func(ctx context.Context, r rowRouter) error { return r.updated(ctx, was, now) })
}

// Deleted calls [Router.Deleted].
func (m Model) Deleted(ctx context.Context, was any) error {
	return m.each(ctx, func(ctx context.Context, r rowRouter) error { return r.deleted(ctx, was) })
}

// Changed calls [Router.Changed].
func (m Model) Changed(ctx context.Context, now any) error {
	return m.each(ctx, func(ctx context.Context, r rowRouter) error { return r.changed(ctx, now) })
}

// ChangedWhere calls [Router.ChangedWhere]. Of a router that does not have a field of w it is an error.
func (m Model) ChangedWhere(ctx context.Context, w where.Where) error {
	return m.each(ctx, func(ctx context.Context, r rowRouter) error { return r.ChangedWhere(ctx, w) })
}

// each publishes on each router, as one entry.
func (m Model) each(ctx context.Context, publish func(context.Context, rowRouter) error) error {
	switch len(m.routers) {
	case 0:
		return nil
	case 1:
		return publish(ctx, m.routers[0])
	}
	var failed []error
	err := m.hub.Batch(ctx, func(ctx context.Context) error {
		for _, r := range m.routers {
			failed = append(failed, publish(ctx, r))
		}
		return nil
	})
	return errors.Join(append(failed, err)...)
}

// rowOfType returns a row that was given as a T or a *T.
func (r *Router[T]) rowOfType(row any) (T, error) {
	switch row := row.(type) {
	case T:
		return row, nil
	case *T:
		if row != nil {
			return *row, nil
		}
		return *new(T), r.failed(errors.New("the row is nil"))
	}
	return *new(T), r.failed(fmt.Errorf("want a row of type %s, got %T", reflect.TypeFor[T](), row))
}

func (r *Router[T]) created(ctx context.Context, now any) error {
	row, err := r.rowOfType(now)
	if err != nil {
		return err
	}
	return r.Created(ctx, row)
}

func (r *Router[T]) updated(ctx context.Context, was, now any) error {
	before, err := r.rowOfType(was)
	if err != nil {
		return err
	}
	after, err := r.rowOfType(now)
	if err != nil {
		return err
	}
	return r.Updated(ctx, before, after)
}

func (r *Router[T]) deleted(ctx context.Context, was any) error {
	row, err := r.rowOfType(was)
	if err != nil {
		return err
	}
	return r.Deleted(ctx, row)
}

func (r *Router[T]) changed(ctx context.Context, now any) error {
	row, err := r.rowOfType(now)
	if err != nil {
		return err
	}
	return r.Changed(ctx, row)
}
