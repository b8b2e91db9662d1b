package main

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// basket is what an order of a product came to.
type basket struct {
	order     Order
	fresh     bool // the order is new
	was, line Line // was is zero when the line is new
}

// fill puts a product into the customer's order that nobody has packed yet, or into a new one.
func (s *shop) fill(ctx context.Context, who Customer, p Product, n int64) (basket, error) {
	var b basket
	orders, lines := s.store.orders(), s.store.lines()
	var err error
	b.order, err = s.hold(ctx, "id = (SELECT max(id) FROM orders WHERE customer_id = $1 AND state = $2) AND state = $2", who.ID, placed)
	if errors.Is(err, sql.ErrNoRows) {
		b.fresh = true
		b.order, err = orders.add(ctx, Order{CustomerID: who.ID, State: placed, CreatedAt: time.Now()})
	}
	if err != nil {
		return b, err
	}
	same, err := lines.where(ctx, "WHERE order_id = $1 AND product_id = $2 AND price = $3", b.order.ID, p.ID, p.Price)
	switch {
	case err != nil:
	case len(same) > 0:
		b.was, b.line = same[0], same[0]
		b.line.Quantity += n
		b.line, err = lines.save(ctx, b.was, b.line)
	default:
		b.line, err = lines.add(ctx, Line{OrderID: b.order.ID, CustomerID: who.ID, ProductID: p.ID, Name: p.Name, Price: p.Price, Cost: p.Cost, Quantity: n})
	}
	return b, err
}

// publish tells of a basket. The order itself is told of by its line, whose parent it is, unless it is new.
func (s *shop) publish(ctx context.Context, b basket) error {
	var err error
	if b.fresh {
		err = s.orders.Created(ctx, b.order)
	}
	if b.was.ID == 0 {
		return errors.Join(err, s.lines.Created(ctx, b.line))
	}
	return errors.Join(err, s.lines.Updated(ctx, b.was, b.line))
}
