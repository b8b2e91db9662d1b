package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// Subscription is what a client asks for, to be explained.
type Subscription struct {
	// Router is the router's name.
	Router string
	// Where is the client's filter; the zero value asks for all rows.
	Where where.Where
}

// Explanation says whether a subscriber sees a row, and why not.
type Explanation struct {
	Visible bool
	// Because is a sentence for people. It may name fields and values that serve rights only.
	Because string
}

// Explain answers "why do I not see this row?": it evaluates the router's Scope with ctx, which is the caller's, loads the row by Get,
// and says which term of the scope or of the filter stops it, or that nothing does. The error is for what cannot be asked: no such
// router, a filter or a key that is none, or a func of the application that fails; an *Error of Scope is an explanation.
//
// It costs one Get. It tells what is hidden, so keep it from strangers.
func (h *Hub) Explain(ctx context.Context, s Subscription, key Key) (Explanation, error) {
	x, err := h.explain(ctx, s.Router, func() (where.Where, error) { return s.Where, nil }, string(key))
	if err != nil {
		return Explanation{}, fmt.Errorf("live: explain: %w", err)
	}
	return x, nil
}

func (h *Hub) explain(ctx context.Context, router string, filter func() (where.Where, error), text string) (x Explanation, err error) {
	defer h.guard(&err, inVerb)
	e, err := app{h}.endpoint(router)
	if err != nil {
		return x, err
	}
	key, problem := e.parseKey(text)
	if problem != nil {
		return x, problem
	}
	v, err := e.view(ctx)
	if err != nil {
		return x, err
	}
	asked, err := filter()
	if err != nil {
		return x, e.filterProblem(v, err)
	}
	filtered, err := v.Where.BindClient(asked)
	if err != nil {
		return x, e.filterProblem(v, err)
	}
	var refused *Error
	if err = e.mayUse(ctx, "list"); errors.As(err, &refused) && refused != nil {
		return Explanation{Because: "Allow: it refuses: " + refused.Error()}, nil
	} else if err != nil {
		return x, err
	}
	scope, err := e.allowed(ctx)
	switch {
	case errors.As(err, &refused) && refused != nil:
		return Explanation{Because: "scope: it refuses: " + refused.Error()}, nil
	case err != nil:
		return x, err
	case e.verbs.get == nil:
		return Explanation{Because: "router " + e.name + " has no Get to load the row with"}, nil
	}
	_, o, err := e.verbs.get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return Explanation{Because: "no such row"}, nil
	} else if err != nil {
		return x, err
	}
	row, err := e.schema.Row(o.Values)
	if err != nil {
		return x, fmt.Errorf("live: router %s: key %s: %w", e.name, o.Key, err)
	}
	if ok, why := scope.Explain(row); !ok {
		return Explanation{Because: "scope: " + why}, nil
	}
	if ok, why := filtered.Explain(row); !ok {
		return Explanation{Because: "filter: " + why}, nil
	}
	return Explanation{Visible: true, Because: "scope and filter let it through"}, nil
}

// explained answers a client's explain.
func (a app) explained(ctx context.Context, m wire.Message) (answer, error) {
	if !a.hub.options.Debug {
		return nil, wire.UnknownType(m.Type)
	}
	if m.Router == "" || m.Key == "" {
		return nil, wire.NewProblem(http.StatusBadRequest, "malformed_message", "explain: want a router and a key")
	}
	x, err := a.hub.explain(ctx, m.Router, func() (where.Where, error) {
		if m.Where == nil {
			return where.Where{}, nil
		}
		return where.ParseJSON(m.Where, where.Limits{})
	}, m.Key)
	if err != nil {
		return nil, err
	}
	data, err := wire.Marshal(struct {
		Visible bool   `json:"visible"`
		Because string `json:"because"`
	}(x))
	return func(broker.Position) wire.Answer { return wire.Answer{Data: data} }, err
}
