package checker

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"github.com/swampline/live/where"
)

// item is the model of the checker. Its secret names the owner and the moment of the commit, so that every byte that a client is
// sent tells whose it is and how old.
type item struct {
	ID      int64  `live:"id,key"`
	List    int64  `live:"list,filter"`
	Owner   int64  `live:"owner,scope"`
	Rank    int64  `live:"rank,filter"`
	Title   string `live:"title,write,filter"`
	Secret  string `live:"secret"`
	Version int64  `live:"version,version"`
}

// schema is that of item, as the router compiles it.
var schema = func() *where.Schema {
	s, err := where.NewSchema(
		where.Field{Name: "id", Type: where.Int, Filter: true},
		where.Field{Name: "list", Type: where.Int, Filter: true},
		where.Field{Name: "owner", Type: where.Int, Hidden: true},
		where.Field{Name: "rank", Type: where.Int, Filter: true},
		where.Field{Name: "title", Type: where.Text, Filter: true},
		where.Field{Name: "version", Type: where.Int, Filter: true},
	)
	if err != nil {
		panic(err)
	}
	return s
}()

// secret is what stands in a payload: an owner, and the stamp of the commit.
func secret(owner, stamp int64) string { return fmt.Sprintf("!%d.%d!", owner, stamp) }

// stored is a row with what predicates see of it.
type stored struct {
	item
	row   where.Row
	stamp int64
	place int // among the keys
}

func rowOf(i item) where.Row {
	row := make([]where.Value, 6)
	for n, v := range []any{i.ID, i.List, i.Owner, i.Rank, i.Title, i.Version} {
		row[n], _ = schema.ValueGo(n, v)
	}
	return row
}

// past is what a row was and is: its versions from 1, and the stamp of its end.
type past struct {
	versions []item
	stamps   []int64
	gone     int64
}

// table is the database: items, all that they ever were, and a clock that counts commits. Its methods may be called by any goroutine.
type table struct {
	mu      sync.RWMutex
	rows    map[int64]*stored
	keys    []int64 // of rows, in an order that a seed decides
	history map[int64]*past
	last    int64
	clock   int64
	lists   int64 // how many times a list was read
}

func newTable() *table { return &table{rows: map[int64]*stored{}, history: map[int64]*past{}} }

// stamp moves the clock, for what is written elsewhere.
func (t *table) stamp() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clock++
	return t.clock
}

// now is the clock.
func (t *table) now() int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.clock
}

func (t *table) size() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.keys)
}

// insert commits a new row.
func (t *table) insert(i item) item {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	t.clock++
	i.ID, i.Version, i.Secret = t.last, 1, secret(i.Owner, t.clock)
	t.rows[i.ID] = &stored{i, rowOf(i), t.clock, len(t.keys)}
	t.keys = append(t.keys, i.ID)
	t.history[i.ID] = &past{versions: []item{i}, stamps: []int64{t.clock}}
	return i
}

// pick returns a row at random.
func (t *table) pick(rnd *rand.Rand) (item, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if len(t.keys) == 0 {
		return item{}, false
	}
	return t.rows[t.keys[rnd.IntN(len(t.keys))]].item, true
}

// change commits a new version of a row.
func (t *table) change(id int64, f func(*item)) (was, now item, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rows[id]
	if r == nil {
		return was, now, false
	}
	return t.store(r, f)
}

func (t *table) store(r *stored, f func(*item)) (was, now item, ok bool) {
	was, now = r.item, r.item
	f(&now)
	t.clock++
	now.Version++
	now.Secret = secret(now.Owner, t.clock)
	r.item, r.row, r.stamp = now, rowOf(now), t.clock
	h := t.history[r.ID]
	h.versions, h.stamps = append(h.versions, now), append(h.stamps, t.clock)
	return was, now, true
}

// changeWhere commits a new version of all rows that match.
func (t *table) changeWhere(match func(item) bool, f func(*item)) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range t.keys {
		if r := t.rows[key]; match(r.item) {
			t.store(r, f)
			n++
		}
	}
	return n
}

// remove commits the end of a row.
func (t *table) remove(id int64) (item, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rows[id]
	if r == nil {
		return item{}, false
	}
	delete(t.rows, id)
	last := t.keys[len(t.keys)-1]
	if last != id {
		t.keys[r.place], t.rows[last].place = last, r.place
	}
	t.keys = t.keys[:len(t.keys)-1]
	t.clock++
	t.history[id].gone = t.clock
	return r.item, true
}

// versions returns the newest version of each row that there is, by key.
func (t *table) versions() map[string]int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make(map[string]int64, len(t.rows))
	for id, r := range t.rows {
		out[strconv.FormatInt(id, 10)] = r.Version
	}
	return out
}

// at returns a version of a row, if there ever was one.
func (t *table) at(key string, version int64) (item, bool) {
	id, err := strconv.ParseInt(key, 10, 64)
	t.mu.RLock()
	defer t.mu.RUnlock()
	h := t.history[id]
	if err != nil || h == nil || version < 1 || version > int64(len(h.versions)) {
		return item{}, false
	}
	return h.versions[version-1], true
}

// ended reports whether a row was gone, or was no match, at some time after a version and not after a stamp.
func (t *table) ended(id, version, until int64, match func(item) bool) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	h := t.history[id]
	if h == nil {
		return false
	}
	for v := int(version); v < len(h.versions) && h.stamps[v] <= until; v++ {
		if !match(h.versions[v]) {
			return true
		}
	}
	return h.gone != 0 && h.gone <= until
}

// dated is a version of a row, with the stamp of its commit.
type dated struct {
	item
	stamp int64
}

// since returns what a row has been since a stamp, beginning with what it was then.
func (t *table) since(key string, stamp int64) (all []dated) {
	id, err := strconv.ParseInt(key, 10, 64)
	t.mu.RLock()
	defer t.mu.RUnlock()
	h := t.history[id]
	if err != nil || h == nil || h.gone != 0 && h.gone <= stamp {
		return nil
	}
	for v := len(h.versions) - 1; v >= 0; v-- {
		if all = append(all, dated{h.versions[v], h.stamps[v]}); h.stamps[v] <= stamp {
			break
		}
	}
	slices.Reverse(all)
	return all
}

// stampOf is when a version of a row was committed.
func (t *table) stampOf(key string, version int64) int64 {
	id, _ := strconv.ParseInt(key, 10, 64)
	t.mu.RLock()
	defer t.mu.RUnlock()
	if h := t.history[id]; h != nil && version >= 1 && version <= int64(len(h.stamps)) {
		return h.stamps[version-1]
	}
	return 0
}

// owned reports whether a row ever had an owner that some mask holds.
func (t *table) owned(key string, mask uint64) bool {
	id, err := strconv.ParseInt(key, 10, 64)
	t.mu.RLock()
	defer t.mu.RUnlock()
	h := t.history[id]
	return err == nil && h != nil && slices.ContainsFunc(h.versions, func(i item) bool { return mask&(1<<i.Owner) != 0 })
}

// list is the List of the router: it honours the whole query. The turn counts the lists that were read.
func (t *table) list(p *where.Predicate, order []where.Order, limit int) (rows []item, turn int64) {
	t.mu.Lock()
	t.lists++
	turn = t.lists
	var found []*stored
	for _, key := range t.keys {
		if r := t.rows[key]; p.Match(r.row) {
			copied := *r
			found = append(found, &copied)
		}
	}
	t.mu.Unlock()
	compare := schema.Comparer(order)
	slices.SortFunc(found, func(a, b *stored) int { return cmp.Or(compare(a.row, b.row), cmp.Compare(a.ID, b.ID)) })
	if limit > 0 && len(found) > limit {
		found = found[:limit]
	}
	out := make([]item, len(found))
	for n, r := range found {
		out[n] = r.item
	}
	return out, turn
}
