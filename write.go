package live

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
)

// Write is one row on its way through create, update or delete, as the hooks of a [Router] see it. Now and Was may share slices, maps
// and pointers: put new ones in their place, do not change what they hold.
type Write[T any] struct {
	// Verb is "create", "update" or "delete".
	Verb string
	// Was is the row as Get returned it; nil when it is created.
	Was *T
	// Now is the row that is to be stored, and in After as it was stored; nil when it is deleted.
	Now *T
	// Fields are the names of the fields that the client wrote, sorted.
	Fields []string
}

// permit decides whether a row may be stored. Written holds the fields that are final; nil means all.
type permit func(o record.Object, written map[string]bool) error

// prepare does all of a writing verb that can refuse a row. Loaded is the row as Get returned it, a *T, nil for create.
type prepare func(ctx context.Context, v *view, loaded any, data json.RawMessage, permit permit) (store, error)

// store stores a row that was prepared, and publishes that unless the application's func did. It returns the row as it was stored.
type store func(ctx context.Context) (record.Object, error)

func (r *Router[T]) create(ctx context.Context, v *view, _ any, data json.RawMessage, permit permit) (store, error) {
	w := &Write[T]{Verb: "create", Now: new(T)}
	written, problem := r.model.write(v, w.Now, data)
	if problem != nil {
		return nil, problem
	}
	draft, err := r.model.draft(w.Now, written)
	if err != nil {
		return nil, err
	}
	if err := permit(draft, written); err != nil {
		return nil, err
	}
	w.Fields = slices.Sorted(maps.Keys(written))
	if err := r.before(ctx, w); err != nil {
		return nil, err
	}
	return r.storing(w, record.Create, nil, func(ctx context.Context) (*T, error) {
		row, err := r.Create(ctx, *w.Now)
		return &row, err
	}), nil
}

func (r *Router[T]) update(ctx context.Context, v *view, loaded any, data json.RawMessage, permit permit) (store, error) {
	was := *loaded.(*T)
	seen, now := was, was // hooks get a copy of what was: it is published later
	w := &Write[T]{Verb: "update", Was: &seen, Now: &now}
	written, problem := r.model.write(v, w.Now, data)
	if problem != nil {
		return nil, problem
	}
	draft, err := r.model.bare(w.Now)
	if err != nil {
		return nil, err
	}
	if err := permit(draft, nil); err != nil {
		return nil, err
	}
	w.Fields = slices.Sorted(maps.Keys(written))
	if err := r.before(ctx, w); err != nil {
		return nil, err
	}
	return r.storing(w, record.Update, &was, func(ctx context.Context) (*T, error) {
		row, err := r.Update(ctx, was, *w.Now)
		return &row, err
	}), nil
}

func (r *Router[T]) remove(ctx context.Context, _ *view, loaded any, _ json.RawMessage, _ permit) (store, error) {
	was := *loaded.(*T)
	seen := was
	w := &Write[T]{Verb: "delete", Was: &seen}
	if err := r.before(ctx, w); err != nil {
		return nil, err
	}
	return r.storing(w, record.Delete, &was, func(ctx context.Context) (*T, error) {
		return nil, r.Delete(ctx, was)
	}), nil
}

// before runs the hook of this name, then validates what is to be stored.
func (r *Router[T]) before(ctx context.Context, w *Write[T]) error {
	deleted := w.Now == nil
	if r.Before != nil {
		if err := r.Before(ctx, w); err != nil {
			return err
		}
		if deleted != (w.Now == nil) {
			return fmt.Errorf("live: router %s: Before changed whether there is a row to store: it may change what Now points to, and set Now to another row if there was one", r.Name)
		}
	}
	if deleted {
		return nil
	}
	return r.validate(ctx, w)
}

// storing returns what stores a row with the application's func, which do calls.
func (r *Router[T]) storing(w *Write[T], op record.Op, was *T, do func(context.Context) (*T, error)) store {
	return func(ctx context.Context) (o record.Object, err error) {
		inside, b := r.endpoint.hub.begin(ctx) // a batch of its own tells what the func published of this row
		defer b.abandon(ctx)
		now, err := do(inside)
		if err != nil {
			return o, err
		}
		if err := r.publishOnce(inside, b, op, was, now); err != nil {
			return o, err
		}
		if _, err := b.commit(ctx); err != nil {
			return o, err
		}
		if now != nil {
			if o, err = r.model.bare(now); err != nil {
				return o, err
			}
		}
		w.Now = now
		return o, r.after(ctx, w)
	}
}

// publishOnce publishes what a verb did unless the application's func has published it.
func (r *Router[T]) publishOnce(ctx context.Context, b *batch, op record.Op, was, now *T) error {
	changes, failed := r.changes(ctx, op, was, now)
	if len(changes) == 0 {
		return failed
	}
	changes = slices.DeleteFunc(changes, b.tells)
	if len(changes) == 0 {
		return nil
	}
	return r.appendWithParents(ctx, changes, failed, was, now)
}

// after runs the hook of this name. When it panics, what it published is dropped.
func (r *Router[T]) after(ctx context.Context, w *Write[T]) (err error) {
	if r.After == nil {
		return nil
	}
	inside, b := r.endpoint.hub.begin(ctx)
	defer b.abandon(ctx)
	defer func() {
		if p := recover(); p != nil {
			err = &afterError{session.NewPanicError(p)}
		}
	}()
	r.After(inside, w)
	_, err = b.commit(ctx)
	return err
}

// afterError is a panic of After: the row was stored already.
type afterError struct{ err error }

func (e *afterError) Error() string { return "After: " + e.err.Error() }
func (e *afterError) Unwrap() error { return e.err }
