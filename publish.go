package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/where"
)

var errNotRegistered = errors.New("live: the router is not registered: call hub.Register before publishing")

// publish appends what happened to a row to the log.
func (r *Router[T]) publish(ctx context.Context, op record.Op, was, now *T) error {
	if r.endpoint == nil {
		return errNotRegistered
	}
	if Suppressed(ctx) {
		return nil
	}
	changes, failed := r.changes(ctx, op, was, now)
	if len(changes) == 0 {
		return failed
	}
	return r.appendWithParents(ctx, changes, failed, was, now)
}

// appendWithParents appends the changes of a row, and the parents that they touch, as one entry. What could not be loaded is
// missing in it, and reported; the row's own change goes out in any case.
func (r *Router[T]) appendWithParents(ctx context.Context, changes []record.Change, failed error, was, now *T) error {
	seen := map[string]bool{}
	for _, c := range changes {
		seen[c.Router+"\x00"+c.Key] = true
	}
	rows := slices.DeleteFunc([]*T{was, now}, func(row *T) bool { return row == nil })
	parents, err := r.touchParents(ctx, rows, seen)
	return errors.Join(r.endpoint.append(ctx, append(changes, parents...)), failed, err)
}

// changes makes the records of what happened to a row. A row whose key changed is one row that went and another that came. With
// changes there is an error when nested rows could not be loaded.
func (r *Router[T]) changes(ctx context.Context, op record.Op, was, now *T) (changes []record.Change, err error) {
	var before, after record.Object
	if was != nil {
		if before, err = r.object(was); err != nil {
			return nil, err
		}
	}
	if now != nil {
		if after, err = r.object(now); err != nil {
			return nil, err
		}
		if err = r.compute(&before, &after); err != nil {
			return nil, err
		}
		if err = r.model.nest(ctx, nil, []*record.Object{&after}); err != nil {
			err = r.failed(err)
		}
	}
	switch {
	case op == record.Update && before.Key != after.Key:
		return []record.Change{
			r.change(record.Delete, &before, nil),
			r.change(record.Create, nil, &after),
		}, err
	case op == record.Delete:
		return []record.Change{r.change(op, &before, nil)}, nil
	case op == record.Update:
		return []record.Change{r.change(op, &before, &after)}, err
	}
	return []record.Change{r.change(op, nil, &after)}, err
}

func (r *Router[T]) failed(err error) error { return fmt.Errorf("live: router %s: %w", r.Name, err) }

// object encodes a row's own fields for the log. What the hubs could not read there, such as a number that filters cannot hold,
// must not get there: they would have to take it for a change to any row.
func (r *Router[T]) object(row *T) (record.Object, error) {
	o, err := r.model.bare(row)
	if err == nil {
		_, err = r.model.schema.Row(o.Values)
	}
	if err != nil {
		err = r.failed(err)
	}
	return o, err
}

// compute adds the computed fields: of the row as it was, only those that must be compared.
func (r *Router[T]) compute(was, now *record.Object) error {
	if was.Row != nil {
		if err := r.model.compute(was, func(_ int, c *computed[T]) bool { return c.from == nil }); err != nil {
			return r.failed(err)
		}
	}
	if err := r.model.compute(now, func(int, *computed[T]) bool { return true }); err != nil {
		return r.failed(err)
	}
	return nil
}

// change makes one record.
func (r *Router[T]) change(op record.Op, was, now *record.Object) record.Change {
	schema := r.model.schema
	c := record.Change{Router: r.Name, Op: op}
	if was != nil {
		c.Key, c.Version = was.Key, was.Version
		c.Was = record.Fields{}
		for _, f := range schema.Where.Fields() {
			i, _ := schema.Index(f.Name)
			c.Was[f.Name] = was.Values[i]
		}
	}
	if now != nil {
		c.Key, c.Version = now.Key, now.Version
		c.Now = record.Fields{}
		for i, f := range schema.Fields {
			if now.Values[i] != nil { // nested rows that could not be loaded
				c.Now[f.Name] = now.Values[i]
			}
		}
	}
	if was != nil && now != nil {
		c.Changed = r.model.changed(was, now)
	}
	return c
}

// reloadAtOnce is how many rows are asked for in one List: databases bound the placeholders of a statement.
const reloadAtOnce = 500

// reload loads rows by key, as they are now: with one List for many when there is one, or else with Get. It returns those that
// are there, and the keys of those that are not, each once and in the order of the keys.
func (r *Router[T]) reload(ctx context.Context, keys []Key) (found []T, missing []Key, err error) {
	var wanted []Key
	twice := map[Key]bool{}
	for _, key := range keys {
		canonical, problem := r.model.parseKey(string(key))
		if problem != nil {
			return nil, nil, fmt.Errorf("key %q: %s", clip(string(key)), problem.Detail)
		}
		if !twice[canonical] {
			twice[canonical] = true
			wanted = append(wanted, canonical)
		}
	}
	if r.List == nil {
		return r.reloadEach(ctx, wanted)
	}
	for some := range slices.Chunk(wanted, reloadAtOnce) {
		rows, gone, err := r.reloadSome(ctx, some)
		if err != nil {
			return nil, nil, err
		}
		found, missing = append(found, rows...), append(missing, gone...)
	}
	return found, missing, nil
}

func (r *Router[T]) reloadEach(ctx context.Context, keys []Key) (found []T, missing []Key, err error) {
	if r.Get == nil {
		return nil, nil, errors.New("it has neither List nor Get, so its rows cannot be loaded anew: set one")
	}
	for _, key := range keys {
		row, err := r.Get(ctx, key)
		switch {
		case errors.Is(err, ErrNotFound):
			missing = append(missing, key)
		case err != nil:
			return nil, nil, err
		default:
			found = append(found, row)
		}
	}
	return found, missing, nil
}

func (r *Router[T]) reloadSome(ctx context.Context, keys []Key) (found []T, missing []Key, err error) {
	values := make([]any, len(keys))
	for i, key := range keys {
		values[i] = json.RawMessage(r.model.keyJSON(string(key)))
	}
	schema := r.model.schema.Where
	p, err := schema.Bind(where.In(r.model.fields[r.model.key].name, values...))
	if err != nil {
		return nil, nil, err
	}
	rows, err := r.List(ctx, Query{Where: p, schema: schema})
	if err != nil {
		return nil, nil, err
	}
	byKey := make(map[Key]*T, len(rows)) // a List may return more than it was asked for
	for i := range rows {
		o, err := r.model.bare(&rows[i])
		if err != nil {
			return nil, nil, err
		}
		byKey[Key(o.Key)] = &rows[i]
	}
	for _, key := range keys {
		if row := byKey[key]; row != nil {
			found = append(found, *row)
		} else {
			missing = append(missing, key)
		}
	}
	return found, missing, nil
}
