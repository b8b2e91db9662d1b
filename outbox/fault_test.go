//go:build unix

package outbox

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/swampline/live/broker"
)

// faults decides, for each step that a relay takes at its database or its broker, what goes wrong with it.
type faults struct {
	mu sync.Mutex
	n  int
	// dieAt is the step at which the process dies: neither it nor any step after it is carried out.
	dieAt int
	died  chan struct{} // closed then
	// failing steps, unless it is nil, fail: one half of them is not carried out, of the other only the answer is lost.
	failing *rand.Rand
	// lose is an entry of which the answer is lost once, if it was appended.
	lose string
}

var errFault = errors.New("something went wrong")

// step carries out do, or does not.
func (f *faults) step(do func() error) error {
	f.mu.Lock()
	f.n++
	if f.dieAt > 0 && f.n == f.dieAt {
		close(f.died)
	}
	dead := f.dieAt > 0 && f.n >= f.dieAt
	before, after := false, false
	if f.failing != nil && f.failing.IntN(40) == 0 {
		before = f.failing.IntN(2) == 0
		after = !before
	}
	f.mu.Unlock()
	if dead || before {
		return errFault
	}
	if err := do(); err != nil {
		return err
	}
	if after {
		return errFault
	}
	return nil
}

// faultyBroker is a broker with faults.
type faultyBroker struct {
	broker.Broker
	*faults
}

func (b faultyBroker) Append(ctx context.Context, data []byte) (p broker.Position, err error) {
	err = b.step(func() error { p, err = b.Broker.Append(ctx, data); return err })
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && string(data) == b.lose {
		b.lose, err = "", errFault
	}
	return p, err
}

func (b faultyBroker) Head(ctx context.Context) (p broker.Position, err error) {
	err = b.step(func() error { p, err = b.Broker.Head(ctx); return err })
	return p, err
}

func (b faultyBroker) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	if err := b.step(func() error { return nil }); err != nil {
		return err
	}
	return b.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
		for i := range batch { // one by one: a relay must also do with that
			if err := deliver(batch[i : i+1]); err != nil {
				return err
			}
		}
		return b.step(func() error { return nil })
	})
}

// faultyConnector opens connections with faults. Their statements fail; that a connection is opened or closed does not.
type faultyConnector struct {
	driver.Connector
	*faults
}

func (c faultyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	return faultyConn{conn, c.faults}, err
}

type faultyConn struct {
	driver.Conn
	*faults
}

func (c faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (res driver.Result, err error) {
	if err = c.step(func() error { return nil }); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (rows driver.Rows, err error) {
	if err = c.step(func() error { return nil }); err != nil {
		return nil, err
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c faultyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.step(func() error { return nil }); err != nil {
		return nil, err
	}
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	return faultyTx{tx, c.faults}, err
}

func (c faultyConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

type faultyTx struct {
	driver.Tx
	*faults
}

// Commit commits or rolls back: who dies, or has lost the connection, leaves no transaction open.
func (tx faultyTx) Commit() error {
	committed := false
	err := tx.step(func() error { committed = true; return tx.Tx.Commit() })
	if !committed {
		err = errors.Join(err, tx.Tx.Rollback())
	}
	return err
}

// testCrashAtEveryStep lets a relay die at its first step, at its second, and so on, the next one at some step of its own, and lets a third one do
// what is left. Each time the log must have everything once, and in order. The steps are counted, so no kind of them is forgotten.
func testCrashAtEveryStep(t *testing.T, d database) {
	log := newLog()
	o := d.options(t)
	o.Batch, o.Logger = 2, quiet
	box := open(t, d.db, log, o)
	rnd := rand.New(rand.NewPCG(1, 2))
	var want []string
	for at, done := 1, false; !done; at++ {
		for i := range 5 {
			want = append(want, fmt.Sprint(at, "-", i))
		}
		write(t, box, want[len(want)-5:len(want)-2]...)
		write(t, box, want[len(want)-2:]...)
		done = !dies(t, d, log, o, at)
		if !done && rnd.IntN(2) == 0 {
			log.Append(t.Context(), []byte("another's"))
			execute(t, box, "_state", "UPDATE %s SET expires = 0") // as if the time had passed
			dies(t, d, log, o, 1+rnd.IntN(30))
		}
		execute(t, box, "_state", "UPDATE %s SET expires = 0")
		last := New(d.db, log, o)
		stop := run(t, last)
		idle(t, last)
		stop()
		got := slices.DeleteFunc(entries(t, log, len(want)), func(e string) bool { return e == "another's" })
		if !slices.Equal(got, want) {
			t.Fatalf("after a crash at step %d the log is\n%q, want\n%q", at, got, want)
		}
		if done && at < 20 {
			t.Fatalf("the relay took %d steps only", at)
		}
	}
}

// dies runs a relay that dies at a step, and reports whether it came that far before it had nothing left to do.
func dies(t *testing.T, d database, log broker.Broker, o Options, step int) bool {
	f := &faults{dieAt: step, died: make(chan struct{})}
	db := sql.OpenDB(faultyConnector{d.connector(t), f})
	defer db.Close()
	box := New(db, faultyBroker{log, f}, o)
	clean := New(d.db, log, o)
	stop := run(t, box)
	defer stop()
	for {
		select {
		case <-f.died:
			return true
		default:
		}
		if count(t, clean, "") == 0 {
			stop() // which also takes steps: it gives the lease back
			select {
			case <-f.died:
				return true
			default:
				return false
			}
		}
	}
}

// testBrokerAway has a broker that fails now and then, before or after it did what it was asked.
func testBrokerAway(t *testing.T, d database) {
	log := newLog()
	f := &faults{failing: rand.New(rand.NewPCG(3, 4)), lose: "50b"}
	o := d.options(t)
	o.Logger, o.Batch = quiet, 7
	box := open(t, d.db, faultyBroker{log, f}, o)
	run(t, box)
	relaysAll(t, box, log)
	if s, err := box.Stats(t.Context()); err != nil || s.Found == 0 || s.Appended+s.Found != 200 {
		t.Errorf("Stats = %+v, %v: no answer of the broker was lost", s, err)
	}
}

// testDatabaseAway has a database that fails the relay now and then, be it to answer a COMMIT that it carried out.
func testDatabaseAway(t *testing.T, d database) {
	log := newLog()
	o := d.options(t)
	o.Logger, o.Batch = quiet, 7
	box := open(t, d.db, log, o)
	db := sql.OpenDB(faultyConnector{d.connector(t), &faults{failing: rand.New(rand.NewPCG(5, 6))}})
	defer db.Close()
	stop := run(t, New(db, log, o))
	defer stop()
	relaysAll(t, box, log)
}

// relaysAll waits until 200 entries have been relayed, each once.
func relaysAll(t *testing.T, box *Outbox, log broker.Broker) {
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))
		write(t, box, want[2*i:]...)
	}
	idle(t, box)
	if got := entries(t, log, 200); !slices.Equal(got, want) {
		t.Errorf("the log is %q", got)
	}
}
