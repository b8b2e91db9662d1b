//go:build unix

package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swampline/live/broker"
)

// testRandom lets several writers run random transactions beside two relays, and compares the log to what was committed.
func testRandom(t *testing.T, d database) {
	log := newLog()
	o := d.options(t)
	o.Batch = 10
	box := open(t, d.db, log, o)
	run(t, box)
	run(t, New(d.db, log, o))
	w := newWorkload(t, box, 7)
	for range 4 {
		w.start(40)
	}
	w.wait()
	idle(t, box)
	w.check(log, d.copies(o.Batch))
}

// copies is how many there may be though nothing was harmed: MySQL may roll back a relay that has told of a batch, to end a deadlock.
func (d database) copies(batch int) int {
	if d.dialect == MySQL {
		return batch
	}
	return 0
}

// workload is writers who run random transactions, and what these committed.
type workload struct {
	t       *testing.T
	box     *Outbox
	items   string // the table to which each entry is written too
	rows    string // the table whose rows all fight for
	seed    uint64
	pace    time.Duration // how long a writer rests after a transaction
	clock   atomic.Int64  // ticks at each beginning and end of a transaction
	stopped atomic.Bool
	writers int
	wg      sync.WaitGroup

	mu        sync.Mutex
	committed []committed
}

// committed is a transaction that was committed: when it had not begun yet, when it was over, and what it wrote.
type committed struct {
	begun, ended int64
	entries      []string
}

const contested = 3 // rows

func newWorkload(t *testing.T, box *Outbox, seed uint64) *workload {
	w := &workload{t: t, box: box, seed: seed, items: box.o.Table + "_items", rows: box.o.Table + "_rows"}
	statements := []string{
		"CREATE TABLE " + w.items + " (entry VARCHAR(200) NOT NULL)",
		"CREATE TABLE " + w.rows + " (id INTEGER PRIMARY KEY, version BIGINT NOT NULL)",
	}
	for i := range contested {
		statements = append(statements, fmt.Sprintf("INSERT INTO %s VALUES (%d, 0)", w.rows, i))
	}
	for _, s := range statements {
		if _, err := box.db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// start starts a writer of so many transactions, or of as many as it can before stop.
func (w *workload) start(transactions int) {
	w.writers++
	writer := w.writers
	w.wg.Go(func() {
		rnd := rand.New(rand.NewPCG(w.seed, uint64(writer)))
		for n := 0; n < transactions && !w.stopped.Load(); n++ {
			if err := w.transaction(rnd, fmt.Sprintf("%d/%d", writer, n)); err != nil {
				w.t.Errorf("seed %d: %v", w.seed, err)
				return
			}
			if w.pace > 0 {
				pause(w.t.Context(), w.pace)
			}
		}
	})
}

func (w *workload) wait() { w.wg.Wait() }

// transaction runs a transaction, and rolls back one of five.
func (w *workload) transaction(rnd *rand.Rand, name string) error {
	c := committed{begun: w.clock.Add(1)}
	ctx := w.t.Context()
	tx, err := w.box.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	contest := rnd.IntN(2) == 0 // for one row: two of them in any order would be a deadlock
	for part := range 1 + rnd.IntN(3) {
		savepoint := rnd.IntN(3) == 0
		if savepoint {
			if _, err := tx.ExecContext(ctx, "SAVEPOINT part"); err != nil {
				return err
			}
		}
		wrote, err := w.part(ctx, rnd, tx, fmt.Sprintf("%s/%d", name, part), contest)
		if err != nil {
			return err
		}
		contest = false
		switch {
		case !savepoint:
			c.entries = append(c.entries, wrote...)
		case rnd.IntN(2) == 0:
			c.entries = append(c.entries, wrote...)
			_, err = tx.ExecContext(ctx, "RELEASE SAVEPOINT part")
		default:
			_, err = tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT part")
		}
		if err != nil {
			return err
		}
	}
	if rnd.IntN(5) == 0 {
		return tx.Rollback()
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	c.ended = w.clock.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.committed = append(w.committed, c)
	return nil
}

// part writes some entries, perhaps first one about a row that others write too.
func (w *workload) part(ctx context.Context, rnd *rand.Rand, tx *sql.Tx, name string, contest bool) (wrote []string, err error) {
	if contest {
		row, version := rnd.IntN(contested), 0
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET version = version + 1 WHERE id = %d", w.rows, row)); err != nil {
			return nil, err
		}
		if err := tx.QueryRowContext(ctx, fmt.Sprintf("SELECT version FROM %s WHERE id = %d", w.rows, row)).Scan(&version); err != nil {
			return nil, err
		}
		wrote = append(wrote, fmt.Sprintf("row %d %d %s", row, version, name))
	}
	for i := range rnd.IntN(3) {
		wrote = append(wrote, fmt.Sprintf("item %s/%d", name, i))
	}
	for _, e := range wrote {
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s VALUES ('%s')", w.items, e)); err != nil {
			return nil, err
		}
		if err := w.box.AppendTx(ctx, tx, []byte(e)); err != nil {
			return nil, err
		}
	}
	return wrote, nil
}

// check compares the log to the table and to what the writers know, but for so many copies at the most.
func (w *workload) check(log broker.Broker, copies int) {
	w.t.Helper()
	var stored []string
	rows, err := w.box.db.QueryContext(w.t.Context(), "SELECT entry FROM "+w.items)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var e string
		if err := rows.Scan(&e); err != nil {
			w.t.Fatal(err)
		}
		stored = append(stored, e)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		w.t.Fatal(err)
	}
	head, err := log.Head(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	all := entries(w.t, log, max(len(stored), int(head.Major))) // with the copies
	once := firsts(all)
	if n := len(all) - len(once); n > copies {
		w.t.Errorf("seed %d: the log has %d copies, and no more than %d were to be expected", w.seed, n, copies)
	}
	sorted := slices.Clone(once)
	slices.Sort(sorted)
	slices.Sort(stored)
	if !slices.Equal(sorted, stored) {
		w.t.Fatalf("seed %d: the log has %d different entries, and %d were committed", w.seed, len(once), len(stored))
	}
	if len(stored) == 0 || len(w.committed) == 0 {
		w.t.Fatal("nothing was committed")
	}
	w.checkOrder(once)
}

// firsts returns the entries without copies of earlier ones.
func firsts(all []string) (once []string) {
	seen := map[string]bool{}
	for _, e := range all {
		if !seen[e] {
			once = append(once, e)
		}
		seen[e] = true
	}
	return once
}

// checkOrder holds the log to what the package promises about order.
func (w *workload) checkOrder(log []string) {
	type place struct{ transaction, index int }
	places := map[string]place{}
	for i, c := range w.committed {
		for n, e := range c.entries {
			places[e] = place{i, n}
		}
	}
	if len(places) != len(log) {
		w.t.Fatalf("seed %d: the writers know of %d entries, the log of %d", w.seed, len(places), len(log))
	}
	next := make([]int, len(w.committed)) // the index of the entry that must come next, for each transaction
	versions := map[string]int{}
	var begun int64 // the latest beginning of the transactions so far
	for i, e := range log {
		p := places[e]
		c := w.committed[p.transaction]
		if p.index != next[p.transaction] {
			w.t.Fatalf("seed %d: entry %d, %q, is out of its transaction's order", w.seed, i, e)
		}
		next[p.transaction]++
		if c.ended < begun {
			w.t.Fatalf("seed %d: entry %d, %q, comes after one whose transaction began when this one's had committed", w.seed, i, e)
		}
		begun = max(begun, c.begun)
		if f := strings.Fields(e); f[0] == "row" {
			var version int
			fmt.Sscan(f[2], &version)
			if version <= versions[f[1]] {
				w.t.Fatalf("seed %d: entry %d, %q, comes after version %d of its row", w.seed, i, e, versions[f[1]])
			}
			versions[f[1]] = version
		}
	}
}
