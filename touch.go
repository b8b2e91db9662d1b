package live

import (
	"context"
	"errors"
	"fmt"

	"github.com/swampline/live/internal/record"
)

// Touch tells subscribers that what rows hold in nested fields has changed. The rows are loaded anew, by one List for all that asks
// for their keys, or by Get where there is no List, in ctx and without anybody's scope; and they are sent in whole to those who
// see them. Where two touches of a row run at the same time, the one that is published last counts, which may be the one that was
// loaded first: let the row's version grow with what it holds, and the newer one counts. Rows that are not there are passed over. It returns when the rows are on the log, as one entry; when they could not be
// loaded, nothing is.
func (r *Router[T]) Touch(ctx context.Context, keys ...Key) error {
	if r.endpoint == nil {
		return errNotRegistered
	}
	if Suppressed(ctx) {
		return nil
	}
	changes, err := r.touch(ctx, keys, map[string]bool{})
	if len(changes) == 0 {
		return err
	}
	return errors.Join(r.endpoint.append(ctx, changes), err)
}

// Toucher says which rows of another router hold a row of type T. [Parent] makes one.
type Toucher[T any] interface {
	// declared reports whether nothing is missing.
	declared() bool
	// touch returns the changes of the rows that hold one of those given. Seen are the rows that are in the entry already.
	touch(ctx context.Context, hub *Hub, rows []*T, seen map[string]bool) ([]record.Change, error)
}

// Parent makes a [Toucher]: a row of type T is held, in a nested field, by the row of the router r whose key the func returns; an empty
// key means by none. An update that moves a row from one parent to another touches both. The parent touches its own parents in
// turn, each row once. When the parents cannot be loaded, the row itself is published all the same, and the publisher is given the error.
//
//	lines := &live.Router[Line]{
//		Name:    "lines",
//		Touches: []live.Toucher[Line]{live.Parent(orders, func(l Line) live.Key { return live.Key(strconv.FormatInt(l.OrderID, 10)) })},
//	}
func Parent[T, P any](r *Router[P], key func(row T) Key) Toucher[T] { return parent[T, P]{r, key} }

type parent[T, P any] struct {
	router *Router[P]
	key    func(T) Key
}

func (p parent[T, P]) declared() bool { return p.router != nil && p.key != nil }

func (p parent[T, P]) touch(ctx context.Context, hub *Hub, rows []*T, seen map[string]bool) ([]record.Change, error) {
	if p.router.endpoint == nil || p.router.endpoint.hub != hub {
		return nil, fmt.Errorf("live: router %s, which is a parent, is not registered with this hub", p.router.Name)
	}
	var keys []Key
	for _, row := range rows {
		if key := p.key(*row); key != "" {
			keys = append(keys, key)
		}
	}
	return p.router.touch(ctx, keys, seen)
}

// touchParents returns the changes of the rows that hold rows of this router, and of those that hold them.
func (r *Router[T]) touchParents(ctx context.Context, rows []*T, seen map[string]bool) ([]record.Change, error) {
	var changes []record.Change
	var failed []error
	for _, t := range r.Touches {
		more, err := t.touch(ctx, r.endpoint.hub, rows, seen)
		changes, failed = append(changes, more...), append(failed, err)
	}
	return changes, errors.Join(failed...)
}

// touch loads rows anew and returns them as changes, with those of the rows that hold them.
func (r *Router[T]) touch(ctx context.Context, keys []Key, seen map[string]bool) ([]record.Change, error) {
	var fresh []Key
	for _, key := range keys {
		if id := r.Name + "\x00" + string(key); !seen[id] {
			seen[id] = true
			fresh = append(fresh, key)
		}
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	found, _, err := r.reload(ctx, fresh)
	if err != nil {
		return nil, r.failed(err)
	}
	changes, rows, err := r.puts(ctx, found)
	if err != nil {
		return nil, err
	}
	parents, err := r.touchParents(ctx, rows, seen)
	return append(changes, parents...), err
}

// puts makes the records of rows that were loaded anew.
func (r *Router[T]) puts(ctx context.Context, found []T) (changes []record.Change, rows []*T, err error) {
	rows = make([]*T, len(found))
	objects := make([]*record.Object, len(found))
	for i := range found {
		o, err := r.object(&found[i])
		if err == nil {
			err = r.compute(&record.Object{}, &o)
		}
		if err != nil {
			return nil, nil, err
		}
		rows[i], objects[i] = &found[i], &o
	}
	if err := r.model.nest(ctx, nil, objects); err != nil {
		return nil, nil, r.failed(err) // sent in whole without what it nests, a row would take from clients what they have
	}
	for _, o := range objects {
		changes = append(changes, r.change(record.Put, nil, o))
	}
	return changes, rows, nil
}
