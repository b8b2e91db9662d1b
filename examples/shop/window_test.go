package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/internal/seed"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
)

// A window is what the database says: whatever writers do, through the router and behind it, several at once, each client holds
// afterwards what SELECT … ORDER BY … LIMIT returns.
func TestWindowsAreWhatTheDatabaseSays(t *testing.T) {
	steps := 150
	if os.Getenv("LIVE_TEST_LONG") != "" {
		steps = 3000
	}
	each(t, func(t *testing.T, s *store) {
		b := newBench(t, s)
		type window struct {
			*livetest.Subscription
			clause string
			args   []any
		}
		var windows []window
		for _, over := range []string{livetest.WebSocket, livetest.SSE, livetest.LongPoll} {
			_, ben := b.connect(t, staff, livetest.Over(over))
			for _, q := range []struct {
				order, sql string
				category   int64
			}{
				{"name,id", "name BYTES, id", 0}, {"-price,id", "price DESC, id", 0}, {"stock,-price,-id", "stock, price DESC, id DESC", 0}, {"price,id", "price, id", 2},
			} {
				w := window{clause: "ORDER BY " + q.sql + " LIMIT 10"}
				options := []livetest.SubscribeOption{livetest.Order(q.order), livetest.Limit(10)}
				if q.category != 0 {
					w.clause, w.args = "WHERE category_id = $1 "+w.clause, []any{q.category}
					options = append(options, livetest.Where(where.Eq("category_id", q.category)))
				}
				w.clause = strings.ReplaceAll(w.clause, " BYTES", s.bytes)
				w.Subscription = ben.Subscribe(t, "products", options...)
				windows = append(windows, w)
			}
		}
		_, client := b.connect(t, staff)
		seed, _ := seed.First(t)
		for round := range 3 {
			var writers sync.WaitGroup
			for n := range 2 {
				w := writer{b.shop, rand.New(rand.NewPCG(seed, uint64(10*round+n)))}
				writers.Go(func() {
					ctx := asVisitor(context.Background(), Customer{ID: int64(n + 1), Role: staff})
					for range steps / 9 {
						if err := w.step(ctx); err != nil {
							t.Error("behind the router:", err)
						}
					}
				})
			}
			w := writer{b.shop, rand.New(rand.NewPCG(seed, uint64(10*round+9)))}
			for range steps / 9 {
				w.call(t, client)
			}
			writers.Wait()
			for _, w := range windows {
				want, err := s.products().where(t.Context(), w.clause, w.args...)
				if err != nil {
					t.Fatal(err)
				}
				// Rows that a window is short of are read when the log has told of it, so they may come a little later: with
				// the next poll, for which something has to happen.
				var got []Product
				for end := time.Now().Add(5 * time.Second); ; {
					if err := b.tags.Changed(t.Context(), Tag{ID: 1, Name: "vegan", Version: 1}); err != nil {
						t.Fatal(err)
					}
					w.Sync(t)
					if got = held(t, w.Subscription); slices.Equal(got, want) || time.Now().After(end) {
						break
					}
				}
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d, round %d: %s holds\n%s\nand the database\n%s", seed, round, w, text(got), text(want))
				}
			}
		}
	})
}

// held returns the products that a client holds.
func held(t *testing.T, w *livetest.Subscription) []Product {
	var all []Product
	for _, row := range w.Rows() {
		var p Product
		row.Decode(t, &p)
		all = append(all, p)
	}
	return all
}

func text(all []Product) string {
	var b strings.Builder
	for _, p := range all {
		fmt.Fprintf(&b, "%+v\n", p)
	}
	return b.String()
}

// writer writes what comes to its mind.
type writer struct {
	*shop
	*rand.Rand
}

// step does one thing behind the router's back, and reports it. That another writer was quicker is no error.
func (w writer) step(ctx context.Context) error {
	rows := w.store.products()
	all, err := rows.where(ctx, "ORDER BY id")
	if err != nil {
		return err
	}
	p := all[w.IntN(len(all))]
	switch n := w.IntN(10); {
	case n < 2:
		err = w.add(ctx)
	case n < 4 && len(all) > 15:
		err = w.remove(ctx, p)
	case n < 5:
		_, err = w.order(ctx, p, quantity{1})
	case n < 6:
		_, err = w.restock(ctx, p, quantity{int64(w.IntN(5) + 1)})
	default:
		err = w.update(ctx, p)
	}
	var known *live.Error
	if errors.As(err, &known) {
		err = nil
	}
	return err
}

func (w writer) any() Product {
	price := int64(w.IntN(900) + 100)
	name := strings.Repeat(string(rune('A'+w.IntN(40))), w.IntN(3)+1) + string([]rune{'é', 'Z', 'a', '中', '😀'}[w.IntN(5)])
	return Product{Name: name, CategoryID: int64(w.IntN(5) + 1), Price: price, Cost: price / 2, Stock: int64(w.IntN(40)), Note: "n"}
}

func (w writer) add(ctx context.Context) error {
	row, err := w.store.products().add(ctx, w.any())
	if err != nil {
		return err
	}
	return w.products.Created(ctx, row)
}

func (w writer) update(ctx context.Context, was Product) error {
	now := w.any()
	now.ID, now.Version = was.ID, was.Version
	if w.IntN(2) == 0 { // a small change
		now = was
		now.Price++
	}
	row, err := w.store.products().save(ctx, was, now)
	if err != nil {
		return err
	}
	if w.IntN(4) == 0 {
		return w.products.Changed(ctx, row)
	}
	return w.products.Updated(ctx, was, row)
}

func (w writer) remove(ctx context.Context, was Product) error {
	err := w.store.transaction(ctx, func(ctx context.Context) error {
		marks := w.store.productTags()
		if _, err := marks.query(ctx, "DELETE FROM product_tags WHERE product_id = $1 RETURNING "+marks.columns, was.ID); err != nil {
			return err
		}
		return w.store.products().remove(ctx, was)
	})
	if missing(err) {
		return nil // it was ordered
	}
	if err != nil {
		return err
	}
	return w.products.Deleted(ctx, was)
}

// call does one thing as a client does it: through the router.
func (w writer) call(t *testing.T, c *livetest.Client) {
	t.Helper()
	all, err := w.store.products().where(t.Context(), "ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	was, next := all[w.IntN(len(all))], w.any()
	row := livetest.Row{Key: fmt.Sprint(was.ID), Version: fmt.Append(nil, was.Version)}
	fields := map[string]any{"name": next.Name, "category_id": next.CategoryID, "price": next.Price, "cost": next.Cost, "stock": next.Stock}
	switch n := w.IntN(10); {
	case n < 2:
		_, err = c.Create(t, "products", fields)
	case n < 4 && len(all) > 15:
		err = c.Delete(t, "products", row)
	case n < 6:
		_, err = call(t, c, "order", was, 1)
	case n < 7:
		delete(fields, "name")
		_, err = c.Update(t, "products", row, fields)
	default:
		_, err = c.Update(t, "products", row, fields)
	}
	var problem *live.Error
	if err != nil && !(errors.As(err, &problem) && slices.Contains([]string{"conflict", "not_found", "sold_out", "ordered"}, problem.Code)) {
		t.Error("through the router:", err)
	}
}
