//go:build unix

package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

func testRelay(t *testing.T, d database) {
	log := newLog()
	box := open(t, d.db, log, d.options(t))
	write(t, box, "a", "b") // before the relay runs
	stop := run(t, box)
	entries(t, log, 2)
	write(t, box, "c")
	write(t, box, "", "\x00d'\"\\")
	want := []string{"a", "b", "c", "", "\x00d'\"\\"}
	if got := entries(t, log, 5); !slices.Equal(got, want) {
		t.Errorf("the log is %q, want %q", got, want)
	}
	idle(t, box)
	stop()
	if owner := state(t, box, "expires"); owner != 0 {
		t.Errorf("the relay has ended and keeps its lease until %d", owner)
	}
	write(t, box, "e")
	run(t, New(d.db, log, box.o)) // as after a restart
	if got := entries(t, log, 6); got[5] != "e" {
		t.Errorf("the log is %q", got)
	}
	idle(t, box)
	entries(t, log, 6)
}

func testDrain(t *testing.T, d database) {
	log := newLog()
	box := open(t, d.db, log, d.options(t))
	if err := box.Drain(t.Context()); err != nil {
		t.Errorf("Drain of nothing: %v", err)
	}
	write(t, box, "a", "b")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := box.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain without a relay: %v", err)
	}
	run(t, box)
	if err := New(d.db, log, box.o).Drain(t.Context()); err != nil { // of another process
		t.Errorf("Drain: %v", err)
	}
	if head, err := log.Head(t.Context()); err != nil || head.Major != 2 {
		t.Errorf("the log ends at %v (%v), want both entries", head, err)
	}
}

func testRollback(t *testing.T, d database) {
	log := newLog()
	box := open(t, d.db, log, d.options(t))
	run(t, box)
	for _, commit := range []bool{false, true} {
		tx, err := d.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		step := func(statement string) {
			if _, err := tx.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		appendTx(t, box, tx, fmt.Sprint("first ", commit))
		step("SAVEPOINT one")
		appendTx(t, box, tx, fmt.Sprint("dropped ", commit))
		step("ROLLBACK TO SAVEPOINT one")
		step("SAVEPOINT two")
		appendTx(t, box, tx, fmt.Sprint("kept ", commit))
		step("RELEASE SAVEPOINT two")
		if commit {
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := entries(t, log, 2); !slices.Equal(got, []string{"first true", "kept true"}) {
		t.Errorf("the log is %q", got)
	}
	idle(t, box)
	entries(t, log, 2)
}

// testOpenTransaction holds a transaction open whose entry has the lowest id: the others go out, and it goes out when it commits. What
// the relay deletes meanwhile neither waits for it nor makes it wait.
func testOpenTransaction(t *testing.T, d database) {
	log := newLog()
	box := open(t, d.db, log, d.options(t))
	run(t, box)
	tx, err := d.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	appendTx(t, box, tx, "late 0")
	want := []string{}
	for i := range 5 {
		early := fmt.Sprint("early ", i)
		write(t, box, early)
		want = append(want, early)
		idle(t, box)
		appendTx(t, box, tx, fmt.Sprint("late ", i+1))
	}
	if got := entries(t, log, 5); !slices.Equal(got, want) {
		t.Errorf("the log is %q, want %q", got, want)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		want = append(want, fmt.Sprint("late ", i))
	}
	if got := entries(t, log, 11); !slices.Equal(got, want) {
		t.Errorf("the log is %q, want %q", got, want)
	}
	idle(t, box)
}

func testTooLarge(t *testing.T, d database) {
	log := memory.New(memory.Options{MaxEntryBytes: 100})
	o := d.options(t)
	o.MaxEntryBytes = 1000
	box := open(t, d.db, log, o)
	tx, err := d.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	appendTx(t, box, tx, "a")
	if err := box.AppendTx(t.Context(), tx, make([]byte, 1001)); !errors.Is(err, broker.ErrTooLarge) {
		t.Errorf("AppendTx = %v, want ErrTooLarge", err)
	}
	large := strings.Repeat("x", 1000)
	appendTx(t, box, tx, "b", large, "c", large, large, "d")
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	run(t, box)
	if got := entries(t, log, 4); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("the log is %q", got)
	}
	idle(t, box)
	s, err := box.Stats(t.Context())
	if err != nil || s.Refused != 3 || s.SetAside != 3 || s.Waiting != 0 {
		t.Errorf("Stats = %+v, %v", s, err)
	}
	var data, reason string
	query := "SELECT data, reason FROM " + box.o.Dialect.quote(box.o.Table, "_refused") + " ORDER BY id LIMIT 1"
	if err := d.db.QueryRowContext(t.Context(), query).Scan(&data, &reason); err != nil || data != large || !strings.Contains(reason, "too large") {
		t.Errorf("the refused row has %d bytes and the reason %q, %v", len(data), reason, err)
	}
}

// testLargeRows relays more than is read at once.
func testLargeRows(t *testing.T, d database) {
	log := newLog()
	box := open(t, d.db, log, d.options(t))
	var want []string
	for i := range 12 {
		want = append(want, fmt.Sprint(i, strings.Repeat("x", 1<<20-10)))
		write(t, box, want[i])
	}
	r := &relay{Outbox: box, limit: box.o.Batch}
	for range 2 {
		rows, err := r.read(t.Context())
		if err != nil || len(rows) >= 6 || r.limit != len(rows) {
			t.Fatalf("%d rows are read at once, and then %d: %v", len(rows), r.limit, err)
		}
	}
	run(t, box)
	if got := entries(t, log, 12); !slices.Equal(got, want) {
		t.Error("the log has not what was written")
	}
	idle(t, box)
	if rows, err := r.read(t.Context()); err != nil || len(rows) != 0 || r.limit <= 4 {
		t.Errorf("later %d rows are read at once: %v", r.limit, err)
	}
}

// testAlikeRows has two rows with the same bytes, of which one is on the log when the relay starts.
func testAlikeRows(t *testing.T, d database) {
	log := newLog()
	box := open(t, d.db, log, d.options(t))
	crashed(t, box, log)
	write(t, box, "x", "x", "y")
	log.Append(t.Context(), []byte("x"))
	run(t, box)
	idle(t, box)
	if got := entries(t, log, 4); !slices.Equal(got, []string{"before", "x", "x", "y"}) {
		t.Errorf("the log is %q", got)
	}
}

// crashed relays an entry and leaves the outbox as a relay does that was at work.
func crashed(t *testing.T, box *Outbox, log broker.Broker) {
	stop := run(t, box)
	write(t, box, "before")
	entries(t, log, 1)
	idle(t, box)
	stop()
}

func testExpired(t *testing.T, d database) {
	log := newLog()
	box := open(t, d.db, log, d.options(t))
	crashed(t, box, log)
	write(t, box, "x", "y")
	log.Append(t.Context(), []byte("x"))
	log.Reset() // it is gone, and so is its epoch
	run(t, box)
	idle(t, box)
	if got := entries(t, log, 2); !slices.Equal(got, []string{"x", "y"}) {
		t.Errorf("the log is %q", got)
	}
}

// testTrimmed trims the log behind what was confirmed last. While a relay is at work, others that write to the log do not bring this about.
func testTrimmed(t *testing.T, d database) {
	log := newLog()
	o := d.options(t)
	o.Lease = 2 * time.Second
	box := open(t, d.db, log, o)
	stop := run(t, box)
	write(t, box, "before")
	entries(t, log, 1)
	idle(t, box)
	others, err := log.Append(t.Context(), []byte("others"))
	if err != nil {
		t.Fatal(err)
	}
	stored := func() (cursor string) {
		query := "SELECT confirmed FROM " + box.o.Dialect.quote(box.o.Table, "_state")
		if err := box.db.QueryRowContext(t.Context(), query).Scan(&cursor); err != nil {
			t.Fatal(err)
		}
		return cursor
	}
	until(t, box, "the position follows the head", func() bool { return stored() == others.String() })
	stop()
	log.Trim(1)
	write(t, box, "x")
	log.Append(t.Context(), []byte("x"))
	stop = run(t, box)
	idle(t, box)
	if got := entries(t, log, 2); !slices.Equal(got, []string{"others", "x"}) {
		t.Errorf("the log is %q", got)
	}
	stop()
	write(t, box, "y")
	for _, e := range []string{"y", "others", "others"} {
		log.Append(t.Context(), []byte(e))
	}
	log.Trim(1)
	run(t, box)
	idle(t, box)
	if got := entries(t, log, 2); !slices.Equal(got, []string{"others", "y"}) { // the second y, as the first is forgotten
		t.Errorf("the log is %q", got)
	}
}

func testStats(t *testing.T, d database) {
	log := newLog()
	box := open(t, d.db, log, d.options(t))
	if s, err := box.Stats(t.Context()); err != nil || s != (Stats{}) {
		t.Errorf("at first Stats = %+v, %v", s, err)
	}
	write(t, box, "a", "b")
	execute(t, box, "", "UPDATE %s SET written = written - 60000")
	write(t, box, "c")
	s, err := box.Stats(t.Context())
	if err != nil || s.Waiting != 3 || s.Oldest < time.Minute || s.Oldest > time.Hour || s.Relaying {
		t.Errorf("Stats = %+v, %v", s, err)
	}
	stop := run(t, box)
	idle(t, box)
	s, err = box.Stats(t.Context())
	if err != nil || s != (Stats{Relaying: true, Appended: 3}) {
		t.Errorf("while it relays Stats = %+v, %v", s, err)
	}
	stop()
	if s, err = box.Stats(t.Context()); err != nil || s.Relaying {
		t.Errorf("at the end Stats = %+v, %v", s, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = box.Stats(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended Stats = %v", err)
	}
}

func testMigrateAtOnce(t *testing.T, d database) {
	o := d.options(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := New(d.db, newLog(), o).Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	box := New(d.db, newLog(), o)
	execute(t, box, "_state", "UPDATE %s SET term = 7")
	if err := box.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
	if n := count(t, box, "_state"); n != 1 || state(t, box, "term") != 7 {
		t.Errorf("there are %d states, in term %d", n, state(t, box, "term"))
	}
}

// testManyRows relays a table of many rows, of which each look reads few.
func testManyRows(t *testing.T, d database) {
	const rows = 5000
	log := newLog()
	box := open(t, d.db, log, d.options(t))
	values := make([]string, rows)
	for i := range values {
		values[i] = fmt.Sprintf("('%d', 1)", i)
	}
	execute(t, box, "", "INSERT INTO %s (data, written) VALUES "+strings.Join(values, ","))
	r := &relay{Outbox: box, limit: box.o.Batch}
	found, err := r.read(t.Context())
	if err != nil || len(found) != box.o.Batch {
		t.Fatalf("a look reads %d rows, %v", len(found), err)
	}
	if d.dialect == MySQL { // by the primary key, however few rows there are besides
		for _, n := range []int{1, box.o.Batch} {
			ids := make([]int64, n)
			for i := range ids {
				ids[i] = found[i].id
			}
			if plan := explain(t, d.db, box.sql.remove(ids)); !slices.Contains([]string{"const", "range"}, plan["type"]) || plan["key"] != "PRIMARY" {
				t.Errorf("%d rows are deleted by this plan: %v", n, plan)
			}
		}
	}
	run(t, box)
	got := entries(t, log, rows)
	for i := range got {
		if got[i] != fmt.Sprint(i) {
			t.Fatalf("entry %d is %s", i, got[i])
		}
	}
	idle(t, box)
}

// explain returns the first row of what MySQL says about a statement.
func explain(t *testing.T, db *sql.DB, statement string) map[string]string {
	rows, err := db.QueryContext(t.Context(), "EXPLAIN "+statement)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || !rows.Next() {
		t.Fatal("EXPLAIN says nothing: ", err)
	}
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		t.Fatal(err)
	}
	plan := map[string]string{}
	for i, c := range columns {
		plan[c] = values[i].String
	}
	return plan
}
