package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/where"
)

type row struct {
	ID      int64  `live:"id,key"`
	List    int64  `live:"list,filter"`
	N       int    `live:"n"`
	Text    string `live:"text"`
	Version int64  `live:"version,version"`
}

// table is the application's database: one row a list.
type table struct {
	lists atomic.Int64  // how many were read
	takes time.Duration // a read

	mu   sync.Mutex
	rows []row
}

func newTable(keys int, takes time.Duration) *table {
	t := &table{takes: takes, rows: make([]row, max(1, keys))}
	for i := range t.rows {
		t.rows[i] = row{ID: int64(i), List: int64(i), Version: 1}
	}
	return t
}

func (t *table) list(_ context.Context, q live.Query) ([]row, error) {
	t.lists.Add(1)
	if t.takes > 0 {
		time.Sleep(t.takes)
	}
	_, args := q.SQL(where.Postgres)
	list, ok := args[0].(int64) // it is the only condition
	if !ok || list < 0 || list >= int64(len(t.rows)) {
		return nil, fmt.Errorf("a list is asked for by %v: there are %d", args, len(t.rows))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return []row{t.rows[list]}, nil
}

// change stores message n in a row.
func (t *table) change(id int64, n int, text string) (was, now row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was = t.rows[id]
	now = was
	now.N, now.Text, now.Version = n, text, was.Version+1
	t.rows[id] = now
	return was, now
}

// limitHistory lets the hub, and the log, forget what is older.
func limitHistory(o *live.Options, entries int) {
	if entries > 0 {
		o.HistoryEntries = entries
		o.Broker = memory.New(memory.Options{MaxEntries: entries})
	}
}
