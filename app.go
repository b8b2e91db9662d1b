package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// app answers what sessions ask for: it is the hub as they see it.
type app struct{ hub *Hub }

var _ session.App = app{}

// guard makes a panic of the application's code an error, and an Error a problem. Where says what was called,
// unless something nearer to it has said so.
func (h *Hub) guard(err *error, where string) {
	if p := recover(); p != nil {
		*err = session.NewPanicError(p)
	}
	session.CountPanic(h.watch, *err, where)
	*err = asProblem(*err)
}

// caught makes a panic an error and counts it by where it was.
func (h *Hub) caught(err *error, where string) {
	if p := recover(); p != nil {
		*err = session.NewPanicError(p)
	}
	session.CountPanic(h.watch, *err, where)
}

// Where the application panics.
const (
	inIdentity = "identity"
	inAuthor   = "author"
	inRefresh  = "refresh"
	inScope    = "scope"
	inList     = "list"
	inVerb     = "verb"
	inChannel  = "channel"
	elsewhere  = "other"
)

// Subscribe authorises a subscription and acquires its query.
func (a app) Subscribe(ctx context.Context, m wire.Message) (source session.Source, err error) {
	defer a.hub.guard(&err, elsewhere)
	if m.Presence != nil {
		return a.subscribePresence(ctx, m)
	}
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
	if err := e.mayUse(ctx, "list"); err != nil {
		return source, err
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

// Call runs a verb of a router, or publishes on a channel. A write that has a name is done once.
func (a app) Call(ctx context.Context, m wire.Message) (answer wire.Answer, at broker.Position, err error) {
	defer a.hub.guard(&err, inVerb)
	switch {
	case m.Retry != "" && m.Mutation == "":
		return answer, at, wire.NewProblem(http.StatusBadRequest, "malformed_message", "retry: want a mutation, too").Field("mutation", "is required")
	case m.Mutation != "" && writes(m):
		return a.once(ctx, m)
	}
	answer, at, _, err = a.run(ctx, m, "")
	return answer, at, err
}

// run does what a message asks for. If it is a mutation, by marks whose; known says that the log learns of it even when the position is
// zero: from an outbox, if it was not on the log in time, or from what waits for the broker.
func (a app) run(ctx context.Context, m wire.Message, by string) (answer wire.Answer, at broker.Position, known bool, err error) {
	b := &batch{hub: a.hub, mutation: m.Mutation, by: by, answers: true}
	return a.perform(ctx, b, func(inside context.Context) (say func(broker.Position) wire.Answer, err error) {
		switch m.Type {
		case wire.Publish:
			say, err = nothing, a.publish(inside, m)
		case wire.Explain:
			say, err = a.explained(inside, m)
		default:
			say, err = a.call(inside, m)
		}
		return say, err
	})
}

// nothing is the answer that says only that something was done.
func nothing(broker.Position) wire.Answer { return wire.Answer{} }

// perform calls do with a batch of its own, and puts that on the log if do succeeds.
func (a app) perform(ctx context.Context, b *batch, do func(ctx context.Context) (func(broker.Position) wire.Answer, error)) (answer wire.Answer, at broker.Position, known bool, err error) {
	defer a.hub.guard(&err, inVerb)
	defer b.abandon(ctx) // a panic too
	say, err := do(b.in(ctx))
	if err != nil {
		return answer, at, false, err
	}
	from := b.end()
	at, outbox, err := b.conclude(ctx, from)
	var unsent *unsentError
	switch {
	case errors.As(err, &unsent):
		unsent.answer = say
	case err != nil: // too large for the log, and done all the same
		err = &unsentError{answer: say, err: err}
	}
	if err != nil {
		a.hub.forget(outbox)
		return answer, broker.Position{}, false, fmt.Errorf("live: publishing: %w", err)
	}
	late := at.IsZero() && size(from.entry) > 0
	if len(outbox) > 0 {
		stored := a.hub.await(ctx, outbox)
		if late = late || stored.IsZero(); !at.After(stored) {
			at = stored
		}
	}
	if late { // no position tells when all of it is there
		at = broker.Position{}
	}
	answer = say(at)
	answer.Unsent = late
	return answer, at, len(outbox) > 0 || late, nil
}

func (a app) call(ctx context.Context, m wire.Message) (answer, error) {
	e, err := a.endpoint(m.Router)
	if err != nil {
		return nil, err
	}
	if !e.verbs.has(m.Verb) {
		return nil, unknownVerb(e, m.Verb)
	}
	if err := e.checkBulk(m); err != nil {
		return nil, err
	}
	if err := e.mayUse(ctx, m.Verb); err != nil {
		return nil, err
	}
	switch {
	case m.Verb == "list":
		list, err := e.listed(ctx, m)
		return func(broker.Position) wire.Answer { return list }, err
	case m.Verb == "get":
		return e.got(ctx, m)
	case isBulk(m):
		return e.bulk(ctx, m)
	case e.verbs.writing(m.Verb) != nil:
		return e.written(ctx, m)
	}
	return e.custom(ctx, m)
}

func (e *endpoint) got(ctx context.Context, m wire.Message) (answer, error) {
	by, err := e.rights(ctx)
	if err != nil {
		return nil, err
	}
	at := e.hub.engine.Position().String()
	_, o, err := e.find(ctx, by, "get", m.Key)
	if err != nil {
		return nil, err
	}
	row, err := e.present(ctx, by.view, o, at)
	return func(broker.Position) wire.Answer {
		return wire.Answer{Row: row, Key: o.Key, Version: o.Version}
	}, err
}

// rights are what a caller may see: fields and rows.
type rights struct {
	view  *view
	scope *where.Predicate
}

// rights evaluates the caller's view and scope.
func (e *endpoint) rights(ctx context.Context) (by rights, err error) {
	if by.view, err = e.view(ctx); err == nil {
		by.scope, err = e.allowed(ctx)
	}
	return by, err
}

// find loads a row that the caller may see, for a verb that he may use on it. What he may not see does not exist.
func (e *endpoint) find(ctx context.Context, by rights, verb, text string) (row any, o record.Object, err error) {
	key, problem := e.parseKey(text)
	if problem != nil {
		return nil, o, problem
	}
	if row, o, err = e.verbs.get(ctx, key); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = ErrNotFound // whatever sentence the application has: it must not tell a hidden row from a missing one
		}
		return nil, o, err
	}
	visible, err := e.matches(by.scope, o)
	if err != nil {
		return nil, record.Object{}, err
	}
	if !visible {
		return nil, record.Object{}, ErrNotFound
	}
	if e.allowRow != nil {
		if err := e.mayUseRow(ctx, verb, row); err != nil {
			return nil, record.Object{}, err
		}
	}
	return row, o, nil
}

// matches reports whether a predicate matches an object.
func (e *endpoint) matches(p *where.Predicate, o record.Object) (bool, error) {
	row, err := e.schema.Row(o.Values)
	if err != nil {
		return false, fmt.Errorf("live: router %s: key %s: %w", e.name, o.Key, err)
	}
	return p.Match(row), nil
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
