package live_test

import (
	"context"
	"strconv"
	"sync"

	"github.com/swampline/live"
)

// item is the model of the tests of transports and of the stress test.
type item struct {
	ID      int64  `live:"id,key"`
	ListID  int64  `live:"list_id,write,filter"`
	Title   string `live:"title,write,filter"`
	Version int64  `live:"version,version"`
}

// table is a database of items in memory.
type table struct {
	mu   sync.Mutex
	rows map[int64]item
	last int64
}

func newTable() *table { return &table{rows: map[int64]item{}} }

func key(i item) string       { return strconv.FormatInt(i.ID, 10) }
func keyed(text string) int64 { return live.Key(text).Int64() }

func (t *table) insert(i item) item {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	i.ID, i.Version = t.last, 1
	t.rows[i.ID] = i
	return i
}

func (t *table) change(id int64, f func(*item)) (was, now item, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was, ok := t.rows[id]
	if !ok {
		return was, now, live.ErrNotFound
	}
	now = was
	f(&now)
	now.Version++
	t.rows[id] = now
	return was, now, nil
}

func (t *table) remove(id int64) (item, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was, ok := t.rows[id]
	if !ok {
		return was, live.ErrNotFound
	}
	delete(t.rows, id)
	return was, nil
}

func (t *table) all() []item {
	t.mu.Lock()
	defer t.mu.Unlock()
	var rows []item
	for _, i := range t.rows {
		rows = append(rows, i)
	}
	return rows
}

// router makes a router over the table, with all five verbs and no rights.
func (t *table) router(name string) *live.Router[item] {
	return &live.Router[item]{
		Name:  name,
		Scope: live.Everyone,
		List:  func(context.Context, live.Query) ([]item, error) { return t.all(), nil },
		Get: func(_ context.Context, k live.Key) (item, error) {
			t.mu.Lock()
			defer t.mu.Unlock()
			i, ok := t.rows[k.Int64()]
			if !ok {
				return i, live.ErrNotFound
			}
			return i, nil
		},
		Create: func(_ context.Context, in item) (item, error) { return t.insert(in), nil },
		Update: func(_ context.Context, was, now item) (item, error) {
			_, stored, err := t.change(was.ID, func(i *item) {
				if i.Version == was.Version {
					*i = now
				}
			})
			if err == nil && stored.Title != now.Title {
				err = live.ErrConflict
			}
			return stored, err
		},
		Delete: func(_ context.Context, was item) error {
			_, err := t.remove(was.ID)
			return err
		},
	}
}
