//go:build unix

package outbox

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
)

// steps are where a process that writes can be killed, and whether what it wrote is committed then.
var steps = []struct {
	name      string
	committed bool
}{
	{"begun", false},
	{"row written", false},
	{"entry stored", false},
	{"all stored", false},
	{"committed", true},
}

// writeUntilKilled is the main function of a process that writes: a row and its entry in one transaction, and then again in a second one, with two
// entries. Of the second it says each step, and goes on when it is told to.
func writeUntilKilled(of task) error {
	connector, err := connect(of.Dialect, of.Source)
	if err != nil {
		return err
	}
	ctx, db := context.Background(), sql.OpenDB(connector)
	box := New(db, newLog(), Options{Dialect: of.Dialect, Table: of.Table}) // its log is never asked for: nobody relays here
	raise := "UPDATE " + of.Table + "_rows SET version = version + 1"
	orders := bufio.NewScanner(os.Stdin)
	reach := func(step int) error {
		fmt.Println(steps[step].name)
		if !orders.Scan() {
			return errors.New("there is nobody to go on for")
		}
		return nil
	}
	first, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err = first.ExecContext(ctx, raise); err != nil {
		return err
	}
	if err := errors.Join(box.AppendTx(ctx, first, []byte(of.Name+" before")), first.Commit()); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for i, do := range []func() error{
		func() error { return nil },
		func() error { _, err := tx.ExecContext(ctx, raise); return err },
		func() error { return box.AppendTx(ctx, tx, []byte(of.Name+" one")) },
		func() error { return box.AppendTx(ctx, tx, []byte(of.Name+" two")) },
		tx.Commit,
	} {
		if err := errors.Join(do(), reach(i)); err != nil {
			return err
		}
	}
	return nil
}

// testWriterKilled kills (kill -9) a process at each step of its transaction. Nobody relays meanwhile. Another process then must publish what was
// committed, once, and nothing else.
func testWriterKilled(t *testing.T, d database) {
	log := newLog()
	box := open(t, d.db, log, d.options(t))
	rows := box.o.Table + "_rows"
	for _, s := range []string{"CREATE TABLE " + rows + " (version BIGINT NOT NULL)", "INSERT INTO " + rows + " VALUES (0)"} {
		if _, err := d.db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	version := 0
	for i, step := range steps {
		killAt(t, startProcess(t, task{Dialect: d.dialect, Source: d.source, Table: box.o.Table, Name: step.name}), i)
		want = append(want, step.name+" before")
		version++
		if step.committed {
			want = append(want, step.name+" one", step.name+" two")
			version++
		}
		// The row is free when the database has ended what was left open.
		writeAfter(t, box, "UPDATE "+rows+" SET version = version + 1", step.name+" after")
		want = append(want, step.name+" after")
		version++
		stop := run(t, New(d.db, log, box.o))
		idle(t, box)
		stop()
		if got := entries(t, log, len(want)); !slices.Equal(got, want) {
			t.Fatalf("killed when it had %s: the log is\n%q, want\n%q", step.name, got, want)
		}
		var stored int
		if err := d.db.QueryRowContext(t.Context(), "SELECT version FROM "+rows).Scan(&stored); err != nil || stored != version {
			t.Fatalf("killed when it had %s: the row has version %d, %v; want %d", step.name, stored, err, version)
		}
	}
}

// killAt kills a process when it has said that it has reached a step.
func killAt(t *testing.T, p *process, step int) {
	t.Helper()
	for i := 0; i <= step; i++ {
		if i > 0 {
			fmt.Fprintln(p.in)
		}
		if !p.out.Scan() || p.out.Text() != steps[i].name {
			t.Fatalf("it said %q and not that it has %s: %v", p.out.Text(), steps[i].name, p.out.Err())
		}
	}
	p.kill()
}

// writeAfter commits a statement and an entry in one transaction, which waits for whoever has locked the statement's row.
func writeAfter(t *testing.T, box *Outbox, statement, entry string) {
	t.Helper()
	tx, err := box.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	appendTx(t, box, tx, entry)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}
