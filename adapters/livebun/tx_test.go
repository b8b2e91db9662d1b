package livebun_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/swampline/live"
	"github.com/swampline/live/adapters/livebun"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/where/wheretest/postgres"
)

var errUndo = errors.New("not this")

func title(db bun.IDB, id int64, to string) *bun.UpdateQuery {
	return db.NewUpdate().Model((*todo)(nil)).Set("title = ?", to).Where("id = ?", id)
}

// transactions are what an application does, the error that it gets, and what the client is told of it.
var transactions = []struct {
	name string
	do   func(ctx context.Context, w *world) error
	err  error
	want []string
}{
	{"several", func(ctx context.Context, w *world) error {
		return w.hook.RunInTx(ctx, w.db, nil, func(ctx context.Context, tx bun.Tx) error {
			// With another ctx, too: it is the connection that counts.
			return errors.Join(exec(ctx, title(tx, 1, "eins")), exec(context.Background(), title(tx, 2, "zwei")))
		})
	}, nil, []string{"update 1", "update 2"}},
	{"rolled back", func(ctx context.Context, w *world) error {
		return w.hook.RunInTx(ctx, w.db, nil, func(ctx context.Context, tx bun.Tx) error {
			return errors.Join(exec(ctx, title(tx, 1, "eins")), w.todos.Changed(ctx, todo{ID: 1}), errUndo)
		})
	}, errUndo, nil},
	{"panics", func(ctx context.Context, w *world) (err error) {
		defer func() { err = recover().(error) }()
		return w.hook.RunInTx(ctx, w.db, nil, func(ctx context.Context, tx bun.Tx) error {
			if err := exec(ctx, title(tx, 1, "eins")); err != nil {
				return err
			}
			panic(errUndo)
		})
	}, errUndo, nil},
	{"the context ends", func(ctx context.Context, w *world) error {
		ctx, cancel := context.WithCancel(ctx)
		err := w.hook.RunInTx(ctx, w.db, nil, func(ctx context.Context, tx bun.Tx) error {
			defer cancel()
			return exec(ctx, title(tx, 1, "eins"))
		})
		if err != nil { // that of the context, or that database/sql has rolled back already
			return errUndo
		}
		return nil
	}, errUndo, nil},
	{"savepoints of the hook", func(ctx context.Context, w *world) error {
		return w.hook.RunInTx(ctx, w.db, nil, func(ctx context.Context, tx bun.Tx) error {
			inner := func(id int64, result error) error {
				return w.hook.RunInTx(ctx, w.db, nil, func(ctx context.Context, tx bun.Tx) error {
					return errors.Join(exec(ctx, title(tx, id, "x")), w.todos.ChangedID(ctx, live.Key(fmt.Sprint(id))), result)
				})
			}
			if err := inner(1, errUndo); !errors.Is(err, errUndo) {
				return err
			}
			return errors.Join(inner(2, nil), exec(ctx, title(tx, 3, "drei")))
		})
	}, nil, []string{"update 2", "enter 2", "update 3"}},
	{"savepoints of bun", func(ctx context.Context, w *world) error {
		return w.hook.RunInTx(ctx, w.db, nil, func(ctx context.Context, tx bun.Tx) error {
			inner := func(id int64, result error) error {
				return tx.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
					return errors.Join(exec(ctx, title(tx, id, "x")), tx.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
						return exec(ctx, tx.NewUpdate().Model((*todo)(nil)).Set("list_id = 9").Where("id = ?", id))
					}), result)
				})
			}
			if err := inner(1, errUndo); !errors.Is(err, errUndo) {
				return err
			}
			return errors.Join(inner(2, nil), exec(ctx, title(tx, 3, "drei")))
		})
	}, nil, []string{"update 2", "update 2", "update 3"}},
	{"savepoints with SQL", func(ctx context.Context, w *world) error {
		return w.hook.RunInTx(ctx, w.db, nil, func(ctx context.Context, tx bun.Tx) error {
			for _, step := range []string{"SAVEPOINT a", "1", "savepoint b;", "2", `ROLLBACK TO SAVEPOINT "b"`, "3", "RELEASE a", "SAVEPOINT a", "1", "rollback to A"} {
				var err error
				if len(step) == 1 {
					err = exec(ctx, title(tx, int64(step[0]-'0'), "x"+step))
				} else {
					_, err = tx.ExecContext(ctx, step)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}, nil, []string{"update 1", "update 3"}},
	{"a savepoint with a context of nobody", func(ctx context.Context, w *world) error {
		return w.hook.RunInTx(ctx, w.db, nil, func(_ context.Context, tx bun.Tx) error {
			return tx.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error { return exec(ctx, title(tx, 1, "eins")) })
		})
	}, livebun.ErrUnseen, nil},
	{"a savepoint that cannot be undone", func(ctx context.Context, w *world) error {
		return w.hook.RunInTx(ctx, w.db, nil, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, "SAVEPOINT a")
			if err := errors.Join(err, exec(ctx, title(tx, 1, "eins"))); err != nil {
				return err
			}
			ended, cancel := context.WithCancelCause(ctx)
			cancel(nil)
			if _, err := tx.ExecContext(ended, "ROLLBACK TO a"); err == nil {
				return errors.New("rolled back with a context that has ended")
			}
			return nil // as if nothing were wrong
		})
	}, context.Canceled, nil},
	{"of bun", func(ctx context.Context, w *world) error {
		return w.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error { return exec(ctx, title(tx, 1, "eins")) })
	}, livebun.ErrUnseen, nil},
	{"of bun within another one", func(ctx context.Context, w *world) error {
		return w.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			return tx.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
				return errors.Join(exec(ctx, tx.NewInsert().Model(&note{Text: "x"})), exec(livebun.Skip(ctx), tx.NewDelete().Model(&tag{Name: "x"}).WherePK()))
			})
		})
	}, nil, nil},
	{"of bun, of which nobody is to be told", func(ctx context.Context, w *world) error {
		return w.db.RunInTx(live.Suppress(ctx), nil, func(ctx context.Context, tx bun.Tx) error {
			return exec(ctx, tx.NewDelete().Model(&tag{Name: "x"}).WherePK())
		})
	}, nil, nil},
	{"of a connection", func(ctx context.Context, w *world) error {
		conn, err := w.db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		return exec(ctx, title(conn, 1, "eins"))
	}, livebun.ErrUnseen, nil},
	{"that has ended", func(ctx context.Context, w *world) error {
		var kept bun.Tx
		err := w.hook.RunInTx(ctx, w.db, nil, func(ctx context.Context, tx bun.Tx) error { kept = tx; return nil })
		return errors.Join(err, exec(ctx, title(kept, 1, "eins")))
	}, livebun.ErrUnseen, nil},
	{"of a DB without the hook", func(ctx context.Context, w *world) error {
		err := w.hook.RunInTx(ctx, bun.NewDB(w.db.DB, w.db.Dialect()), nil, func(ctx context.Context, tx bun.Tx) error { return errUndo })
		if err == nil || !strings.Contains(err.Error(), "WithQueryHook") {
			return err
		}
		return nil
	}, nil, nil},
	{"of live.Tx", func(ctx context.Context, w *world) error {
		return live.Tx(ctx, w.db.DB, func(ctx context.Context, tx *sql.Tx) error {
			err := live.Tx(ctx, w.db.DB, func(ctx context.Context, tx *sql.Tx) error {
				return errors.Join(exec(ctx, title(w.db, 2, "zwei").Conn(tx)), errUndo)
			})
			if !errors.Is(err, errUndo) {
				return err
			}
			return exec(ctx, title(w.db, 1, "eins").Conn(tx))
		})
	}, nil, []string{"update 1"}},
	{"a statement that fails", func(ctx context.Context, w *world) error {
		if err := exec(ctx, title(w.db, 1, "two")); err == nil {
			return errors.New("a title was there twice")
		}
		q := title(w.db, 1, "eins") // the same query runs twice
		return exec(ctx, q, q)
	}, nil, []string{"update 1"}},
}

func TestTransactions(t *testing.T) {
	oneServer(t)
	for _, c := range transactions {
		t.Run(c.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				if err := c.do(t.Context(), w); !errors.Is(err, c.err) {
					t.Fatalf("the error is %v; want %v", err, c.err)
				}
				w.tells(t, c.want...)
			})
		})
	}
}

// table is an outbox: a table of the application.
type table struct{ fails error }

func (b *table) AppendTx(ctx context.Context, tx broker.Execer, data []byte) error {
	if b.fails != nil {
		return b.fails
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO notes (text) VALUES ($1)", string(data))
	return err
}

// TestOutbox has the entry in the transaction: a statement whose entry cannot be stored is undone, and its caller told.
func TestOutbox(t *testing.T) {
	b := &table{}
	w := newWorld(t, open(t, postgres.Start(t)), pgdialect.New(), live.Options{Outbox: b})
	stored := func(want int) {
		t.Helper()
		var entries []note
		if err := w.db.NewSelect().Model(&entries).Scan(t.Context()); err != nil || len(entries) != want {
			t.Fatalf("%d entries are stored, %v; want %d", len(entries), err, want)
		}
	}
	if err := exec(t.Context(), w.db.NewInsert().Model(&todo{Title: "four"})); err != nil {
		t.Fatal(err)
	}
	stored(1)
	err := w.hook.RunInTx(t.Context(), w.db, nil, func(ctx context.Context, tx bun.Tx) error {
		return exec(ctx, title(tx, 1, "eins"), title(tx, 2, "zwei"))
	})
	if err != nil {
		t.Fatal(err)
	}
	stored(2)
	b.fails = errUndo
	if err := exec(t.Context(), w.db.NewInsert().Model(&todo{Title: "five"})); !errors.Is(err, errUndo) {
		t.Errorf("the insert whose entry is not stored returned %v", err)
	}
	err = w.hook.RunInTx(t.Context(), w.db, nil, func(ctx context.Context, tx bun.Tx) error { return exec(ctx, title(tx, 1, "one")) })
	if !errors.Is(err, errUndo) {
		t.Errorf("the transaction whose entry is not stored returned %v", err)
	}
	stored(2)
	n, err := w.db.NewSelect().Model((*todo)(nil)).Where("title IN ('five', 'one')").Count(t.Context())
	if err != nil || n != 0 {
		t.Errorf("%d rows were committed without their entry, %v", n, err)
	}
}
