package live

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/where"
)

// Router is one model's live endpoint: who may see which rows, what may be filtered, which verbs exist, and where the
// application reports what happened to a row. Fill in a struct literal and give it to [Hub.Register]; do not copy it or
// change it afterwards. Its methods may be called by any goroutine.
//
// A verb exists if its func is set. The funcs are called concurrently, with the context of the caller's request: its
// values are there, so the application's middleware is the authentication. A session that outlives its request keeps them.
type Router[T any] struct {
	// Name is how clients call the router: lower case letters, digits, "_" and "-".
	Name string

	// Serializer says which fields go out; its zero value takes those that T's tags declare.
	Serializer Serializer[T]

	// Scope says which rows the caller may see: a predicate over T's fields. It is evaluated for each subscription and
	// each call, put on every read, and decides on every change who is told. An error refuses: an *Error as it says, any
	// other as internal. It must be set; Everyone makes all rows public.
	Scope func(ctx context.Context) (where.Where, error)

	// List returns the rows that match q.Where, in the order of q.Order, the first q.Limit of them. Rows that do not match are
	// dropped, the order is made right and the rest cut off afterwards, so a func that returns everything is correct, if slow.
	// What it returns must depend on q alone: callers whose scope and filter come to the same are given the same rows,
	// read once. Without it the router cannot be subscribed to.
	List func(ctx context.Context, q Query) ([]T, error)

	// Count returns how many rows match q.Where. It lets clients follow that number; like List it must depend on q alone.
	Count func(ctx context.Context, q Query) (int64, error)

	// MaxRows bounds a list. Who asks for no limit and has more rows gets the first MaxRows, as a window that stays right;
	// a larger limit is refused. Zero means 1,000.
	MaxRows int

	// Get returns the row of a key, or ErrNotFound. The scope is checked afterwards.
	Get func(ctx context.Context, key Key) (T, error)

	// Create stores a new row and returns it as stored. In holds what the client wrote, everything else is zero.
	Create func(ctx context.Context, in T) (T, error)

	// Update stores a row and returns it as stored. Was is the row as Get returned it, of the version that the client saw;
	// now is was with what the client wrote. A model with a version is stored with "WHERE … AND version = was.Version", and
	// ErrConflict says that no row was hit. A write that says what its writer saw of its fields is tried again then, up to three times, from Get on and in
	// a Tx of its own: docs/conflicts.md. It needs Get.
	Update func(ctx context.Context, was, now T) (T, error)

	// Delete removes a row. Was is the row as Get returned it. It needs Get.
	Delete func(ctx context.Context, was T) error

	// Verbs are verbs of the application's own by name, such as
	//
	//	"archive": live.RowVerb[Todo, struct{}, Todo](archive),
	//
	// named as routers are.
	Verbs map[string]CustomVerb

	// Tx runs do in a transaction of the application, with a context that the other funcs find it by: it commits when do returns
	// nil, else it rolls back and returns do's error. When set, create, update and delete run in it whole, from Get to After,
	// clients may write many rows at once, and what was published goes out after the commit. It may run do again, as
	// after a serialization failure: what do published before then does not count.
	Tx func(ctx context.Context, do func(ctx context.Context) error) error

	// Allow is asked before anything else whether the caller may use a verb: "list" (also to subscribe), "get", "create",
	// "update", "delete" or one of Verbs. Its error refuses. Nil: every caller may use every verb that exists.
	Allow func(ctx context.Context, verb string) error

	// AllowRow is asked whether the caller may use a verb on a row that he may see: get, update, delete or a RowVerb. Its
	// error refuses. It hides nothing: that is for Scope, and get is only one of the ways to a row. Nil: he may.
	AllowRow func(ctx context.Context, verb string, row T) error

	// Before is called before a row is stored or deleted, with what the client wrote decoded. It may change what w.Now points
	// to, to give initial values or to override the client's, or refuse with an error. What it sets is the application's:
	// the scope was checked before.
	Before func(ctx context.Context, w *Write[T]) error

	// Validate says what is wrong with a row that is to be created, was being nil, or updated, after Before: usually with an
	// Invalid. If *T has a method Validate(context.Context) error it is called too, may put the row in order, and the answer names
	// what both found.
	Validate func(ctx context.Context, was *T, now T) error

	// After is called after a row was stored or deleted, in the same transaction. What it publishes goes out together with the
	// row. When it panics the caller is answered "internal", and a transaction is rolled back; without one the row stays
	// stored, so that much is published all the same.
	After func(ctx context.Context, w *Write[T])

	// Touches are the rows of other routers that hold rows of this one in nested fields: what is published of a row here
	// touches them, in the same entry of the log. Parent makes one.
	Touches []Toucher[T]

	model    *model[T]
	endpoint *endpoint
}

// Publisher is what model code needs of a router: it reports what was committed. A *Router[T] is one.
type Publisher[T any] interface {
	Created(ctx context.Context, now T) error
	Updated(ctx context.Context, was, now T) error
	Deleted(ctx context.Context, was T) error
}

// Query is what a List func is asked for.
type Query struct {
	// Where is what the caller may see and asked for, with its values typed by the fields.
	Where *where.Predicate
	// Order is what to sort by; empty when the caller does not care. Otherwise no two rows are equal in it: it ends with the
	// key.
	Order []where.Order
	// Limit is how many rows are wanted, from the first; zero means all.
	Limit int

	schema *where.Schema
}

// SQL returns the query's WHERE, ORDER BY and LIMIT clauses and the arguments of their placeholders:
//
//	clause, args := q.SQL(where.SQLite)
//	rows, err := db.QueryContext(ctx, "SELECT id, title, done FROM todos "+clause, args...)
//
// The columns are named as the fields are, unless the dialect's Columns says otherwise.
func (q Query) SQL(d where.Dialect) (clause string, args []any) {
	cond, args := q.Where.SQL(d)
	clause = "WHERE " + cond
	if len(q.Order) > 0 {
		clause += " ORDER BY " + d.OrderBy(q.schema, q.Order)
	}
	if q.Limit > 0 {
		clause += " LIMIT " + strconv.Itoa(q.Limit)
	}
	return clause, args
}

// Created tells subscribers of a new row, after it was committed. It returns when the change is on the log; in a [Hub.Batch] and in
// a verb's func when it is noted, to go out when that has succeeded.
func (r *Router[T]) Created(ctx context.Context, now T) error {
	return r.publish(ctx, record.Create, nil, &now)
}

// Updated tells subscribers that a row changed from was to now, after it was committed: those that saw it and see it are
// sent the fields that differ, others that it enters or leaves. It returns when Created does.
func (r *Router[T]) Updated(ctx context.Context, was, now T) error {
	return r.publish(ctx, record.Update, &was, &now)
}

// Deleted tells subscribers that a row is gone, after that was committed. It returns when Created does.
func (r *Router[T]) Deleted(ctx context.Context, was T) error {
	return r.publish(ctx, record.Delete, &was, nil)
}

// Changed tells subscribers of a row as it is now when the caller does not know what it was. Each hub takes the state that
// it saw last, as it does for all rows that some subscription holds. It costs more than Updated: the whole row is sent where
// the difference would have done, and where a hub cannot know who holds the row, subscriptions that resumed there
// are resynced, and every count that somebody watches there, and that the row may have left, is asked of the database anew.
func (r *Router[T]) Changed(ctx context.Context, now T) error {
	return r.publish(ctx, record.Put, nil, &now)
}

const defaultMaxRows = 1000

var routerName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// register checks the declaration and binds the router to a hub.
func (r *Router[T]) register(h *Hub) error {
	if r.endpoint != nil {
		return fmt.Errorf("router %s: it is registered already; make one Router for each hub", r.Name)
	}
	if !routerName.MatchString(r.Name) {
		return fmt.Errorf("router %q: the name is not allowed: use lower case letters, digits, \"_\" and \"-\", beginning with a letter", r.Name)
	}
	if err := r.check(); err != nil {
		return fmt.Errorf("router %s: %w", r.Name, err)
	}
	m, err := r.Serializer.compile(compiling{router: r.Name})
	if err != nil {
		return fmt.Errorf("router %s: %w", r.Name, err)
	}
	r.model = m
	e := &endpoint{hub: h, name: r.Name, schema: m.schema, versioned: m.version >= 0, scope: r.Scope, views: m.views, choose: r.Serializer.View}
	e.row, e.router = reflect.TypeFor[T](), r
	e.plain = len(m.views) == 1 && len(m.nested) == 0
	e.addRelations(r.Serializer.Relations)
	e.info = r.info
	e.verbs = r.verbs()
	if err := h.addEndpoint(e); err != nil {
		return err
	}
	e.keyField, e.maxRows = m.fields[m.key].name, r.MaxRows
	if e.maxRows == 0 {
		e.maxRows = defaultMaxRows
	}
	e.stream = h.engine.AddStream(m.schema)
	e.stream.Fetch, e.stream.Wait = e.fetch, e.wait
	e.allow, e.tx = r.Allow, r.Tx
	if r.AllowRow != nil {
		e.allowRow = func(ctx context.Context, verb string, row any) error { return r.AllowRow(ctx, verb, *row.(*T)) }
	}
	e.parseKey, e.keyJSON = m.parseKey, m.keyJSON
	r.endpoint = e
	return nil
}

// check refuses what cannot work.
func (r *Router[T]) check() error {
	stores := r.Create != nil || r.Update != nil
	writes := stores || r.Delete != nil
	switch {
	case r.Scope == nil:
		return errors.New("it has no Scope: say who may see which rows, or live.Everyone for rows that anybody may see")
	case r.List == nil && r.Get == nil && !writes && len(r.Verbs) == 0:
		return errors.New("it has no verbs: set List, so that it can be subscribed to")
	case r.MaxRows < 0:
		return errors.New("MaxRows is negative: say how many rows a list may have, or leave it zero for 1000")
	case r.Count != nil && r.List == nil:
		return errors.New("its Count needs List: what cannot be listed is not counted")
	case r.Update != nil && r.Get == nil:
		return errors.New("the verb update needs Get, to load the row that is to be updated and to check that the caller may see it")
	case r.Delete != nil && r.Get == nil:
		return errors.New("the verb delete needs Get, to load the row that is to be deleted and to check that the caller may see it")
	case !writes && r.Tx != nil:
		return errors.New("its Tx is never called: set Create, Update or Delete, which run in it, or remove it")
	case !writes && (r.Before != nil || r.After != nil):
		return errors.New("its Before and After are never called: set Create, Update or Delete, around which they are, or remove them")
	case !stores && r.Validate != nil:
		return errors.New("its Validate is never called: set Create or Update, whose rows it checks, or remove it")
	case r.Get == nil && r.AllowRow != nil:
		return errors.New("its AllowRow is never called: set Get, which loads the rows that it is asked for, or remove it")
	case len(r.Serializer.Views) > 0 && r.Serializer.View == nil:
		return errors.New("its serializer has Views, and no func View that chooses one for the caller: add it, or remove the Views")
	case len(r.Serializer.Views) == 0 && r.Serializer.View != nil:
		return errors.New("its serializer has a func View, and no Views to choose from: declare them, or remove the func")
	}
	for i, t := range r.Touches {
		if t == nil || !t.declared() {
			return fmt.Errorf("the element %d of its Touches has no router or no func: make it with live.Parent, or remove it", i)
		}
	}
	return r.checkVerbs()
}
