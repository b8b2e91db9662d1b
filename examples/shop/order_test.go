package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
)

// However many order at once, no more is sold than there is, and what is published adds up.
func TestNoMoreIsSoldThanThereIs(t *testing.T) {
	each(t, func(t *testing.T, s *store) {
		b := newBench(t, s)
		_, ben := b.connect(t, staff)
		orders, shelf := ben.Subscribe(t, "orders"), ben.Subscribe(t, "products", livetest.Limit(100))
		figs := s.product(t, "Figs") // there are 3
		who, err := s.customers().add(t.Context(), Customer{Name: "Ada", Role: customer})
		if err != nil {
			t.Fatal(err)
		}
		var sold, refused atomic.Int64
		var buyers sync.WaitGroup
		for range 8 {
			buyers.Go(func() {
				_, err := b.order(asVisitor(t.Context(), who), figs, quantity{1})
				var problem *live.Error
				switch {
				case err == nil:
					sold.Add(1)
				case errors.As(err, &problem) && problem.Code == "sold_out":
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		buyers.Wait()
		if sold.Load() != 3 || refused.Load() != 5 {
			t.Errorf("%d were sold and %d refused, want 3 and 5", sold.Load(), refused.Load())
		}
		orders.Sync(t)
		shelf.Sync(t)
		if stock := string(shelf.Row(t, figs.ID).Fields["stock"]); stock != "0" {
			t.Errorf("the stock is told as %s, want 0", stock)
		}
		lines, err := s.lines().where(t.Context(), "")
		if err != nil || len(lines) != 1 || lines[0].Quantity != 3 {
			t.Fatalf("the lines are %+v (%v), want one of 3", lines, err)
		}
		var told struct {
			Lines []struct{ Quantity int64 } `json:"lines"`
		}
		orders.Rows()[0].Decode(t, &told)
		if len(told.Lines) != 1 || told.Lines[0].Quantity != 3 {
			t.Errorf("the order is told with the lines %+v, want one of 3", told.Lines)
		}
	})
}

// Two transactions that wait for each other are both done in the end.
func TestATransactionThatWasBrokenOffIsRunAgain(t *testing.T) {
	each(t, func(t *testing.T, s *store) {
		if s.bytes == "" {
			return // SQLite lets one writer in at a time
		}
		rows := s.products()
		var both, done sync.WaitGroup // both: each holds its first row
		both.Add(2)
		var runs atomic.Int64
		for _, ids := range [][2]int64{{1, 2}, {2, 1}} {
			done.Go(func() {
				first := true
				err := s.transaction(t.Context(), func(ctx context.Context) error {
					runs.Add(1)
					for i, id := range ids {
						if i == 1 && first {
							first = false
							both.Done()
							both.Wait()
						}
						if _, err := rows.one(ctx, "UPDATE products SET stock = stock + 1 WHERE id = $1 RETURNING "+rows.columns, id); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		done.Wait()
		if runs.Load() < 3 {
			t.Errorf("the transactions ran %d times in all, want one of them to have been run again", runs.Load())
		}
		for id, want := range map[int64]int64{1: 16, 2: 11} {
			if p, err := rows.byID(t.Context(), id); err != nil || p.Stock != want {
				t.Errorf("product %d: %+v, %v; want %d in stock", id, p, err, want)
			}
		}
	})
}
