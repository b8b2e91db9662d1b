package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// placed is what a subscription asks who is at: a channel, an object, or several.
type placed struct {
	channel, router string
	keys            []string
	// single says that a key that the caller may not see refuses; of many, it is left out.
	single bool
}

func placedIn(m wire.Message) placed {
	if m.Channel != "" || m.Keys == nil {
		return placed{channel: m.Channel, router: m.Router, keys: []string{m.Key}, single: true}
	}
	return placed{router: m.Router, keys: m.Keys}
}

// subscribePresence authorises a subscription to who is at a place, and makes its caller a member of it if he asks for that.
func (a app) subscribePresence(ctx context.Context, m wire.Message) (source session.Source, err error) {
	x := a.hub.present()
	if x == nil {
		return source, wire.NewProblem(http.StatusNotFound, "not_found", "this server has no presence")
	}
	since, err := soon(ctx, x)
	if err != nil {
		return source, err
	}
	at := placedIn(m)
	places, err := a.visible(ctx, at, m.Origin)
	if err != nil {
		if at.single && m.Presence.Member != "" && refuses(err) {
			x.Refuse(extend.Place{Router: m.Router, Key: m.Key, Channel: m.Channel}, *m.Presence)
		}
		return source, err
	}
	return a.attend(ctx, x, since, m, places)
}

// attend acquires the query of who is at some places, and makes the subscription's caller a member of the first if he asks for that.
func (a app) attend(ctx context.Context, x extend.Extension, since broker.Position, m wire.Message, places []extend.Place) (source session.Source, err error) {
	e, err := a.endpoint(x.Router())
	if err != nil {
		return source, err
	}
	s, err := e.selection(ctx, m)
	if err != nil {
		return source, err
	}
	if s.predicate, err = e.schema.Where.Bind(where.In("place", texts(places))); err != nil {
		return source, err
	}
	if m.Presence.Member != "" {
		if err := x.Join(ctx, places[0], *m.Presence, m.Origin); err != nil {
			return source, err
		}
	}
	source = e.source(ctx, s)
	source.Since = since
	return source, nil
}

// refuses reports whether an error says that the caller may not see a place; others, such as a request that was given up, say nothing of
// that.
func refuses(err error) bool {
	p, _ := session.Problem(asProblem(err))
	return p.Status < http.StatusInternalServerError && p.Status != http.StatusTooManyRequests
}

func texts(places []extend.Place) []string {
	out := []string{}
	for _, p := range places {
		out = append(out, p.String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// visible returns the places that the caller may see, as canonical as keys can be. A place that is asked for singly is refused as a get of the
// object, or a subscribe to the channel, would be. The origin's rights are evaluated anew when the objects change so that others are visible; nil
// for nobody's.
func (a app) visible(ctx context.Context, at placed, origin *wire.Origin) ([]extend.Place, error) {
	if at.channel != "" {
		if err := a.maySubscribe(ctx, at.channel); err != nil {
			return nil, err
		}
		return []extend.Place{{Channel: at.channel}}, nil
	}
	e, err := a.endpoint(at.router)
	if err != nil {
		return nil, err
	}
	keys, err := e.visible(ctx, at, origin)
	if err != nil {
		return nil, err
	}
	places := make([]extend.Place, len(keys))
	for i, key := range keys {
		places[i] = extend.Place{Router: e.name, Key: key}
	}
	return places, nil
}

// visible returns the keys of the rows that the caller may see, out of those that are asked for.
func (e *endpoint) visible(ctx context.Context, at placed, origin *wire.Origin) ([]string, error) {
	verb := "list"
	if e.verbs.list == nil || at.single && e.verbs.get != nil {
		verb = "get"
	}
	if !e.verbs.has(verb) {
		return nil, unknownVerb(e, verb)
	}
	if err := e.mayUse(ctx, verb); err != nil {
		return nil, err
	}
	by, err := e.rights(ctx)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, text := range at.keys {
		key, problem := e.parseKey(text)
		switch {
		case problem == nil:
			keys = append(keys, string(key))
		case at.single:
			return nil, problem
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	w := e.hub.watches.add(e, keys, by.scope, origin) // before the rows are read: what changes meanwhile counts
	seen, err := e.seen(ctx, by, verb, keys)
	if err == nil && at.single && len(seen) == 0 {
		err = ErrNotFound
	}
	w.saw(seen)
	return seen, err
}

// seen reads which rows of some keys the caller sees.
func (e *endpoint) seen(ctx context.Context, by rights, verb string, keys []string) (seen []string, err error) {
	if verb == "list" {
		return e.listedKeys(ctx, by, keys)
	}
	for _, key := range keys {
		_, o, err := e.find(ctx, by, verb, key)
		var refused *Error
		switch {
		case errors.Is(err, ErrNotFound):
		case len(keys) > 1 && errors.As(err, &refused):
		case err != nil:
			return nil, err
		default:
			seen = append(seen, o.Key)
		}
	}
	return seen, nil
}

func (e *endpoint) listedKeys(ctx context.Context, by rights, keys []string) (seen []string, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	values := make([]any, len(keys))
	for i, key := range keys {
		values[i] = e.keyJSON(key)
	}
	p, err := e.schema.Where.Bind(where.In(e.keyField, values...))
	if err != nil {
		return nil, fmt.Errorf("live: router %s: %w", e.name, err)
	}
	var rows page
	err = e.inTurn(ctx, func(ctx context.Context) (err error) {
		rows, err = e.list(ctx, by.scope.And(p), nil, 0)
		return err
	})
	for _, l := range rows.rows {
		seen = append(seen, l.object.Key)
	}
	slices.Sort(seen)
	return slices.Compact(seen), err
}
