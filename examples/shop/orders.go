package main

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// Order is what a customer ordered. Its lines are rows of their own, and travel with it.
type Order struct {
	ID         int64     `live:"id,key"`
	CustomerID int64     `live:"customer_id,filter"`
	State      string    `live:"state,write,filter" validate:"oneof=placed packed sent cancelled"`
	Note       string    `live:"note,write" validate:"max=200"`
	CreatedAt  time.Time `live:"created_at,filter"`
	Version    int64     `live:"version,version"`
}

// The states of an order.
const (
	placed    = "placed"
	packed    = "packed"
	sent      = "sent"
	cancelled = "cancelled"
)

// Line is one product of an order, as it was when it was ordered.
type Line struct {
	ID         int64  `live:"id,key"`
	OrderID    int64  `live:"order_id,filter"`
	CustomerID int64  `live:"customer_id,scope"` // who may see it; never sent
	ProductID  int64  `live:"product_id,filter"`
	Name       string `live:"name"`
	Price      int64  `live:"price"`
	Cost       int64  `live:"cost"`
	Quantity   int64  `live:"quantity"`
	Version    int64  `live:"version,version"`
}

// Validate is called before an order is stored.
func (o *Order) Validate(context.Context) error { return valid(o) }

func (s *store) orders() table[Order] {
	return table[Order]{s, "orders", "id, customer_id, state, note, created_at, version", func(o *Order) []any {
		return []any{&o.ID, &o.CustomerID, &o.State, &o.Note, (*storedTime)(&o.CreatedAt), &o.Version}
	}}
}

func (s *store) lines() table[Line] {
	return table[Line]{s, "lines", "id, order_id, customer_id, product_id, name, price, cost, quantity, version", func(l *Line) []any {
		return []any{&l.ID, &l.OrderID, &l.CustomerID, &l.ProductID, &l.Name, &l.Price, &l.Cost, &l.Quantity, &l.Version}
	}}
}

// lineSerializer is that of lines by themselves and nested in orders: the owner of an order sees no cost in either place.
func lineSerializer() *live.Serializer[Line] {
	return &live.Serializer[Line]{
		Views: map[string]live.View{"owner": {Except: []string{"cost"}}},
		View:  staffOr("owner"),
	}
}

// mine is the scope of what belongs to a customer: staff see all, others what is theirs.
func mine(field string) func(context.Context) (where.Where, error) {
	return func(ctx context.Context) (where.Where, error) {
		if who := visitor(ctx); who.Role != staff {
			return where.Eq(field, who.ID), nil
		}
		return where.Where{}, nil
	}
}

// ordersRouter is the live endpoint of orders. They come to be by the verb order of a product.
func (s *shop) ordersRouter() *live.Router[Order] {
	rows, lines := s.store.orders(), s.store.lines()
	return &live.Router[Order]{
		Name: "orders",
		Serializer: live.Serializer[Order]{
			Nested: map[string]live.Nested[Order]{
				"lines": live.Many(lineSerializer(), func(o Order) int64 { return o.ID }, func(ctx context.Context, ids []int64) (map[int64][]Line, error) {
					return grouped(ctx, lines, "order_id", ids, func(l Line) int64 { return l.OrderID })
				}),
			},
			Views: map[string]live.View{"owner": {}},
			View:  staffOr("owner"),
			Relations: map[string]live.Relation{
				"customer": {Router: "customers", Key: "customer_id"},
				"products": {Router: "products", Through: "lines", Field: "order_id", Key: "product_id"},
			},
		},
		Scope:    mine("customer_id"),
		Tx:       s.store.transaction,
		AllowRow: allowOrder,
		Validate: validOrder,
		List:     rows.listed,
		Count:    rows.count,
		Get:      rows.get,
		Update:   s.updateOrder,
	}
}

// allowOrder lets customers change an order until it is packed.
func allowOrder(ctx context.Context, verb string, o Order) error {
	if verb == "update" && visitor(ctx).Role != staff && o.State != placed {
		return &live.Error{Detail: "This order is " + o.State + " already."}
	}
	return nil
}

// validOrder lets an order go forward only.
func validOrder(ctx context.Context, was *Order, now Order) error {
	next := map[string][]string{placed: {packed, cancelled}, packed: {sent, cancelled}}[was.State]
	if visitor(ctx).Role != staff {
		next = []string{cancelled}
	}
	if now.State != was.State && !slices.Contains(next, now.State) {
		return live.Invalid{"state": {"An order that is " + was.State + " cannot become " + now.State + "."}}
	}
	return nil
}

// updateOrder puts what a cancelled order held back on the shelf, in the transaction of the router: what it publishes of the products
// goes out with the order, if that commits.
func (s *shop) updateOrder(ctx context.Context, was, now Order) (Order, error) {
	now, err := s.store.orders().save(ctx, was, now)
	if err != nil || now.State != cancelled || was.State == cancelled {
		return now, err
	}
	lines, err := s.store.lines().where(ctx, "WHERE order_id = $1 ORDER BY product_id", now.ID)
	for _, line := range lines {
		if err == nil {
			_, err = s.move(ctx, line.ProductID, line.Quantity)
		}
	}
	return now, err
}

// linesRouter is the live endpoint of lines. What is published of a line touches its order, in which it is nested.
func (s *shop) linesRouter() *live.Router[Line] {
	rows := s.store.lines()
	return &live.Router[Line]{
		Name:       "lines",
		Serializer: *lineSerializer(),
		Scope:      mine("customer_id"),
		Tx:         s.store.transaction,
		Touches: []live.Toucher[Line]{
			live.Parent(s.orders, func(l Line) live.Key { return live.Key(strconv.FormatInt(l.OrderID, 10)) }),
		},
		List:   rows.listed,
		Get:    rows.get,
		Delete: s.deleteLine,
	}
}

// deleteLine puts what a line held back on the shelf.
func (s *shop) deleteLine(ctx context.Context, was Line) error {
	if _, err := s.hold(ctx, "id = $1 AND state = $2", was.OrderID, placed); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			err = &live.Error{Detail: "This order is packed already."}
		}
		return err
	}
	if err := s.store.lines().remove(ctx, was); err != nil {
		return err
	}
	_, err := s.move(ctx, was.ProductID, was.Quantity)
	return err
}

// hold keeps an order as it is until the transaction ends, and raises its version: a change of its lines is one of what the order
// shows. So of two that are published in another order than they were committed the newer one counts.
func (s *shop) hold(ctx context.Context, condition string, args ...any) (Order, error) {
	rows := s.store.orders()
	return rows.one(ctx, "UPDATE orders SET version = version + 1 WHERE "+condition+" RETURNING "+rows.columns, args...)
}
