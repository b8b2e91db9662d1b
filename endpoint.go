package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// endpoint is a registered router without its type: what the hub works with.
type endpoint struct {
	hub       *Hub
	name      string
	row       reflect.Type // of its rows
	router    rowRouter
	schema    *livequery.Schema
	stream    *livequery.Stream
	versioned bool
	plain     bool // a row of one version is the same to everybody: no views, nothing nested
	scope     func(context.Context) (where.Where, error)
	allow     func(ctx context.Context, verb string) error          // nil: everybody may
	allowRow  func(ctx context.Context, verb string, row any) error // nil: everybody may
	tx        func(ctx context.Context, do func(context.Context) error) error
	views     map[string]*view
	choose    func(context.Context) (string, error) // a view for the caller; nil without views
	relations map[string]*relation
	verbs     verbs
	parseKey  func(string) (Key, *wire.Problem)
	keyField  string
	keyJSON   func(key string) json.RawMessage
	maxRows   int
	loads     loads
	info      func() RouterInfo
}

// verbs are the funcs of a router; nil ones do not exist. A row that a func hands on to another is a *T; objects are bare
// until they are completed.
type verbs struct {
	list   func(ctx context.Context, q Query) ([]record.Object, error)
	count  func(ctx context.Context, q Query) (int64, error)
	get    func(ctx context.Context, key Key) (row any, o record.Object, err error)
	create prepare
	update prepare
	delete prepare
	custom map[string]CustomVerb

	// overlap names the fields that a write of data changes and that are not what its writer saw, by his base.
	overlap func(v *view, loaded any, i item, versions bool) (conflicts []string, problem *wire.Problem)
	// complete adds to bare objects the computed and nested fields that a view shows.
	complete func(ctx context.Context, v *livequery.View, objects []*record.Object) error
}

// writing returns the verb of a name if it is one that writes rows, else nil.
func (v *verbs) writing(name string) prepare {
	switch name {
	case "create":
		return v.create
	case "update":
		return v.update
	case "delete":
		return v.delete
	}
	return nil
}

// has reports whether the verb of a name exists.
func (v *verbs) has(name string) bool {
	switch name {
	case "list":
		return v.list != nil
	case "get":
		return v.get != nil
	}
	return v.writing(name) != nil || v.custom[name] != nil
}

// verbs returns the router's funcs without their type.
func (r *Router[T]) verbs() verbs {
	v := verbs{count: r.Count, complete: r.model.complete, custom: maps.Clone(r.Verbs)}
	if r.List != nil {
		v.list = func(ctx context.Context, q Query) ([]record.Object, error) {
			rows, err := r.List(ctx, q)
			if err != nil {
				return nil, err
			}
			objects := make([]record.Object, len(rows))
			for i := range rows {
				if objects[i], err = r.model.bare(&rows[i]); err != nil {
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
			o, err := r.model.bare(&row)
			return &row, o, err
		}
	}
	if r.Create != nil {
		v.create = r.create
	}
	if r.Update != nil {
		v.update, v.overlap = r.update, r.overlap
	}
	if r.Delete != nil {
		v.delete = r.remove
	}
	return v
}

// append puts changes on the log as one entry, or into the batch that ctx has.
func (e *endpoint) append(ctx context.Context, changes []record.Change) error {
	if err := e.hub.publish(ctx, record.Entry{Changes: changes}); err != nil {
		return fmt.Errorf("live: router %s: %w", e.name, err)
	}
	return nil
}

// log logs an error that no single caller is told of.
func (e *endpoint) log(ctx context.Context, what string, err error) {
	args := []any{"router", e.name, session.Cause(err)}
	var panicked *session.PanicError
	if errors.As(err, &panicked) {
		args = append(args, "stack", string(panicked.Stack))
	}
	e.hub.options.Logger.ErrorContext(ctx, what, args...)
}

// mayUse asks whether the caller may use a verb at all.
func (e *endpoint) mayUse(ctx context.Context, verb string) (err error) {
	if e.allow == nil {
		return nil
	}
	defer e.hub.caught(&err, inScope)
	return e.allow(ctx, verb)
}

func (e *endpoint) mayUseRow(ctx context.Context, verb string, row any) (err error) {
	defer e.hub.caught(&err, inScope)
	return e.allowRow(ctx, verb, row)
}

// predicate returns what the caller may see AND what the client asks for.
func (e *endpoint) predicate(ctx context.Context, v *view, m wire.Message) (*where.Predicate, error) {
	scope, err := e.allowed(ctx)
	if err != nil {
		return nil, err
	}
	var asked where.Where
	switch {
	case m.Params != nil:
		asked, err = where.ParseQuery(m.Params, e.hub.options.Limits.filter())
	case m.Where != nil:
		asked, err = where.ParseJSON(m.Where, e.hub.options.Limits.filter())
	}
	if err != nil {
		return nil, e.filterProblem(v, err)
	}
	p, err := v.Where.BindClient(asked)
	if err != nil {
		return nil, e.filterProblem(v, err)
	}
	return scope.And(p), nil
}

// allowed evaluates the caller's scope.
func (e *endpoint) allowed(ctx context.Context) (p *where.Predicate, err error) {
	defer e.hub.caught(&err, inScope)
	w, err := e.scope(ctx)
	if err != nil {
		return nil, err
	}
	if p, err = e.schema.Where.Bind(w); err != nil { // the application's mistake, not the client's
		return nil, fmt.Errorf("live: router %s: Scope: %w (a scope may use the fields tagged key, version, filter or scope)", e.name, err)
	}
	return p, nil
}

// filterProblem words what is wrong with a filter or an order.
func (e *endpoint) filterProblem(v *view, err error) error {
	var bad *where.Error
	if !errors.As(err, &bad) {
		return err
	}
	code, message := bad.Code, bad.Message
	if code == where.CodeUnknownField {
		if v.Has(bad.Field) {
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
func (e *endpoint) order(v *view, text string) ([]where.Order, error) {
	order, err := where.ParseOrder(text)
	if err == nil {
		err = v.Where.CheckOrder(order)
	}
	return order, e.filterProblem(v, err)
}
