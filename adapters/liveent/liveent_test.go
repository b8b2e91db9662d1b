package liveent_test

import (
	"context"
	"errors"
	"testing"

	"entgo.io/ent/dialect"

	"github.com/swampline/live"
	"github.com/swampline/live/adapters/liveent"
	"github.com/swampline/live/adapters/liveent/internal/ent"
	"github.com/swampline/live/adapters/liveent/internal/ent/todo"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/where/wheretest/postgres"
)

var errUndo = errors.New("not this")

// mutations are what an application does, and what its client is told of it.
var mutations = []struct {
	name string
	do   func(ctx context.Context, c *ent.Client) error
	want []string
}{
	{"create", func(ctx context.Context, c *ent.Client) error {
		return c.Todo.Create().SetTitle("four").Exec(ctx)
	}, []string{"create 4"}},
	{"create or update", func(ctx context.Context, c *ent.Client) error {
		return c.Todo.Create().SetTitle("two").SetDone(true).OnConflictColumns(todo.FieldTitle).UpdateNewValues().Exec(ctx)
	}, []string{"bulk"}},
	{"update one", func(ctx context.Context, c *ent.Client) error {
		return c.Todo.UpdateOneID(2).SetTitle("zwei").AddListID(1).Exec(ctx)
	}, []string{"update 2"}},
	{"update", func(ctx context.Context, c *ent.Client) error {
		return c.Todo.Update().Where(todo.TitleHasPrefix("t")).SetDone(true).Exec(ctx)
	}, []string{"leave 2", "leave 3"}},
	{"update of nothing", func(ctx context.Context, c *ent.Client) error {
		return c.Todo.Update().Where(todo.Title("nine")).SetDone(true).Exec(ctx)
	}, nil},
	{"update to the same", func(ctx context.Context, c *ent.Client) error {
		return c.Todo.Update().SetDone(false).Exec(ctx)
	}, nil},
	{"delete one", func(ctx context.Context, c *ent.Client) error {
		return c.Todo.DeleteOneID(2).Exec(ctx)
	}, []string{"delete 2"}},
	{"delete", func(ctx context.Context, c *ent.Client) error {
		_, err := c.Todo.Delete().Where(todo.IDGT(1)).Exec(ctx)
		return err
	}, []string{"delete 2", "delete 3"}},
	{"delete many", func(ctx context.Context, c *ent.Client) error {
		var more []*ent.TodoCreate
		for _, title := range []string{"4", "5", "6"} {
			more = append(more, c.Todo.Create().SetTitle(title))
		}
		if err := c.Todo.CreateBulk(more...).Exec(liveent.Skip(ctx)); err != nil {
			return err
		}
		_, err := c.Todo.Delete().Exec(ctx)
		return err
	}, []string{"bulk"}},
	{"what has no router", func(ctx context.Context, c *ent.Client) error {
		return errors.Join(c.Note.Create().SetText("x").Exec(ctx), c.Note.Update().SetText("y").Exec(ctx))
	}, nil},
}

// inTx does something in a transaction of ent.
func inTx(ctx context.Context, c *ent.Client, do func(c *ent.Client) error) error {
	tx, err := c.Tx(ctx)
	if err != nil {
		return err
	}
	if err := do(tx.Client()); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// TestMutations mutates in no transaction, in one of ent, and in one of the driver: the client is told the same.
func TestMutations(t *testing.T) {
	oneServer(t)
	for _, c := range mutations {
		for how, do := range map[string]func(ctx context.Context, w *world) error{
			"alone": func(ctx context.Context, w *world) error { return c.do(ctx, w.client) },
			"in ent's": func(ctx context.Context, w *world) error {
				return inTx(ctx, w.client, func(in *ent.Client) error { return c.do(ctx, in) })
			},
			"in the driver's own": func(ctx context.Context, w *world) error {
				return w.driver.RunInTx(ctx, func(ctx context.Context) error { return c.do(ctx, w.client) })
			},
		} {
			t.Run(c.name+" "+how, func(t *testing.T) {
				everywhere(t, func(t *testing.T, w *world) {
					if err := do(t.Context(), w); err != nil {
						t.Fatal(err)
					}
					w.tells(t, c.want...)
				})
			})
		}
	}
}

// bulk creates two todos at once.
func bulk(ctx context.Context, c *ent.Client) *ent.TodoCreateBulk {
	return c.Todo.CreateBulk(c.Todo.Create().SetTitle("four"), c.Todo.Create().SetTitle("five"))
}

// transactions are what an application does, the error that it gets, and what the client is told of it.
var transactions = []struct {
	name string
	do   func(ctx context.Context, w *world) error
	err  error
	want []string
}{
	{"several at once", func(ctx context.Context, w *world) error {
		return bulk(ctx, w.client).Exec(ctx)
	}, nil, []string{"create 5", "create 4"}}, // in the order in which ent tells hooks
	{"several at once in a transaction", func(ctx context.Context, w *world) error {
		return inTx(ctx, w.client, func(c *ent.Client) error { return bulk(ctx, c).Exec(ctx) })
	}, nil, []string{"create 5", "create 4"}},
	{"several at once that are there", func(ctx context.Context, w *world) error {
		return inTx(ctx, w.client, func(c *ent.Client) error {
			return c.Todo.CreateBulk(c.Todo.Create().SetTitle("two").SetDone(true), c.Todo.Create().SetTitle("one").SetDone(true)).
				OnConflictColumns(todo.FieldTitle).UpdateNewValues().Exec(ctx)
		})
	}, nil, []string{"bulk"}},
	{"rolled back", func(ctx context.Context, w *world) error {
		return inTx(ctx, w.client, func(c *ent.Client) error {
			return errors.Join(c.Todo.UpdateOneID(1).SetTitle("eins").Exec(ctx), errUndo)
		})
	}, errUndo, nil},
	{"rolled back by the driver", func(ctx context.Context, w *world) error {
		return w.driver.RunInTx(ctx, func(ctx context.Context) error {
			return errors.Join(w.client.Todo.UpdateOneID(1).SetTitle("eins").Exec(ctx), w.todos.Changed(ctx, ent.Todo{ID: 1}), errUndo)
		})
	}, errUndo, nil},
	{"panics", func(ctx context.Context, w *world) (err error) {
		defer func() { err = recover().(error) }()
		return w.driver.RunInTx(ctx, func(ctx context.Context) error {
			w.client.Todo.UpdateOneID(1).SetTitle("eins").ExecX(ctx)
			panic(errUndo)
		})
	}, errUndo, nil},
	{"the context ends", func(ctx context.Context, w *world) error {
		ctx, cancel := context.WithCancel(ctx)
		err := w.driver.RunInTx(ctx, func(ctx context.Context) error {
			defer cancel()
			return w.client.Todo.UpdateOneID(1).SetTitle("eins").Exec(ctx)
		})
		if err != nil { // that of the context, or that database/sql has rolled back already
			return errUndo
		}
		return nil
	}, errUndo, nil},
	{"savepoints", func(ctx context.Context, w *world) error {
		return w.driver.RunInTx(ctx, func(ctx context.Context) error {
			inner := func(id int64, result error) error {
				return w.driver.RunInTx(ctx, func(ctx context.Context) error {
					return errors.Join(w.client.Todo.UpdateOneID(id).SetTitle("x").Exec(ctx), result)
				})
			}
			if err := inner(1, errUndo); !errors.Is(err, errUndo) {
				return err
			}
			return errors.Join(inner(2, nil), w.client.Todo.UpdateOneID(3).SetTitle("drei").Exec(ctx))
		})
	}, nil, []string{"update 2", "update 3"}},
	{"savepoints with SQL", func(ctx context.Context, w *world) error {
		return inTx(ctx, w.client, func(c *ent.Client) error {
			for _, step := range []string{"SAVEPOINT a", "1", "savepoint b;", "2", `ROLLBACK TO SAVEPOINT "b"`, "3", "RELEASE a", "SAVEPOINT a", "1", "rollback to A"} {
				var err error
				if len(step) == 1 {
					err = c.Todo.UpdateOneID(int64(step[0] - '0')).SetTitle("x" + step).Exec(ctx)
				} else {
					_, err = c.ExecContext(ctx, step)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}, nil, []string{"update 1", "update 3"}},
	{"a hook of a driver that is not there", func(ctx context.Context, w *world) error {
		client := ent.NewClient(ent.Driver(w.driver.Driver))
		client.Use(w.driver.Hook())
		return client.Todo.UpdateOneID(1).SetTitle("eins").Exec(ctx)
	}, liveent.ErrUnseen, nil},
	{"a hook of a driver that is not there, of which nobody is to be told", func(ctx context.Context, w *world) error {
		client := ent.NewClient(ent.Driver(w.driver.Driver))
		client.Use(w.driver.Hook())
		_, err := client.Todo.Delete().Where(todo.Title("nine")).Exec(live.Suppress(ctx))
		return err
	}, nil, nil},
	{"a mutation that fails", func(ctx context.Context, w *world) error {
		if err := w.client.Todo.UpdateOneID(1).SetTitle("two").Exec(ctx); !ent.IsConstraintError(err) {
			return err
		}
		if err := w.client.Todo.UpdateOneID(17).SetTitle("x").Exec(ctx); !ent.IsNotFound(err) {
			return err
		}
		return w.client.Todo.UpdateOneID(1).SetTitle("eins").Exec(ctx)
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
type table struct {
	fails error
	after int // entries that it takes before it fails
}

func (b *table) AppendTx(ctx context.Context, tx broker.Execer, data []byte) error {
	if b.fails != nil {
		if b.after--; b.after < 0 {
			return b.fails
		}
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO notes (text) VALUES ($1)", string(data))
	return err
}

// TestOutbox has the entry in the transaction: what cannot be stored is undone, and its caller told.
func TestOutbox(t *testing.T) {
	b := &table{}
	w := newWorld(t, open(t, "pgx", postgres.Start(t)), dialect.Postgres, live.Options{Outbox: b})
	stored := func(want int) {
		t.Helper()
		if n := w.client.Note.Query().CountX(t.Context()); n != want {
			t.Fatalf("%d entries are stored; want %d", n, want)
		}
	}
	w.client.Todo.Create().SetTitle("four").ExecX(t.Context())
	stored(1)
	retitle := func(c *ent.Client) error {
		return errors.Join(c.Todo.UpdateOneID(1).SetTitle("eins").Exec(t.Context()), c.Todo.UpdateOneID(2).SetTitle("zwei").Exec(t.Context()))
	}
	if err := inTx(t.Context(), w.client, retitle); err != nil {
		t.Fatal(err)
	}
	stored(2)
	b.fails = errUndo
	if err := w.client.Todo.Create().SetTitle("five").Exec(t.Context()); !errors.Is(err, errUndo) {
		t.Errorf("the create whose entry is not stored returned %v", err)
	}
	err := inTx(t.Context(), w.client, func(c *ent.Client) error { return c.Todo.UpdateOneID(1).SetTitle("one").Exec(t.Context()) })
	if !errors.Is(err, errUndo) {
		t.Errorf("the transaction whose entry is not stored returned %v", err)
	}
	stored(2)
	if n := w.client.Todo.Query().Where(todo.TitleIn("five", "one")).CountX(t.Context()); n != 0 {
		t.Errorf("%d rows were committed without their entry", n)
	}
}

// TestBulkIsWholeInATransaction tells what a CreateBulk alone lacks: an entry that is not stored does not undo the rows, which are committed with the
// last one's. In a transaction all are one entry.
func TestBulkIsWholeInATransaction(t *testing.T) {
	oneServer(t)
	for _, c := range []struct {
		name         string
		do           func(ctx context.Context, w *world) error
		after        int // entries that are stored
		rows, stored int // there are three rows before
	}{
		{"alone", func(ctx context.Context, w *world) error { return bulk(ctx, w.client).Exec(ctx) }, 2, 5, 2},
		{"alone, the first is not stored", func(ctx context.Context, w *world) error { return bulk(ctx, w.client).Exec(ctx) }, 0, 3, 0},
		{"alone, the second is not stored", func(ctx context.Context, w *world) error { return bulk(ctx, w.client).Exec(ctx) }, 1, 5, 1},
		{"in a transaction", func(ctx context.Context, w *world) error {
			return inTx(ctx, w.client, func(c *ent.Client) error { return bulk(ctx, c).Exec(ctx) })
		}, 1, 5, 1},
		{"in a transaction, it is not stored", func(ctx context.Context, w *world) error {
			return w.driver.RunInTx(ctx, func(ctx context.Context) error { return bulk(ctx, w.client).Exec(ctx) })
		}, 0, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &table{fails: errUndo, after: c.after}
			w := newWorld(t, open(t, "pgx", postgres.Start(t)), dialect.Postgres, live.Options{Outbox: b})
			err := c.do(t.Context(), w)
			rows, stored := w.client.Todo.Query().CountX(t.Context()), w.client.Note.Query().CountX(t.Context())
			if rows != c.rows || stored != c.stored {
				t.Errorf("there are %d rows, and %d entries are stored; want %d and %d", rows, stored, c.rows, c.stored)
			}
			if whole := c.name == "alone" || c.name == "in a transaction"; whole != (err == nil) || !whole && !errors.Is(err, errUndo) {
				t.Errorf("it returned %v", err)
			}
		})
	}
}
