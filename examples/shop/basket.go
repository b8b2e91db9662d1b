package main

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// fill puts a product into the customer's order that nobody has packed yet, or into a new one, and returns the order's id. It is called in
// a transaction.
func (s *shop) fill(ctx context.Context, who Customer, p Product, n int64) (int64, error) {
	order, err := s.hold(ctx, "id = (SELECT max(id) FROM orders WHERE customer_id = $1 AND state = $2) AND state = $2", who.ID, placed)
	if errors.Is(err, sql.ErrNoRows) {
		order, err = s.store.orders().add(ctx, Order{CustomerID: who.ID, State: placed, CreatedAt: time.Now()})
		if err == nil {
			err = s.orders.Created(ctx, order)
		}
	}
	if err != nil {
		return 0, err
	}
	return order.ID, s.put(ctx, order, p, n)
}

// put adds to the line of a product, or begins one. An order that was there is told of by its line, whose parent it is.
func (s *shop) put(ctx context.Context, to Order, p Product, n int64) error {
	lines := s.store.lines()
	same, err := lines.where(ctx, "WHERE order_id = $1 AND product_id = $2 AND price = $3", to.ID, p.ID, p.Price)
	if err != nil {
		return err
	}
	if len(same) == 0 {
		line, err := lines.add(ctx, Line{OrderID: to.ID, CustomerID: to.CustomerID, ProductID: p.ID, Name: p.Name, Price: p.Price, Cost: p.Cost, Quantity: n})
		if err != nil {
			return err
		}
		return s.lines.Created(ctx, line)
	}
	was, now := same[0], same[0]
	now.Quantity += n
	if now, err = lines.save(ctx, was, now); err != nil {
		return err
	}
	return s.lines.Updated(ctx, was, now)
}
