package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/where"
)

// ChangedID tells subscribers of rows of which the caller knows the keys alone, after what happened to them was committed. The rows
// are loaded anew, by one List with the keys as its only predicate or else by Get, and published as Changed publishes them, with the
// parents that they touch; those that are not there any more are published as deleted, and which parents held them nobody can tell.
// All is one entry of the log.
//
// It costs that query, for 500 keys each, besides what [Router.Changed] costs. The scope is not asked, so a List or Get that
// itself leaves rows out, because of who is in ctx, would have them deleted for everybody: give it a ctx that sees all. An error of
// List or Get is returned, and nothing is published then.
func (r *Router[T]) ChangedID(ctx context.Context, ids ...Key) error {
	if r.endpoint == nil {
		return errNotRegistered
	}
	if len(ids) == 0 || Suppressed(ctx) {
		return nil
	}
	found, missing, err := r.reload(ctx, ids)
	if err != nil {
		return r.failed(err)
	}
	changes, rows, err := r.puts(ctx, found)
	if err != nil {
		return err
	}
	for _, key := range missing {
		changes = append(changes, record.Change{Router: r.Name, Op: record.Delete, Key: string(key)})
	}
	seen := map[string]bool{}
	for _, c := range changes {
		seen[c.Router+"\x00"+c.Key] = true
	}
	parents, err := r.touchParents(ctx, rows, seen)
	return errors.Join(r.endpoint.append(ctx, append(changes, parents...)), err)
}

// ChangedWhere tells subscribers that any row may have come, changed or gone of those that w matches: after an UPDATE, INSERT or
// DELETE of many rows that the router did not see was committed. W must match each of these rows both as it was and as it is: after
// "UPDATE todos SET list_id = 8 WHERE list_id = 7" that is where.In("list_id", 7, 8). It may use the fields that a Scope may use;
// where.Where{} says that anything may have changed. A model with a version must have raised it.
//
// It costs one small entry of the log, whatever the number of rows, and on every node a new list, with reason "bulk", for each
// subscription whose predicate has something in common with w. So it is for changes of more rows than subscribers have lists; for
// a few use [Router.ChangedID].
func (r *Router[T]) ChangedWhere(ctx context.Context, w where.Where) error {
	if r.endpoint == nil {
		return errNotRegistered
	}
	p, err := r.model.schema.Where.Bind(w)
	if err != nil {
		return fmt.Errorf("live: router %s: ChangedWhere: %w", r.Name, err)
	}
	if n := p.Node(); n.Op == where.OpOr && len(n.Kids) == 0 || Suppressed(ctx) {
		return nil
	}
	return r.endpoint.append(ctx, []record.Change{{Router: r.Name, Op: record.Bulk, Where: json.RawMessage(p.String())}})
}

type suppressKey struct{}

// Suppress returns a context with which publishing does nothing, on every router and channel, and returns nil: for an import that
// goes through code which publishes each row, and that ends with one ChangedWhere, without it. Until that subscribers do not know
// of what was done, and lists that are loaded meanwhile differ from theirs.
func Suppress(ctx context.Context) context.Context {
	return context.WithValue(ctx, suppressKey{}, true)
}

// Suppressed reports whether publishing with a context does nothing: an adapter then needs not find out what was written.
func Suppressed(ctx context.Context) bool { return ctx.Value(suppressKey{}) != nil }
