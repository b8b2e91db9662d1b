package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// app answers what sessions ask for: it is the hub as they see it.
type app struct{ hub *Hub }

var _ session.App = app{}

// guard makes a panic of the application's code an error, and an Error a problem.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = session.NewPanicError(p)
	}
	var e *Error
	if !errors.As(*err, &e) {
		return
	}
	if e == nil { // a func returned a variable of type *Error as an error
		*err = errors.New("a nil *live.Error was returned as an error: return a plain nil")
		return
	}
	*err = e.problem()
}

// Subscribe authorises a subscription and acquires its query.
func (a app) Subscribe(ctx context.Context, m wire.Message) (source session.Source, err error) {
	defer guard(&err)
	if m.Channel != "" {
		return a.subscribeChannel(ctx, m.Channel)
	}
	e, err := a.endpoint(m.Router)
	if err != nil {
		return source, err
	}
	if e.verbs.list == nil {
		return source, unknownVerb(e, "list")
	}
	selection, err := e.selection(ctx, m)
	if err != nil {
		return source, err
	}
	return e.source(ctx, selection), nil
}

func (a app) endpoint(name string) (*endpoint, error) {
	if e := a.hub.endpointOf(name); e != nil {
		return e, nil
	}
	return nil, wire.NewProblem(http.StatusNotFound, "unknown_router", fmt.Sprintf("no router %q", clip(name)))
}

func unknownVerb(e *endpoint, verb string) error {
	return wire.NewProblem(http.StatusMethodNotAllowed, "unknown_verb", fmt.Sprintf("router %s has no verb %q", e.name, clip(verb)))
}

// Call runs a verb of a router, or publishes on a channel.
func (a app) Call(ctx context.Context, m wire.Message) (answer wire.Answer, at broker.Position, err error) {
	defer guard(&err)
	if m.Mutation != "" {
		if _, err := uuid.Parse(m.Mutation); err != nil {
			return answer, at, wire.NewProblem(http.StatusBadRequest, "malformed_message", "mutation: want a UUID").Field("mutation", "want a UUID")
		}
	}
	w := &write{mutation: m.Mutation}
	ctx = withWrite(ctx, w)
	if m.Type == wire.Publish {
		err = a.publish(ctx, m)
	} else {
		answer, err = a.call(ctx, m)
	}
	return answer, w.last, err
}

func (a app) call(ctx context.Context, m wire.Message) (wire.Answer, error) {
	e, err := a.endpoint(m.Router)
	if err != nil {
		return wire.Answer{}, err
	}
	switch {
	case m.Verb == "list" && e.verbs.list != nil:
		return e.listed(ctx, m)
	case m.Verb == "get" && e.verbs.get != nil:
		return e.got(ctx, m)
	case m.Verb == "create" && e.verbs.create != nil:
		return e.created(ctx, m)
	case m.Verb == "update" && e.verbs.update != nil:
		return e.updated(ctx, m)
	case m.Verb == "delete" && e.verbs.delete != nil:
		return e.deleted(ctx, m)
	}
	return wire.Answer{}, unknownVerb(e, m.Verb)
}

func (e *endpoint) got(ctx context.Context, m wire.Message) (wire.Answer, error) {
	at := e.hub.engine.Position().String()
	_, o, _, err := e.find(ctx, m.Key)
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.Answer{Row: e.appendRow(nil, o, at), Key: o.Key, Version: o.Version}, nil
}

// find loads a row that the caller may see. What he may not see does not exist.
func (e *endpoint) find(ctx context.Context, text string) (row any, o record.Object, scope *where.Predicate, err error) {
	if scope, err = e.allowed(ctx); err != nil {
		return nil, o, nil, err
	}
	key, problem := e.parseKey(text)
	if problem != nil {
		return nil, o, nil, problem
	}
	if row, o, err = e.verbs.get(ctx, key); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = ErrNotFound // whatever sentence the application has: it must not tell a hidden row from a missing one
		}
		return nil, o, nil, err
	}
	visible, err := e.matches(scope, o)
	if err != nil {
		return nil, record.Object{}, nil, err
	}
	if !visible {
		return nil, record.Object{}, nil, ErrNotFound
	}
	return row, o, scope, nil
}

// matches reports whether a predicate matches an object.
func (e *endpoint) matches(p *where.Predicate, o record.Object) (bool, error) {
	row, err := e.schema.Row(o.Values)
	if err != nil {
		return false, fmt.Errorf("live: router %s: key %s: %w", e.name, o.Key, err)
	}
	return p.Match(row), nil
}

func (e *endpoint) created(ctx context.Context, m wire.Message) (wire.Answer, error) {
	scope, err := e.allowed(ctx)
	if err != nil {
		return wire.Answer{}, err
	}
	o, err := e.verbs.create(ctx, m.Data, e.within(scope))
	if err != nil {
		return wire.Answer{}, err
	}
	return e.stored(ctx, scope, o)
}

func (e *endpoint) updated(ctx context.Context, m wire.Message) (wire.Answer, error) {
	row, o, scope, err := e.find(ctx, m.Key)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := e.checkVersion(m.Version, o); err != nil {
		return wire.Answer{}, err
	}
	stored, err := e.verbs.update(ctx, row, m.Data, e.within(scope))
	if err != nil {
		return wire.Answer{}, e.conflict(ctx, m.Key, err)
	}
	return e.stored(ctx, scope, stored)
}

func (e *endpoint) deleted(ctx context.Context, m wire.Message) (wire.Answer, error) {
	row, o, _, err := e.find(ctx, m.Key)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := e.checkVersion(m.Version, o); err != nil {
		return wire.Answer{}, err
	}
	if err := e.verbs.delete(ctx, row); err != nil {
		return wire.Answer{}, e.conflict(ctx, m.Key, err)
	}
	return wire.Answer{}, nil
}

// stored answers with a row as it was stored, if the caller may see it.
func (e *endpoint) stored(ctx context.Context, scope *where.Predicate, o record.Object) (wire.Answer, error) {
	visible, err := e.matches(scope, o)
	if err != nil || !visible {
		return wire.Answer{}, err
	}
	return wire.Answer{Row: e.appendRow(nil, o, writeOf(ctx).last.String()), Key: o.Key, Version: o.Version}, nil
}

// within refuses rows that the caller would not see: nobody writes into what is not his.
func (e *endpoint) within(scope *where.Predicate) permit {
	return func(o record.Object, written map[string]bool) error {
		row, err := e.schema.Row(o.Values)
		if err != nil {
			return err
		}
		fields := e.schema.Where.Fields()
		known := func(i int) bool { return written == nil || written[fields[i].Name] }
		if !scope.Possible(row, known) {
			return &Error{Code: "forbidden", Status: http.StatusForbidden, Detail: "this would put the row where you may not see it"}
		}
		return nil
	}
}

// checkVersion compares the version that a writer saw with the present one.
func (e *endpoint) checkVersion(given json.RawMessage, o record.Object) error {
	if !e.versioned {
		return nil
	}
	if given == nil {
		return wire.NewProblem(http.StatusPreconditionRequired, "version_required",
			"say which version you saw: the member version, or the header If-Match").Field("version", "is required")
	}
	var version int64
	if err := json.Unmarshal(given, &version); err != nil || string(given) == "null" {
		return wire.NewProblem(http.StatusBadRequest, "invalid_version",
			"version: want an integer, got "+describe(given)).Field("version", "want an integer")
	}
	if version != *o.Version {
		p := ErrConflict.problem()
		p.Current = e.appendRow(nil, o, "")
		return p
	}
	return nil
}

// conflict adds the present row to a conflict that the application found.
func (e *endpoint) conflict(ctx context.Context, key string, err error) error {
	if !errors.Is(err, ErrConflict) {
		return err
	}
	_, o, _, missing := e.find(ctx, key)
	if missing != nil {
		return missing
	}
	var conflict *Error
	errors.As(err, &conflict)
	p := conflict.problem()
	p.Current = e.appendRow(nil, o, e.hub.engine.Position().String())
	return p
}
