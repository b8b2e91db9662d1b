package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// selection is what a subscription or a list asks for, checked.
type selection struct {
	view      *view
	predicate *where.Predicate
	// order is the effective order, which ends with the key; nil when none was asked for.
	order []where.Order
	// limit is zero when none was asked for.
	limit int
	// capped says that the limit is the router's.
	capped bool
	count  bool
	// edge is the client's bound.
	edge where.Row
	// relations are what the client is told of those that it included.
	relations []byte
}

// selection checks what a message asks for.
func (e *endpoint) selection(ctx context.Context, m wire.Message) (selection, error) {
	s := selection{limit: m.Limit, capped: m.Capped, count: m.Count}
	var err error
	if s.view, err = e.view(ctx); err != nil {
		return s, err
	}
	order, err := e.order(s.view, m.Order)
	if err != nil {
		return s, err
	}
	if s.relations, err = e.include(ctx, s.view, m.Include); err != nil {
		return s, err
	}
	if m.Limit > e.maxRows {
		return s, wire.NewProblem(http.StatusBadRequest, "limit_too_large",
			fmt.Sprintf("limit: router %s lists %d rows at most", e.name, e.maxRows)).Field("limit", fmt.Sprintf("want %d or less", e.maxRows))
	}
	if m.Count && e.verbs.count == nil {
		return s, unknownVerb(e, "count")
	}
	if len(order) > 0 || m.Limit > 0 || len(m.Include) > 0 { // who relates rows must know the key field
		s.order = e.effective(order)
	}
	if m.Bound != nil {
		values := make([][]byte, len(m.Bound))
		for i, v := range m.Bound {
			values[i] = v
		}
		if s.edge, err = e.schema.Where.RowJSON(s.order, values); err != nil {
			return s, wire.NewProblem(http.StatusBadRequest, "invalid_value", "bound: "+err.Error()).Field("bound", "want the values of the last row's "+orderText(s.order))
		}
	}
	s.predicate, err = e.predicate(ctx, s.view, m)
	return s, err
}

// effective ends an order with the key, so that no two rows are equal in it.
func (e *endpoint) effective(order []where.Order) []where.Order {
	if slices.ContainsFunc(order, func(by where.Order) bool { return by.Field == e.keyField }) {
		return order
	}
	return append(order[:len(order):len(order)], where.Order{Field: e.keyField})
}

func orderText(order []where.Order) string {
	names := make([]string, len(order))
	for i, by := range order {
		names[i] = by.String()
	}
	return strings.Join(names, ",")
}

// spec is what makes subscriptions to the selection identical.
func (s selection) spec(ctx context.Context) livequery.Spec {
	return livequery.Spec{View: s.view.View, Predicate: s.predicate, Order: s.order, Limit: s.limit, Count: s.count, Caller: context.WithoutCancel(ctx)}
}

// listed is one row of a list.
type listed struct {
	object record.Object
	row    where.Row
}

// page is what a List func returned.
type page struct {
	rows []listed
	// last is the place up to which all rows that match were read, when more follow; nil when none does. It is only told of
	// pages with an order.
	last where.Row
	full bool
}

// list runs List for at most so many rows, keeps what matches, and puts it in order. Zero is no limit.
func (e *endpoint) list(ctx context.Context, p *where.Predicate, order []where.Order, limit int) (out page, err error) {
	defer e.hub.caught(&err, inList)
	began := e.hub.watch.Now()
	objects, err := e.verbs.list(ctx, Query{Where: p, Order: order, Limit: limit, schema: e.schema.Where})
	e.hub.watch.Since(MetricLoads, e.name, began)
	if err != nil {
		return page{}, err
	}
	all := make([]listed, len(objects))
	for i, o := range objects {
		row, err := e.schema.Row(o.Values)
		if err != nil {
			return page{}, fmt.Errorf("live: router %s: key %s: %w", e.name, o.Key, err)
		}
		all[i] = listed{o, row}
	}
	if len(order) > 0 {
		compare := e.schema.Where.Comparer(order)
		slices.SortStableFunc(all, func(a, b listed) int { return compare(a.row, b.row) })
	}
	out = page{full: limit > 0 && len(all) >= limit}
	if out.full && len(all) == limit { // what the database cut off follows its last row, whether or not that matches
		out.last = all[len(all)-1].row
	}
	out.rows = slices.DeleteFunc(all, func(l listed) bool { return !p.Match(l.row) })
	switch {
	case limit == 0:
	case len(out.rows) > limit: // a List that does not care for the limit
		out.rows = out.rows[:limit]
		out.last = out.rows[limit-1].row
	case out.last == nil: // it returned everything
		out.full = false
	}
	return out, nil
}

// read reads the rows of the selection: in a window its first ones and some to spare, else all, if they are not too many.
func (e *endpoint) read(ctx context.Context, s selection, spare int) (page, error) {
	limit := e.maxRows + 1
	if s.limit > 0 {
		limit = s.limit + spare
	}
	p, err := e.list(ctx, s.predicate, s.order, limit)
	if err == nil && s.limit == 0 && p.full {
		err = &session.TooMany{Limit: e.maxRows}
	}
	if err == nil {
		err = e.complete(ctx, s.view.View, p)
	}
	return p, err
}

// complete adds to the rows of a page the computed and nested fields that a view shows.
func (e *endpoint) complete(ctx context.Context, v *livequery.View, p page) error {
	objects := make([]*record.Object, len(p.rows))
	for i := range p.rows {
		objects[i] = &p.rows[i].object
	}
	return e.verbs.complete(ctx, v, objects)
}

// listing returns the selection's part of a page as clients get it, and its edge.
func (e *endpoint) listing(s selection, p page, cursor string) (wire.Listing, []listed, where.Row) {
	l := wire.Listing{Cursor: cursor, Order: orderText(s.order), Relations: s.relations}
	rows, edge := p.rows, p.last
	if s.limit > 0 {
		more := p.full || len(rows) > s.limit
		l.More = &more
		if s.capped {
			l.Limit = s.limit
		}
		if len(rows) >= s.limit {
			rows = rows[:s.limit]
			edge = rows[s.limit-1].row
		}
	}
	l.Rows = e.join(s.view, rows, cursor)
	return l, rows, edge
}

// listed answers the verb list.
func (e *endpoint) listed(ctx context.Context, m wire.Message) (wire.Answer, error) {
	s, err := e.selection(ctx, m)
	if err != nil {
		return wire.Answer{}, err
	}
	p, reading, err := e.readCapped(ctx, &s)
	if err != nil {
		return wire.Answer{}, err
	}
	l, _, _ := e.listing(s, p, reading.At.String())
	return wire.Answer{Listing: &l}, nil
}

// readCapped reads the selection for one caller, when it is his turn; when more rows match than the router lists, the first of them.
// The reading is of when it began to.
func (e *endpoint) readCapped(ctx context.Context, s *selection) (p page, reading livequery.Reading, err error) {
	err = e.inTurn(ctx, func(ctx context.Context) error {
		reading = e.stream.Reading(e.hub.engine.Position())
		p, err = e.read(ctx, *s, 1)
		var many *session.TooMany
		if errors.As(err, &many) {
			s.limit, s.capped, s.order = many.Limit, true, e.effective(s.order)
			p, err = e.read(ctx, *s, 1)
		}
		return err
	})
	return p, reading, err
}

// present returns a bare row as the caller gets it. The cursor is its version when the model has none.
func (e *endpoint) present(ctx context.Context, v *view, o record.Object, cursor string) ([]byte, error) {
	if err := e.verbs.complete(ctx, v.View, []*record.Object{&o}); err != nil {
		return nil, err
	}
	return e.appendRow(nil, v, o, cursor), nil
}

// appendRow appends a complete row as those get it who see a view.
func (e *endpoint) appendRow(b []byte, v *view, o record.Object, cursor string) []byte {
	return v.AppendRow(b, "", o.Key, record.AppendVersion(nil, o.Version, cursor), o.Values, nil)
}

// join returns rows as they stand in a list, never nil.
func (e *endpoint) join(v *view, rows []listed, cursor string) []byte {
	b := []byte{}
	for i, r := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = e.appendRow(b, v, r.object, cursor)
	}
	return b
}
