package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// endpoint is a registered router without its type: what the hub works with.
type endpoint struct {
	hub       *Hub
	name      string
	schema    *livequery.Schema
	stream    *livequery.Stream
	versioned bool
	scope     func(context.Context) (where.Where, error)
	verbs     verbs
	parseKey  func(string) (Key, *wire.Problem)
	keyField  string
	maxRows   int
	loads     loads
}

// verbs are the funcs of a router; nil ones do not exist. A row that a func hands on to another is a *T.
type verbs struct {
	list   func(ctx context.Context, q Query) ([]record.Object, error)
	count  func(ctx context.Context, q Query) (int64, error)
	get    func(ctx context.Context, key Key) (row any, o record.Object, err error)
	create func(ctx context.Context, data json.RawMessage, permit permit) (record.Object, error)
	update func(ctx context.Context, row any, data json.RawMessage, permit permit) (record.Object, error)
	delete func(ctx context.Context, row any) error
}

// permit decides whether a row may be stored. Written holds the fields that are final; nil means all.
type permit func(o record.Object, written map[string]bool) error

// verbs returns the router's funcs without their type. Each publishes what it did unless the application's func did.
func (r *Router[T]) verbs() verbs {
	v := verbs{count: r.Count}
	if r.List != nil {
		v.list = func(ctx context.Context, q Query) ([]record.Object, error) {
			rows, err := r.List(ctx, q)
			if err != nil {
				return nil, err
			}
			objects := make([]record.Object, len(rows))
			for i := range rows {
				if objects[i], err = r.model.encode(&rows[i]); err != nil {
					return nil, err
				}
			}
			return objects, nil
		}
	}
	if r.Get != nil {
		v.get = func(ctx context.Context, key Key) (any, record.Object, error) {
			row, err := r.Get(ctx, key)
			if err != nil {
				return nil, record.Object{}, err
			}
			o, err := r.model.encode(&row)
			return &row, o, err
		}
	}
	if r.Create != nil {
		v.create = r.create
	}
	if r.Update != nil {
		v.update = r.update
	}
	if r.Delete != nil {
		v.delete = func(ctx context.Context, row any) error {
			was := *row.(*T)
			if err := r.Delete(ctx, was); err != nil {
				return err
			}
			return r.publishOnce(ctx, record.Delete, &was, nil)
		}
	}
	return v
}

func (r *Router[T]) create(ctx context.Context, data json.RawMessage, permit permit) (record.Object, error) {
	var in T
	written, problem := r.model.write(&in, data)
	if problem != nil {
		return record.Object{}, problem
	}
	draft, err := r.model.draft(&in, written)
	if err != nil {
		return record.Object{}, err
	}
	if err := permit(draft, written); err != nil {
		return record.Object{}, err
	}
	row, err := r.Create(ctx, in)
	if err != nil {
		return record.Object{}, err
	}
	if err := r.publishOnce(ctx, record.Create, nil, &row); err != nil {
		return record.Object{}, err
	}
	return r.model.encode(&row)
}

func (r *Router[T]) update(ctx context.Context, loaded any, data json.RawMessage, permit permit) (record.Object, error) {
	was := *loaded.(*T)
	now := was
	if _, problem := r.model.write(&now, data); problem != nil {
		return record.Object{}, problem
	}
	draft, err := r.model.encode(&now)
	if err != nil {
		return record.Object{}, err
	}
	if err := permit(draft, nil); err != nil {
		return record.Object{}, err
	}
	row, err := r.Update(ctx, was, now)
	if err != nil {
		return record.Object{}, err
	}
	if err := r.publishOnce(ctx, record.Update, &was, &row); err != nil {
		return record.Object{}, err
	}
	return r.model.encode(&row)
}

// publishOnce publishes what a verb did unless the application's func has published it.
func (r *Router[T]) publishOnce(ctx context.Context, op record.Op, was, now *T) error {
	changes, err := r.changes(op, was, now)
	if err != nil {
		return err
	}
	if w := writeOf(ctx); w != nil {
		changes = slices.DeleteFunc(changes, func(c record.Change) bool { return w.told(c) })
	}
	if len(changes) == 0 {
		return nil
	}
	return r.endpoint.append(context.WithoutCancel(ctx), changes)
}

// append puts changes on the log as one entry.
func (e *endpoint) append(ctx context.Context, changes []record.Change) error {
	w := writeOf(ctx)
	if w != nil {
		for i := range changes {
			changes[i].Mutation = w.mutation
		}
	}
	at, err := e.hub.engine.Append(ctx, record.Entry{Changes: changes})
	if err != nil {
		return fmt.Errorf("live: router %s: %w", e.name, err)
	}
	if w != nil {
		w.tell(changes, at)
	}
	return nil
}

// write is one call of a verb that writes: who causes it, and what it has published.
type write struct {
	mutation string
	mu       sync.Mutex
	changes  map[string]record.Op
	last     broker.Position
}

type writeKey struct{}

func withWrite(ctx context.Context, w *write) context.Context {
	return context.WithValue(ctx, writeKey{}, w)
}

func writeOf(ctx context.Context) *write {
	w, _ := ctx.Value(writeKey{}).(*write)
	return w
}

func (w *write) tell(changes []record.Change, at broker.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changes == nil {
		w.changes = map[string]record.Op{}
	}
	for _, c := range changes {
		w.changes[c.Router+"\x00"+c.Key] = c.Op
	}
	if at.Compare(w.last) > 0 {
		w.last = at
	}
}

// told reports whether the row of a change has been published, be it as Changed.
func (w *write) told(c record.Change) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.changes[c.Router+"\x00"+c.Key]
	return ok
}

// predicate returns what the caller may see AND what the client asks for.
func (e *endpoint) predicate(ctx context.Context, m wire.Message) (*where.Predicate, error) {
	scope, err := e.allowed(ctx)
	if err != nil {
		return nil, err
	}
	var asked where.Where
	switch {
	case m.Params != nil:
		asked, err = where.ParseQuery(m.Params, where.Limits{})
	case m.Where != nil:
		asked, err = where.ParseJSON(m.Where, where.Limits{})
	}
	if err != nil {
		return nil, e.filterProblem(err)
	}
	p, err := e.schema.Where.BindClient(asked)
	if err != nil {
		return nil, e.filterProblem(err)
	}
	return scope.And(p), nil
}

// allowed evaluates the caller's scope.
func (e *endpoint) allowed(ctx context.Context) (*where.Predicate, error) {
	w, err := e.scope(ctx)
	if err != nil {
		return nil, err
	}
	p, err := e.schema.Where.Bind(w)
	if err != nil { // the application's mistake, not the client's
		return nil, fmt.Errorf("live: router %s: Scope: %v (a scope may use the fields tagged key, version, filter or scope)", e.name, err)
	}
	return p, nil
}

// filterProblem words what is wrong with a filter or an order.
func (e *endpoint) filterProblem(err error) error {
	var bad *where.Error
	if !errors.As(err, &bad) {
		return err
	}
	code, message := bad.Code, bad.Message
	if code == where.CodeUnknownField {
		if i, ok := e.schema.Index(bad.Field); ok && e.schema.Fields[i].Published {
			code = where.CodeFieldNotFilterable
			message = fmt.Sprintf("field %q: it may not be filtered or ordered by", bad.Field)
		}
	}
	p := wire.NewProblem(http.StatusBadRequest, code, message)
	if bad.Field != "" {
		p.Field(bad.Field, strings.TrimPrefix(message, "field "+strconv.Quote(bad.Field)+": "))
	}
	return p
}

// order parses and checks an order.
func (e *endpoint) order(text string) ([]where.Order, error) {
	order, err := where.ParseOrder(text)
	if err == nil {
		err = e.schema.Where.CheckOrder(order)
	}
	return order, e.filterProblem(err)
}
