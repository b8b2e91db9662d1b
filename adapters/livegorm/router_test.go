package livegorm_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/swampline/live"
	"github.com/swampline/live/adapters/livegorm"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/broker/pgbroker"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where/wheretest/postgres"
	pgdriver "gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Task belongs to a project, in which clients see how many there are.
type Task struct {
	ID        int64  `live:"id,key"`
	ProjectID int64  `live:"project_id,write"`
	Title     string `live:"title,write"`
}

type Project struct {
	ID   int64  `live:"id,key"`
	Name string `live:"name"`
}

// TestVerbsInATransaction has a router whose verbs run in a transaction of GORM, on a database of one connection, and which touches parents that
// are read while that is open.
func TestVerbsInATransaction(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		for name, config := range d.configs() {
			t.Run(name, func(t *testing.T) {
				db := d.open(t, config)
				if err := errors.Join(db.Migrator().DropTable(&Task{}, &Project{}), db.AutoMigrate(&Task{}, &Project{})); err != nil {
					t.Fatal(err)
				}
				pool, err := db.DB()
				if err != nil {
					t.Fatal(err)
				}
				pool.SetMaxOpenConns(1)
				projects := &live.Router[Project]{Name: "projects", Scope: live.Everyone, List: listOf[Project](db), Get: getOf[Project](db)}
				tasks := &live.Router[Task]{
					Name: "tasks", Scope: live.Everyone, List: listOf[Task](db), Get: getOf[Task](db),
					Touches: []live.Toucher[Task]{live.Parent(projects, func(t Task) live.Key { return live.Key(strconv.FormatInt(t.ProjectID, 10)) })},
					Tx: func(ctx context.Context, do func(context.Context) error) error {
						return livegorm.Tx(ctx, db, func(ctx context.Context, _ *gorm.DB) error { return do(ctx) })
					},
					Create: func(ctx context.Context, in Task) (Task, error) {
						err := livegorm.In(ctx, db).Create(&in).Error
						return in, err
					},
					Update: func(ctx context.Context, _, now Task) (Task, error) {
						err := livegorm.In(ctx, db).Save(&now).Error
						return now, err
					},
					Delete: func(ctx context.Context, was Task) error { return livegorm.In(ctx, db).Delete(&was).Error },
					After: func(ctx context.Context, w *live.Write[Task]) {
						if w.Now != nil && w.Now.Title == "bad" {
							panic(errOh)
						}
					},
				}
				s := &spy{Broker: memory.New(memory.Options{})}
				srv := livetest.Config{Options: live.Options{Broker: s}}.New(t, projects, tasks)
				if err := db.Use(livegorm.New(srv.Hub)); err != nil {
					t.Fatal(err)
				}
				b := &bench{T: t, db: db, spy: s}
				b.must(db.Create(&Project{Name: "p"}))
				b.wantTold("create projects 1")
				client := srv.Connect(t)
				sub := client.Subscribe(t, "tasks")
				created, err := client.Create(t, "tasks", map[string]any{"title": "a", "project_id": 1})
				b.do(err)
				sub.Want(t, live.Create, created.Key)
				b.wantTold("create tasks 1, put projects 1")
				_, err = client.Update(t, "tasks", sub.Row(t, created.Key), map[string]any{"title": "b"})
				b.do(err)
				sub.Want(t, live.Update, created.Key)
				b.wantTold("update tasks 1 title, put projects 1")
				if _, err := client.Update(t, "tasks", sub.Row(t, created.Key), map[string]any{"title": "bad"}); err == nil {
					t.Error("a write that panics was answered")
				}
				b.wantTold()
				sub.WantNone(t)
				b.do(client.Delete(t, "tasks", sub.Row(t, created.Key)))
				sub.Want(t, live.Delete, created.Key)
				b.wantTold("delete tasks 1, put projects 1")
			})
		}
	})
}

func getOf[T any](db *gorm.DB) func(ctx context.Context, key live.Key) (T, error) {
	return func(ctx context.Context, key live.Key) (row T, err error) {
		err = livegorm.In(ctx, db).Where("id = ?", string(key)).Take(&row).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			err = live.ErrNotFound
		}
		return row, err
	}
}

// listOf returns all rows: the hub drops those that nobody asked for.
func listOf[T any](db *gorm.DB) func(ctx context.Context, q live.Query) ([]T, error) {
	return func(ctx context.Context, _ live.Query) (rows []T, err error) {
		err = livegorm.In(ctx, db).Find(&rows).Error
		return rows, err
	}
}

// TestTheLogIsInTheDatabase has a broker that is an outbox without being named.
func TestTheLogIsInTheDatabase(t *testing.T) {
	server := postgres.Start(t)
	for name, config := range (database{name: "postgres"}).configs() {
		t.Run(name, func(t *testing.T) {
			db := open(t, pgdriver.Open(server), config)
			pool, err := pgxpool.New(t.Context(), server)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(pool.Close)
			todos := &live.Router[Todo]{Name: "todos", Scope: live.Everyone, List: listOf[Todo](db)}
			srv := livetest.Config{Options: live.Options{Broker: pgbroker.New(pool, pgbroker.Options{})}}.New(t, todos)
			if err := db.Use(livegorm.New(srv.Hub)); err != nil {
				t.Fatal(err)
			}
			b := &bench{T: t, db: db}
			sub := srv.Connect(t).Subscribe(t, "todos")
			b.must(db.Create(&Todo{ID: 1}))
			sub.Want(t, live.Create, 1)
			b.do(db.Transaction(func(tx *gorm.DB) error {
				b.must(tx.Create(&Todo{ID: 2}))
				b.fails(tx.Transaction(func(tx *gorm.DB) error {
					b.must(tx.Create(&Todo{ID: 3}))
					return errOh
				}))
				return tx.Delete(&Todo{ID: 1}).Error
			}))
			b.fails(db.Transaction(func(tx *gorm.DB) error {
				b.must(tx.Create(&Todo{ID: 4}))
				return errOh
			}))
			sub.Want(t, live.Create, 2)
			sub.Want(t, live.Delete, 1)
			sub.WantNone(t)
		})
	}
}

// meanwhile is a condition that is true, and that does something when it is put into a statement for the third time: after the
// rows were read, before they are written.
type meanwhile struct {
	times *int
	do    func()
}

func (m meanwhile) Build(to clause.Builder) {
	if *m.times++; *m.times == 3 {
		m.do()
	}
	to.WriteString("1 = 1")
}

// TestRowsThatComeMeanwhile commits a row between the read and the write of an update, which then finds it: that is told as a change of any.
func TestRowsThatComeMeanwhile(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		if d.name == "sqlite" {
			return // it has one writer
		}
		b := newBench(t, d.open(t, &gorm.Config{}), live.Options{})
		b.must(b.db.Create(&[]Todo{{ID: 1}, {ID: 2}}))
		b.wantTold("create todos 1, create todos 2")
		come := meanwhile{new(int), func() { b.must(b.db.Create(&Todo{ID: 3})) }}
		b.must(b.db.Model(&Todo{}).Where("id > 0").Where(come).Update("title", "a"))
		b.wantTold("create todos 3", "where todos")
		come = meanwhile{new(int), func() { b.must(b.db.Create(&Todo{ID: 4})) }}
		b.must(b.db.Where("id > 1").Where(come).Delete(&Todo{}))
		b.wantTold("create todos 4", "where todos")
		var left []int64
		if b.must(b.db.Model(&Todo{}).Pluck("id", &left)); len(left) != 1 || left[0] != 1 {
			t.Errorf("left are %v", left)
		}
	})
}
