package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/swampline/live"
)

// Row is a row of the size that rows of pages have.
type Row struct {
	ID      int64     `live:"id,key"`
	Version int64     `live:"version,version"`
	Title   string    `live:"title,filter"`
	Owner   string    `live:"owner,filter"`
	Price   float64   `live:"price"`
	Done    bool      `live:"done,filter"`
	At      time.Time `live:"at,filter"`
}

// table holds the rows in memory, by id.
type table struct {
	mu    sync.Mutex
	rows  []Row
	turns int

	live *live.Router[Row]
}

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newTable(rows int) *table {
	t := &table{rows: make([]Row, rows)}
	for i := range t.rows {
		t.rows[i] = Row{
			ID: int64(i + 1), Version: 1, Title: fmt.Sprintf("The row number %d", i+1), Owner: fmt.Sprintf("owner %d", i%17),
			Price: float64(i) * 1.5, At: begin.Add(time.Duration(i) * time.Second),
		}
	}
	return t
}

// router lists the whole table to everybody. Nothing but change writes to it.
func (t *table) router() *live.Router[Row] {
	t.live = &live.Router[Row]{Name: "rows", Scope: live.Everyone, MaxRows: 2 * len(t.rows), List: t.list}
	return t.live
}

func (t *table) list(context.Context, live.Query) ([]Row, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.rows), nil
}

// change changes one row after another, so many a second for so long. Most of them move in the order of at, which is
// what costs a list the most. It returns when the last change is on the log; changes that could not be made in their time are made up for.
func (t *table) change(ctx context.Context, rate int, d time.Duration) error {
	clock := time.NewTicker(2 * time.Millisecond)
	defer clock.Stop()
	total := int(d.Seconds() * float64(rate))
	start := time.Now()
	for done := 0; done < total; {
		select {
		case <-clock.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for due := min(total, int(time.Since(start).Seconds()*float64(rate))); done < due; done++ {
			was, now := t.next()
			if err := t.live.Updated(ctx, was, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// next changes the row whose turn it is.
func (t *table) next() (was, now Row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turns++
	n := len(t.rows)
	row := &t.rows[t.turns*7919%n]
	was = *row
	row.Version++
	row.Title = fmt.Sprintf("Row %d, changed %d times", row.ID, row.Version-1)
	row.Done = !row.Done
	if t.turns%4 != 0 {
		row.At = begin.Add(time.Duration(t.turns*104_729%n)*time.Second + time.Duration(t.turns)*time.Millisecond)
	}
	return was, *row
}
