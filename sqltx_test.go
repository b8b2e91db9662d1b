package live_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
)

// newTxBench is a hub with the router red and the channel chat, and a database; with an outbox, entries come through that.
func newTxBench(t *testing.T, outbox bool) (*bench, *live.Router[mark], *ledger) {
	red, l := marksOf("red"), newLedger(t)
	o := live.Options{}
	if outbox {
		o.Outbox = l
	}
	b := newBench(t, o, red, &live.Channel{Name: "chat", Subscribe: anyone})
	l.relay = func(data []byte) {
		if _, err := b.spy.Append(context.Background(), data); err != nil {
			t.Error(err)
		}
	}
	return b, red, l
}

// bothWays runs a test with an outbox and without.
func bothWays(t *testing.T, test func(t *testing.T, outbox bool)) {
	for _, outbox := range []bool{false, true} {
		t.Run(fmt.Sprintf("outbox %t", outbox), func(t *testing.T) { test(t, outbox) })
	}
}

// doing stores rows, of which it tells.
func doing(red *live.Router[mark], ids ...int64) func(ctx context.Context, tx *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		for _, id := range ids {
			if err := errors.Join(put(ctx, tx, fmt.Sprint(id)), red.Created(ctx, mark{id, "a"})); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestTxIsOneEntryAfterTheCommit(t *testing.T) {
	bothWays(t, func(t *testing.T, outbox bool) {
		b, red, l := newTxBench(t, outbox)
		err := live.Tx(t.Context(), l.db, func(ctx context.Context, tx *sql.Tx) error {
			err := errors.Join(doing(red, 1, 2)(ctx, tx), b.hub.Publish(ctx, "chat", "hi"))
			b.wantTold()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b.wantTold(`create red 1, create red 2, chat "hi"`)
		equal(t, "rows", l.holds(), "1 2")
		want := "BEGIN, COMMIT"
		if outbox {
			want = "BEGIN, OUTBOX, COMMIT"
		}
		equal(t, "steps", strings.Join(l.steps, ", "), want)
		if got := strings.Contains(b.spy.entries[0], `"id":"`); got != outbox {
			t.Errorf("with an id: %t: %s", got, b.spy.entries[0])
		}
	})
}

func TestTxThatDoesNotCommitPublishesNothing(t *testing.T) {
	oh := errors.New("oh")
	for name, test := range map[string]struct {
		set  func(l *ledger)
		do   func(ctx context.Context) error
		says string
	}{
		"an error of do":       {func(*ledger) {}, func(context.Context) error { return oh }, "oh"},
		"an error of begin":    {func(l *ledger) { l.failing("BEGIN", oh) }, nil, "live: begin: oh"},
		"an error of commit":   {func(l *ledger) { l.failing("COMMIT", oh) }, nil, "live: commit: oh"},
		"an error of a row":    {func(l *ledger) { l.failing("PUT", oh) }, nil, "oh"},
		"a panic":              {func(*ledger) {}, func(context.Context) error { panic(oh) }, "panic"},
		"the end of goroutine": {func(*ledger) {}, nil, "goexit"},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, outbox bool) {
				b, red, l := newTxBench(t, outbox)
				test.set(l)
				var late context.Context
				run := func() (err error) {
					defer func() {
						if p := recover(); p == oh {
							err = fmt.Errorf("panic: %w", oh)
						}
					}()
					return live.Tx(t.Context(), l.db, func(ctx context.Context, tx *sql.Tx) error {
						late = ctx
						err := doing(red, 1)(ctx, tx)
						switch {
						case test.says == "goexit":
							goexit()
						case test.do != nil:
							err = errors.Join(err, test.do(ctx))
						}
						return err
					})
				}
				err := fmt.Errorf("goexit: %w", oh)
				done := make(chan struct{})
				go func() { defer close(done); err = run() }()
				<-done
				if !errors.Is(err, oh) || !strings.HasPrefix(err.Error(), test.says) {
					t.Errorf("the error is %v", err)
				}
				b.wantTold()
				equal(t, "rows", l.holds(), "")
				if late == nil {
					return
				}
				if _, ok := live.TxOf(late, l.db); ok {
					t.Error("the transaction is still there")
				}
				if err := red.Created(late, mark{9, "a"}); err != nil {
					t.Error(err)
				}
				l.failing("nothing", nil)
				if err := live.Tx(late, l.db, doing(red, 10)); err != nil {
					t.Error(err)
				}
				b.wantTold("create red 9", "create red 10")
			})
		})
	}
}

func TestTxInATxIsASavepoint(t *testing.T) {
	oh := errors.New("oh")
	bothWays(t, func(t *testing.T, outbox bool) {
		b, red, l := newTxBench(t, outbox)
		err := live.Tx(t.Context(), l.db, func(ctx context.Context, outer *sql.Tx) error {
			failed := live.Tx(ctx, l.db, func(ctx context.Context, tx *sql.Tx) error {
				if in, ok := live.TxOf(ctx, l.db); tx != outer || in != outer || !ok {
					t.Error("another transaction")
				}
				return errors.Join(doing(red, 1)(ctx, tx), live.Tx(ctx, l.db, doing(red, 2)), oh)
			})
			if !errors.Is(failed, oh) {
				t.Errorf("inside: %v", failed)
			}
			return errors.Join(live.Tx(ctx, l.db, doing(red, 3)), doing(red, 4)(ctx, outer))
		})
		if err != nil {
			t.Error(err)
		}
		equal(t, "rows", l.holds(), "3 4")
		b.wantTold("create red 3, create red 4")
		steps := strings.Replace(strings.Join(l.steps, ", "), "OUTBOX, ", "", 1)
		equal(t, "steps", steps, "BEGIN, SAVEPOINT live_1, SAVEPOINT live_2, RELEASE SAVEPOINT live_2, "+
			"ROLLBACK TO SAVEPOINT live_1, RELEASE SAVEPOINT live_1, SAVEPOINT live_3, RELEASE SAVEPOINT live_3, COMMIT")
	})
}

// What a savepoint could not undo would be committed and not published.
func TestSavepointThatCannotBeUndoneUndoesAll(t *testing.T) {
	oh, gone := errors.New("oh"), errors.New("gone")
	bothWays(t, func(t *testing.T, outbox bool) {
		b, red, l := newTxBench(t, outbox)
		l.failing("ROLLBACK TO", gone)
		err := live.Tx(t.Context(), l.db, func(ctx context.Context, tx *sql.Tx) error {
			_ = live.Tx(ctx, l.db, func(ctx context.Context, tx *sql.Tx) error { return errors.Join(doing(red, 1)(ctx, tx), oh) })
			return doing(red, 2)(ctx, tx)
		})
		if !errors.Is(err, gone) {
			t.Errorf("the error is %v", err)
		}
		equal(t, "rows", l.holds(), "")
		b.wantTold()
	})
}

func TestSavepointThatCannotBeMadeOrReleased(t *testing.T) {
	oh := errors.New("oh")
	for _, statement := range []string{"SAVEPOINT", "RELEASE"} {
		b, red, l := newTxBench(t, false)
		err := live.Tx(t.Context(), l.db, func(ctx context.Context, tx *sql.Tx) error {
			l.fail = func(s string) error {
				if strings.HasPrefix(s, statement) {
					l.fail = func(string) error { return nil }
					return oh
				}
				return nil
			}
			if err := live.Tx(ctx, l.db, doing(red, 1)); !errors.Is(err, oh) {
				t.Errorf("%s: %v", statement, err)
			}
			return doing(red, 2)(ctx, tx)
		})
		if err != nil {
			t.Error(err)
		}
		equal(t, "rows", l.holds(), "2")
		b.wantTold("create red 2")
	}
}

func TestSavepointIsUndoneThoughItsCtxHasEnded(t *testing.T) {
	b, red, l := newTxBench(t, false)
	err := live.Tx(t.Context(), l.db, func(ctx context.Context, tx *sql.Tx) error {
		short, cancel := context.WithCancel(ctx)
		if err := live.Tx(short, l.db, func(ctx context.Context, tx *sql.Tx) error {
			defer cancel()
			return doing(red, 1)(ctx, tx)
		}); !errors.Is(err, context.Canceled) {
			t.Errorf("inside: %v", err)
		}
		return doing(red, 2)(ctx, tx)
	})
	if err != nil {
		t.Error(err)
	}
	equal(t, "rows", l.holds(), "2")
	b.wantTold("create red 2")
}

func TestTxOnAnotherDatabaseIsItsOwn(t *testing.T) {
	oh := errors.New("oh")
	b, red, l := newTxBench(t, false)
	other := newLedger(t)
	err := live.Tx(t.Context(), l.db, func(ctx context.Context, tx *sql.Tx) error {
		if err := doing(red, 1)(ctx, tx); err != nil {
			return err
		}
		err := live.Tx(ctx, other.db, func(ctx context.Context, tx *sql.Tx) error {
			// In the other one the first is still there, and a savepoint of it is part of that.
			return errors.Join(doing(red, 2)(ctx, tx), live.Tx(ctx, l.db, doing(red, 3)))
		})
		b.wantTold("create red 2")
		return errors.Join(err, oh)
	})
	if !errors.Is(err, oh) {
		t.Error(err)
	}
	b.wantTold("create red 2")
	equal(t, "rows", l.holds()+", "+other.holds(), ", 2")
}

func TestTxPublishesOnEachHub(t *testing.T) {
	l := newLedger(t)
	red, blue := marksOf("red"), marksOf("blue")
	b, other := newBench(t, live.Options{}, red), newBench(t, live.Options{Outbox: l}, blue)
	l.relay = func(data []byte) { _, _ = other.spy.Append(context.Background(), data) }
	err := live.Tx(t.Context(), l.db, func(ctx context.Context, tx *sql.Tx) error {
		return errors.Join(red.Created(ctx, mark{1, "a"}), blue.Created(ctx, mark{2, "a"}), red.Created(ctx, mark{3, "a"}))
	})
	if err != nil {
		t.Error(err)
	}
	b.wantTold("create red 1, create red 3")
	other.wantTold("create blue 2")
}

// downBroker is a broker that fails with err, or, as real ones do, with a context that has ended.
type downBroker struct {
	*spy
	err error
}

func (d downBroker) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if d.err != nil {
		return broker.Position{}, d.err
	}
	if err := ctx.Err(); err != nil {
		return broker.Position{}, err
	}
	return d.spy.Append(ctx, data)
}

func TestTxIsPublishedThoughCtxHasEnded(t *testing.T) {
	red, l := marksOf("red"), newLedger(t)
	s := newSpy()
	b := newBench(t, live.Options{Broker: downBroker{spy: s}}, red)
	ctx, cancel := context.WithCancel(t.Context())
	l.fail = func(statement string) error {
		if statement == "COMMIT" {
			cancel() // the database has done it by now
		}
		return nil
	}
	if err := live.Tx(ctx, l.db, doing(red, 1)); err != nil {
		t.Error(err)
	}
	b.spy = s
	b.wantTold("create red 1")
}

func TestTxThatCommittedAndCannotBePublished(t *testing.T) {
	red, l := marksOf("red"), newLedger(t)
	oh := errors.New("oh")
	newBench(t, live.Options{Broker: downBroker{spy: newSpy(), err: oh}}, red)
	err := live.Tx(t.Context(), l.db, doing(red, 1))
	if !errors.Is(err, live.ErrUnpublished) || !errors.Is(err, oh) {
		t.Errorf("the error is %v", err)
	}
	equal(t, "rows", l.holds(), "1")
}

func TestOutboxSplitsWhatIsTooLarge(t *testing.T) {
	b, red, l := newTxBench(t, true)
	l.max = 300
	if err := live.Tx(t.Context(), l.db, doing(red, 1, 2, 3, 4)); err != nil {
		t.Fatal(err)
	}
	b.wantTold("create red 1, create red 2", "create red 3, create red 4")
	ids := map[string]bool{}
	for _, data := range b.spy.entries {
		_, id, _ := strings.Cut(data, `"id":"`)
		ids[id[:26]] = true
	}
	if len(ids) != 2 {
		t.Errorf("the ids are %v", ids)
	}
	// What is too large by itself keeps the rest from being committed: afterwards nobody could tell of it.
	err := live.Tx(t.Context(), l.db, func(ctx context.Context, tx *sql.Tx) error {
		return errors.Join(doing(red, 5)(ctx, tx), red.Created(ctx, mark{6, strings.Repeat("x", 300)}))
	})
	if !errors.Is(err, broker.ErrTooLarge) || !strings.Contains(err.Error(), "router red") {
		t.Errorf("the error is %v", err)
	}
	equal(t, "rows", l.holds(), "1 2 3 4")
	if len(b.spy.told(t)) != 2 {
		t.Error(b.spy.told(t))
	}
}

func TestOutboxThatFailsUndoesTheTransaction(t *testing.T) {
	b, red, l := newTxBench(t, true)
	oh := errors.New("oh")
	l.failing("OUTBOX", oh)
	if err := live.Tx(t.Context(), l.db, doing(red, 1)); !errors.Is(err, oh) {
		t.Errorf("the error is %v", err)
	}
	b.wantTold()
	equal(t, "rows", l.holds(), "")
}

// appender is a broker whose log is a table of the application's database.
type appender struct {
	*spy
	*ledger
}

func TestBrokerMayBeTheOutbox(t *testing.T) {
	red, l := marksOf("red"), newLedger(t)
	s := newSpy()
	l.relay = func(data []byte) { _, _ = s.Append(context.Background(), data) }
	b := newBench(t, live.Options{Broker: appender{s, l}}, red)
	if err := live.Tx(t.Context(), l.db, doing(red, 1)); err != nil {
		t.Error(err)
	}
	b.spy = s
	b.wantTold("create red 1")
	equal(t, "steps", strings.Join(l.steps, ", "), "BEGIN, OUTBOX, COMMIT")
}

func TestBatchInATxIsPartOfIt(t *testing.T) {
	oh := errors.New("oh")
	bothWays(t, func(t *testing.T, outbox bool) {
		b, red, l := newTxBench(t, outbox)
		err := live.Tx(t.Context(), l.db, func(ctx context.Context, tx *sql.Tx) error {
			failed := b.hub.Batch(ctx, func(ctx context.Context) error {
				// The savepoint stands though the batch fails.
				return errors.Join(red.Created(ctx, mark{1, "a"}), live.Tx(ctx, l.db, doing(red, 2)), oh)
			})
			if !errors.Is(failed, oh) {
				t.Error(failed)
			}
			err := b.hub.Batch(ctx, func(ctx context.Context) error { return doing(red, 3)(ctx, tx) })
			b.wantTold()
			return err
		})
		if err != nil {
			t.Error(err)
		}
		b.wantTold("create red 2, create red 3")
		equal(t, "rows", l.holds(), "2 3")
		err = live.Tx(t.Context(), l.db, func(ctx context.Context, tx *sql.Tx) error {
			return errors.Join(b.hub.Batch(ctx, func(ctx context.Context) error { return doing(red, 4)(ctx, tx) }), oh)
		})
		if !errors.Is(err, oh) {
			t.Error(err)
		}
		b.wantTold("create red 2, create red 3")
	})
}

func TestTxInABatchIsPartOfItsEntry(t *testing.T) {
	b, red, l := newTxBench(t, false)
	err := b.hub.Batch(t.Context(), func(ctx context.Context) error {
		err := errors.Join(red.Created(ctx, mark{1, "a"}), live.Tx(ctx, l.db, doing(red, 2)), red.Created(ctx, mark{3, "a"}))
		b.wantTold()
		return err
	})
	if err != nil {
		t.Error(err)
	}
	b.wantTold("create red 1, create red 2, create red 3")
}

func TestTxThatCommittedIsPublishedThoughTheBatchFails(t *testing.T) {
	oh := errors.New("oh")
	for _, how := range []string{"error", "panic"} {
		bothWays(t, func(t *testing.T, outbox bool) {
			b, red, l := newTxBench(t, outbox)
			func() {
				defer func() { _ = recover() }()
				_ = b.hub.Batch(t.Context(), func(ctx context.Context) error {
					err := errors.Join(red.Created(ctx, mark{1, "a"}), live.Tx(ctx, l.db, doing(red, 2)), red.Created(ctx, mark{3, "a"}),
						live.Tx(ctx, l.db, func(ctx context.Context, tx *sql.Tx) error { _ = doing(red, 4)(ctx, tx); return oh }))
					if how == "panic" {
						panic(oh)
					}
					return err
				})
			}()
			b.wantTold("create red 2")
		})
	}
}
