package livegorm_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/adapters/livegorm"
	"github.com/swampline/live/broker"
	"gorm.io/gorm"
)

// transactions are what is done in transactions, and the entries that it becomes.
var transactions = []struct {
	name string
	do   func(b *bench)
	want []string
}{
	{"one entry, after the commit", func(b *bench) {
		b.do(b.db.Transaction(func(tx *gorm.DB) error {
			b.must(tx.Create(&Todo{ID: 1}))
			b.must(tx.Model(&Todo{ID: 1}).Update("title", "a"))
			b.must(tx.Create(&List{ID: 1}))
			b.wantTold()
			return nil
		}))
	}, []string{"create todos 1, update todos 1 title, create lists 1"}},
	{"that fails", func(b *bench) {
		b.fails(b.db.Transaction(func(tx *gorm.DB) error {
			b.must(tx.Create(&Todo{ID: 1}))
			return errOh
		}))
	}, nil},
	{"that panics", func(b *bench) {
		b.panics(func() {
			_ = b.db.Transaction(func(tx *gorm.DB) error {
				b.must(tx.Create(&Todo{ID: 1}))
				panic(errOh)
			})
		})
	}, nil},
	{"nested", func(b *bench) {
		b.do(b.db.Transaction(func(tx *gorm.DB) error {
			b.must(tx.Create(&Todo{ID: 1}))
			b.do(tx.Transaction(func(tx *gorm.DB) error {
				b.fails(tx.Transaction(func(tx *gorm.DB) error {
					b.must(tx.Create(&Todo{ID: 2}))
					b.do(tx.Transaction(func(tx *gorm.DB) error { return tx.Create(&Todo{ID: 3}).Error }))
					return errOh
				}))
				return tx.Create(&Todo{ID: 4}).Error
			}))
			b.panics(func() {
				_ = tx.Transaction(func(tx *gorm.DB) error {
					b.must(tx.Delete(&Todo{ID: 1}))
					panic(errOh)
				})
			})
			return tx.Create(&Todo{ID: 5}).Error
		}))
	}, []string{"create todos 1, create todos 4, create todos 5"}},
	{"nested without savepoints", func(b *bench) {
		b.do(b.db.Session(&gorm.Session{DisableNestedTransaction: true}).Transaction(func(tx *gorm.DB) error {
			b.fails(tx.Transaction(func(tx *gorm.DB) error {
				b.must(tx.Create(&Todo{ID: 1}))
				return errOh
			}))
			return nil
		}))
	}, []string{"create todos 1"}},
	{"savepoints by hand", func(b *bench) {
		tx := b.db.Begin()
		b.must(tx.Create(&Todo{ID: 1}))
		tx.SavePoint("a")
		b.must(tx.Create(&Todo{ID: 2}))
		tx.SavePoint("b")
		b.must(tx.Create(&Todo{ID: 3}))
		tx.RollbackTo("a")
		b.must(tx.Create(&Todo{ID: 4}))
		tx.RollbackTo("a") // it is still there
		b.must(tx.Create(&Todo{ID: 5}))
		b.must(tx.Commit())
	}, []string{"create todos 1, create todos 5"}},
	{"savepoints of one name", func(b *bench) {
		tx := b.db.Begin()
		tx.SavePoint("a")
		b.must(tx.Create(&Todo{ID: 1}))
		tx.SavePoint("a")
		b.must(tx.Create(&Todo{ID: 2}))
		tx.RollbackTo("a")
		b.must(tx.Commit())
	}, []string{"create todos 1"}},
	{"savepoints as statements", func(b *bench) {
		for range 2 { // the second time they are prepared
			b.do(b.db.Transaction(func(tx *gorm.DB) error {
				b.must(tx.Exec("SAVEPOINT \"a\""))
				b.must(tx.Where("id > 0").Delete(&Todo{}))
				b.must(tx.Create(&Todo{ID: 1}))
				b.must(tx.Exec(" savepoint b;"))
				b.must(tx.Create(&Todo{ID: 2}))
				b.must(tx.Exec("release savepoint b"))
				b.must(tx.Create(&Todo{ID: 3}))
				b.must(tx.Exec("rollback transaction to savepoint A"))
				return tx.Save(&Todo{ID: 4, Title: "a"}).Error
			}))
			b.must(livegorm.Skip(b.db).Delete(&Todo{ID: 4}))
		}
		m, _ := b.srv.Hub.Model(&Todo{})
		b.do(m.Deleted(b.Context(), &Todo{ID: 4}))
	}, []string{"put todos 4", "put todos 4", "delete todos 4"}},
	{"rolled back", func(b *bench) {
		tx := b.db.Begin()
		b.must(tx.Create(&Todo{ID: 1}))
		tx.SavePoint("a")
		b.must(tx.Rollback())
		if err := tx.Commit().Error; !errors.Is(err, sql.ErrTxDone) {
			b.Error(err)
		}
	}, nil},
	{"ended twice", func(b *bench) {
		tx := b.db.Begin()
		b.must(tx.Create(&Todo{ID: 1}))
		b.must(tx.Commit())
		if err := tx.Rollback().Error; !errors.Is(err, sql.ErrTxDone) {
			b.Error(err)
		}
	}, []string{"create todos 1"}},
	{"ended by a statement", func(b *bench) {
		for _, statement := range []string{"COMMIT", "rollback;", " End Transaction ", "rollback work"} {
			tx := b.db.Begin()
			b.must(tx.Create(&Todo{ID: 1}))
			if err := tx.Session(&gorm.Session{}).Exec(statement).Error; err == nil {
				b.Errorf("%q was run", statement)
			}
			b.must(tx.Rollback())
		}
	}, nil},
	{"whose ctx ends", func(b *bench) {
		ctx, cancel := context.WithCancel(b.Context())
		if err := b.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			b.must(tx.Create(&Todo{ID: 1}))
			cancel()
			return nil
		}); err == nil {
			b.Error("no error")
		}
	}, nil},
	{"a part of which cannot be undone", func(b *bench) {
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		b.failsWith(context.Canceled, b.db.Transaction(func(tx *gorm.DB) error {
			b.must(tx.Create(&Todo{ID: 1}))
			tx.SavePoint("a")
			b.must(tx.Create(&Todo{ID: 2}))
			tx.WithContext(ctx).RollbackTo("a") // GORM has no error of it here
			return nil
		}))
	}, nil},
	{"with messages", func(b *bench) {
		b.do(b.db.Transaction(func(tx *gorm.DB) error {
			b.do(b.srv.Hub.Publish(livegorm.Context(tx), "chat", 1))
			b.fails(tx.Transaction(func(tx *gorm.DB) error {
				b.do(b.srv.Hub.Publish(livegorm.Context(tx), "chat", 2))
				return errOh
			}))
			b.must(tx.Create(&Todo{ID: 1}))
			return nil
		}))
	}, []string{"create todos 1, chat 1"}},
	{"in a batch", func(b *bench) {
		b.do(b.srv.Hub.Batch(b.Context(), func(ctx context.Context) error {
			b.must(b.db.WithContext(ctx).Create(&Todo{ID: 1}))
			b.wantTold()
			return b.db.WithContext(ctx).Create(&Todo{ID: 2}).Error
		}))
	}, []string{"create todos 1, create todos 2"}},
	{"Tx and In", func(b *bench) {
		b.do(livegorm.Tx(b.Context(), b.db, func(ctx context.Context, tx *gorm.DB) error {
			b.must(tx.Create(&Todo{ID: 1}))
			b.must(livegorm.In(ctx, b.db).Create(&Todo{ID: 2}))
			b.fails(livegorm.Tx(ctx, b.db, func(ctx context.Context, tx *gorm.DB) error {
				b.must(livegorm.In(ctx, b.db).Create(&Todo{ID: 3}))
				return errOh
			}))
			var n int64
			if b.must(livegorm.In(ctx, b.db).Model(&Todo{}).Count(&n)); n != 2 {
				b.Errorf("%d todos in the transaction", n)
			}
			b.wantTold()
			return nil
		}))
	}, []string{"create todos 1, create todos 2"}},
	{"In after the end", func(b *bench) {
		var late context.Context
		b.do(livegorm.Tx(b.Context(), b.db, func(ctx context.Context, tx *gorm.DB) error { late = ctx; return nil }))
		b.must(livegorm.In(late, b.db).Create(&Todo{ID: 1}))
	}, []string{"create todos 1"}},
	{"in live.Tx", func(b *bench) {
		pool, err := b.db.DB()
		b.do(err)
		do := func(fail error) error {
			return live.Tx(b.Context(), pool, func(ctx context.Context, _ *sql.Tx) error {
				b.must(livegorm.In(ctx, b.db).Create(&Todo{ID: 1}))
				b.must(livegorm.In(ctx, b.db).Create(&Todo{ID: 2}))
				b.wantTold()
				return fail
			})
		}
		b.fails(do(errOh))
		b.do(do(nil))
	}, []string{"create todos 1, create todos 2"}},
	{"on a connection", func(b *bench) {
		b.do(b.db.Connection(func(tx *gorm.DB) error { return tx.Create(&Todo{ID: 1}).Error }))
		b.failsWith(livegorm.ErrUnseen, b.db.Connection(func(tx *gorm.DB) error {
			return tx.Session(&gorm.Session{}).Transaction(func(tx *gorm.DB) error {
				b.must(livegorm.Skip(tx).Create(&Todo{ID: 2}))
				b.must(tx.WithContext(live.Suppress(b.Context())).Create(&Todo{ID: 4}))
				b.must(tx.Create(&Note{ID: 2}))
				return tx.Create(&Todo{ID: 3}).Error
			})
		}))
	}, []string{"create todos 1"}},
	{"of somebody else", func(b *bench) {
		pool, err := b.db.DB()
		b.do(err)
		foreign, err := pool.BeginTx(b.Context(), nil)
		b.do(err)
		defer foreign.Rollback()
		tx := b.db.Session(&gorm.Session{Context: b.Context()})
		tx.Statement.ConnPool = foreign
		b.failsWith(livegorm.ErrUnseen, tx.Create(&Todo{ID: 1}).Error)
	}, nil},
	{"a session that prepares", func(b *bench) {
		s := b.db.Session(&gorm.Session{PrepareStmt: true})
		for id := range int64(2) {
			b.do(s.Transaction(func(tx *gorm.DB) error {
				b.must(tx.Create(&Todo{ID: 2*id + 1}))
				b.fails(tx.Transaction(func(tx *gorm.DB) error {
					b.must(tx.Create(&Todo{ID: 2*id + 2}))
					return errOh
				}))
				return nil
			}))
		}
		b.do(b.db.Transaction(func(tx *gorm.DB) error {
			return tx.Session(&gorm.Session{PrepareStmt: true}).Delete(&Todo{ID: 1}).Error
		}))
	}, []string{"create todos 1", "create todos 3", "delete todos 1"}},
}

func (b *bench) fails(err error) {
	b.Helper()
	b.failsWith(errOh, err)
}

func (b *bench) failsWith(want, err error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("the error is %v, want %v", err, want)
	}
}

func (b *bench) panics(do func()) {
	b.Helper()
	defer func() {
		if p := recover(); p != errOh {
			b.Errorf("recovered %v", p)
		}
	}()
	do()
}

func TestTransactions(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		for name, config := range d.configs() {
			t.Run(name, func(t *testing.T) {
				for _, test := range transactions {
					t.Run(test.name, func(t *testing.T) {
						c := *config
						b := newBench(t, d.open(t, &c), live.Options{})
						test.do(b)
						b.wantTold(test.want...)
						b.converge()
						wantIdle(t, b.db)
					})
				}
			})
		}
	})
}

// wantIdle fails the test if a connection was not given back: it waits for the only one there may be.
func wantIdle(t *testing.T, db *gorm.DB) {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := pool.PingContext(ctx); err != nil {
		t.Errorf("a connection is in use: %v", err)
	}
	pool.SetMaxOpenConns(0)
}

// box is an outbox whose relay the test is.
type box struct {
	statement string
	fail      error
	panics    bool
}

func (o *box) AppendTx(ctx context.Context, tx broker.Execer, data []byte) error {
	if o.panics {
		panic(errOh)
	}
	if o.fail != nil {
		return o.fail
	}
	_, err := tx.ExecContext(ctx, o.statement, data)
	return err
}

// relay appends what is in the outbox to the log.
func (b *bench) relay() {
	b.Helper()
	var all [][]byte
	b.must(b.db.Raw("SELECT data FROM box ORDER BY id").Scan(&all))
	b.must(b.db.Exec("DELETE FROM box"))
	for _, data := range all {
		_, err := b.spy.Append(b.Context(), data)
		b.do(err)
	}
}

func TestOutbox(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		for name, config := range d.configs() {
			t.Run(name, func(t *testing.T) {
				db := d.open(t, config)
				o := &box{statement: "INSERT INTO box (data) VALUES (?)"}
				table := "CREATE TABLE box (id integer PRIMARY KEY, data blob)"
				if d.name == "postgres" {
					o.statement, table = "INSERT INTO box (data) VALUES ($1)", "CREATE TABLE box (id serial PRIMARY KEY, data bytea)"
				}
				db.Exec("DROP TABLE IF EXISTS box")
				if err := db.Exec(table).Error; err != nil {
					t.Fatal(err)
				}
				b := newBench(t, db, live.Options{Outbox: o})
				b.must(b.db.Create(&Todo{ID: 1}))
				b.wantTold()
				b.relay()
				b.wantTold("create todos 1")
				b.do(b.db.Transaction(func(tx *gorm.DB) error {
					b.must(tx.Model(&Todo{ID: 1}).Update("title", "a"))
					b.fails(tx.Transaction(func(tx *gorm.DB) error {
						b.must(tx.Create(&Todo{ID: 2}))
						return errOh
					}))
					return tx.Create(&Todo{ID: 3}).Error
				}))
				b.fails(b.db.Transaction(func(tx *gorm.DB) error {
					b.must(tx.Create(&Todo{ID: 4}))
					return errOh
				}))
				b.wantTold()
				b.relay()
				b.wantTold("update todos 1 title, create todos 3")
				o.fail = errOh
				b.fails(b.db.Create(&Todo{ID: 5}).Error)
				b.fails(b.db.Transaction(func(tx *gorm.DB) error { return tx.Create(&Todo{ID: 6}).Error }))
				o.panics = true
				b.panics(func() { b.db.Create(&Todo{ID: 7}) })
				b.panics(func() { _ = b.db.Transaction(func(tx *gorm.DB) error { return tx.Create(&Todo{ID: 8}).Error }) })
				b.relay()
				b.wantTold()
				b.converge()
				wantIdle(t, b.db)
			})
		}
	})
}
