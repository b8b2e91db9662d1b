package main

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/swampline/live"
)

// Product is a thing to buy. Prices are in cents.
type Product struct {
	ID         int64  `live:"id,key"`
	Name       string `live:"name,write,filter" validate:"required,max=60"`
	CategoryID int64  `live:"category_id,write,filter" validate:"required"`
	Price      int64  `live:"price,write,filter" validate:"gt=0,lte=10000000,gtfield=Cost"`
	Cost       int64  `live:"cost,write,filter" validate:"gte=0"`
	Stock      int64  `live:"stock,write,filter" validate:"gte=0,lte=100000"`
	Note       string `live:"note,write" validate:"max=200"`
	Version    int64  `live:"version,version"`
}

// Validate is called before a product is stored.
func (p *Product) Validate(context.Context) error { return valid(p) }

func (s *store) products() table[Product] {
	return table[Product]{s, "products", "id, name, category_id, price, cost, stock, note, version", func(p *Product) []any {
		return []any{&p.ID, &p.Name, &p.CategoryID, &p.Price, &p.Cost, &p.Stock, &p.Note, &p.Version}
	}}
}

// productSerializer says who sees what of a product. To guests there is no cost, stock or note: to filter by one of them is answered
// as if it were a word out of the blue.
func productSerializer() live.Serializer[Product] {
	return live.Serializer[Product]{
		Computed: map[string]live.Computed[Product]{
			"in_stock": {From: []string{"stock"}, Of: func(p Product) any { return p.Stock > 0 }},
			"margin":   {From: []string{"price", "cost"}, Of: func(p Product) any { return p.Price - p.Cost }},
		},
		Views: map[string]live.View{
			"guest": {Except: []string{"cost", "margin", "stock", "note"}, Write: []string{}},
		},
		View: staffOr("guest"),
		Relations: map[string]live.Relation{
			"category": {Router: "categories", Key: "category_id"},
			"tags":     {Router: "tags", Through: "product_tags", Field: "product_id", Key: "tag_id"},
		},
	}
}

// productsRouter is the live endpoint of products.
func (s *shop) productsRouter() *live.Router[Product] {
	rows := s.store.products()
	return &live.Router[Product]{
		Name:       "products",
		Serializer: productSerializer(),
		Scope:      live.Everyone,
		Allow:      allowProducts,
		Tx:         s.store.transaction, // so staff may write many at once
		Before:     completeProduct,
		List:       rows.listed,
		Count:      rows.count,
		Get:        rows.get,
		Create: func(ctx context.Context, in Product) (Product, error) {
			return inCategory(rows.add(ctx, in))
		},
		Update: func(ctx context.Context, was, now Product) (Product, error) {
			return inCategory(rows.save(ctx, was, now))
		},
		Delete: s.deleteProduct,
		Verbs: map[string]live.CustomVerb{
			"order":   live.RowVerb[Product, quantity, receipt](s.order),
			"restock": live.RowVerb[Product, quantity, struct{}](s.restock),
		},
	}
}

// allowProducts lets customers order, and staff do the rest.
func allowProducts(ctx context.Context, verb string) error {
	switch {
	case verb != "order":
		return staffWrites(ctx, verb)
	case visitor(ctx).Role == guest:
		return &live.Error{Detail: "Guests can only look. Become a customer to order."}
	}
	return nil
}

// completeProduct puts a product in order before it is stored. A new one whose cost nobody has said is taken to cost three fifths of
// its price.
func completeProduct(_ context.Context, w *live.Write[Product]) error {
	if w.Now == nil {
		return nil
	}
	w.Now.Name = strings.Join(strings.Fields(w.Now.Name), " ")
	w.Now.Note = strings.TrimSpace(w.Now.Note)
	if w.Verb == "create" && !slices.Contains(w.Fields, "cost") {
		w.Now.Cost = w.Now.Price * 3 / 5
	}
	return nil
}

// inCategory words the error of a category that is not there.
func inCategory(p Product, err error) (Product, error) {
	if missing(err) {
		err = live.Invalid{"category_id": {"This category does not exist (any more)."}}
	}
	return p, err
}

// deleteProduct takes its tags along, in the transaction of the router.
func (s *shop) deleteProduct(ctx context.Context, was Product) error {
	marks := s.store.productTags()
	gone, err := marks.query(ctx, "DELETE FROM product_tags WHERE product_id = $1 RETURNING "+marks.columns, was.ID)
	if err != nil {
		return err
	}
	for _, mark := range gone {
		if err := s.productTags.Deleted(ctx, mark); err != nil {
			return err
		}
	}
	err = s.store.products().remove(ctx, was)
	if missing(err) {
		return &live.Error{Code: "ordered", Status: http.StatusConflict, Detail: "It was ordered, and orders keep it. Set its stock to 0 instead."}
	}
	return err
}

// quantity is what the verbs of a product are told.
type quantity struct {
	Quantity int64 `json:"quantity" validate:"gte=1,lte=1000"`
}

// Validate is called before a verb.
func (q *quantity) Validate(context.Context) error { return valid(q) }

// receipt is what who orders is answered.
type receipt struct {
	Order int64 `json:"order"`
}

// order takes so many of a product off the shelf and into the customer's order, in one transaction. What it publishes there is one
// entry of the log, if it commits: nobody sees the one without the other.
func (s *shop) order(ctx context.Context, p Product, in quantity) (to receipt, err error) {
	err = s.store.transaction(ctx, func(ctx context.Context) error {
		left, err := s.move(ctx, p.ID, -in.Quantity)
		if err != nil {
			return err
		}
		to.Order, err = s.fill(ctx, visitor(ctx), left, in.Quantity)
		return err
	})
	return to, err
}

func (s *shop) restock(ctx context.Context, p Product, in quantity) (struct{}, error) {
	return struct{}{}, s.store.transaction(ctx, func(ctx context.Context) error {
		_, err := s.move(ctx, p.ID, in.Quantity)
		return err
	})
}

// move changes the stock of a product, whatever its version: two who order at once do not conflict. It is called in a transaction, and
// returns the product as it is then.
func (s *shop) move(ctx context.Context, id, by int64) (Product, error) {
	rows := s.store.products()
	now, err := rows.one(ctx, "UPDATE products SET stock = stock + $1, version = version + 1 WHERE id = $2 AND stock + $1 >= 0 RETURNING "+rows.columns, by, id)
	if errors.Is(err, sql.ErrNoRows) {
		return now, s.soldOut(ctx, id)
	}
	if err != nil {
		return now, err
	}
	was := now
	was.Stock -= by
	was.Version--
	return now, s.products.Updated(ctx, was, now)
}

// soldOut says why there was nothing to take.
func (s *shop) soldOut(ctx context.Context, id int64) error {
	if _, err := s.store.products().byID(ctx, id); err != nil {
		return err // it was deleted meanwhile
	}
	return &live.Error{Code: "sold_out", Status: http.StatusConflict, Detail: "There are not so many left."}
}
