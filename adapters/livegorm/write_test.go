package livegorm_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/adapters/livegorm"
	"github.com/swampline/live/where"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

var whereAll where.Where

func ptr[T any](v T) *T { return &v }

var errOh = errors.New("oh")

// three stores the todos 1 to 3 of list 1.
func three(b *bench) {
	b.Helper()
	b.must(b.db.Create(&[]Todo{{Title: "a", ListID: ptr[int64](1)}, {Title: "b", ListID: ptr[int64](1), Slug: ptr("b")}, {Title: "c"}}))
	b.wantTold("create todos 1, create todos 2, create todos 3")
}

// writes are statements, and the entries that each becomes.
var writes = []struct {
	name string
	do   func(b *bench)
	want []string
}{
	{"create", func(b *bench) { b.must(b.db.Create(&Todo{Title: "d"})) }, []string{"create todos 4"}},
	{"create with a key", func(b *bench) { b.must(b.db.Create(&Todo{ID: 9, Title: "d"})) }, []string{"create todos 9"}},
	{"create many", func(b *bench) { b.must(b.db.Create([]*Todo{{ID: 9}, {ID: 8}})) }, []string{"create todos 9, create todos 8"}},
	{"create omits a field", func(b *bench) { b.must(b.db.Omit("Title").Create(&Todo{Title: "lost"})) }, []string{"create todos 4"}},
	{"create of a map", func(b *bench) { b.must(b.db.Model(&Todo{}).Create(map[string]any{"Title": "d"})) }, []string{"where todos"}},
	{"create in batches", func(b *bench) {
		b.must(b.db.Session(&gorm.Session{SkipDefaultTransaction: false}).CreateInBatches(&[]Todo{{ID: 11}, {ID: 12}}, 5))
	},
		[]string{"create todos 11, create todos 12"}},
	{"create fails", func(b *bench) {
		if err := b.db.Create(&[]Todo{{ID: 9}, {ID: 1}}).Error; err == nil {
			b.Error("a key was stored twice")
		}
	}, nil},
	{"save of a new row", func(b *bench) { b.must(b.db.Save(&Todo{Title: "d"})) }, []string{"create todos 4"}},
	{"save of a row that is not there", func(b *bench) { b.must(b.db.Save(&Todo{ID: 9, Title: "d"})) }, []string{"put todos 9"}},
	{"save of a row", func(b *bench) { b.must(b.db.Save(&Todo{ID: 1, Title: "A"})) }, []string{"update todos 1 list_id+title+rank"}},
	{"save of rows", func(b *bench) { b.must(b.db.Save(&[]Todo{{ID: 2, Title: "B"}, {Title: "d"}})) }, []string{"update todos 2 list_id+title+slug, create todos 4"}},
	{"save of what is so", func(b *bench) {
		var t Todo
		b.must(b.db.First(&t, 1))
		b.must(b.db.Save(&t))
	}, nil},
	{"update of a field", func(b *bench) { b.must(b.db.Model(&Todo{ID: 1}).Update("title", "A")) }, []string{"update todos 1 title"}},
	{"updates of a struct", func(b *bench) { b.must(b.db.Model(&Todo{ID: 1}).Updates(Todo{Title: "A", Rank: 5})) }, []string{"update todos 1 title+rank"}},
	{"updates of itself", func(b *bench) { b.must(b.db.Updates(&Todo{ID: 1, Title: "A"})) }, []string{"update todos 1 title"}},
	{"updates of a map", func(b *bench) { b.must(b.db.Model(&Todo{ID: 1}).Updates(map[string]any{"title": "A"})) }, []string{"update todos 1 title"}},
	{"update of a slice of rows", func(b *bench) { b.must(b.db.Model(&[]Todo{{ID: 1}, {ID: 3}}).Update("title", "A")) }, []string{"update todos 1 title, update todos 3 title"}},
	{"update by an expression", func(b *bench) { b.must(b.db.Model(&Todo{ID: 1}).Update("rank", gorm.Expr("rank + ?", 1))) }, []string{"update todos 1 rank"}},
	{"update returning", func(b *bench) {
		var t Todo
		b.must(b.db.Model(&t).Clauses(clause.Returning{}).Where("id = ?", 1).Update("title", "A"))
	}, []string{"update todos 1 title"}},
	{"update column", func(b *bench) { b.must(b.db.Model(&Todo{ID: 1}).UpdateColumn("title", "A")) }, []string{"update todos 1 title"}},
	{"update of no row", func(b *bench) { b.must(b.db.Model(&Todo{ID: 77}).Update("title", "A")) }, nil},
	{"update by condition", func(b *bench) { b.must(b.db.Model(&Todo{}).Where("list_id = ?", 1).Update("list_id", 2)) }, []string{"update todos 1 list_id, update todos 2 list_id"}},
	{"update by or", func(b *bench) { b.must(b.db.Model(&Todo{}).Where("id = ?", 1).Or("id = 3").Update("title", "A")) }, []string{"update todos 1 title, update todos 3 title"}},
	{"update by or, with a key", func(b *bench) { b.must(b.db.Model(&Todo{ID: 1}).Where("id = ?", 1).Or("id = 3").Update("title", "A")) }, []string{"where todos"}},
	{"update of a key", func(b *bench) { b.must(b.db.Model(&Todo{ID: 1}).Update("id", 5)) }, []string{"where todos"}},
	{"update of all", func(b *bench) {
		b.must(b.db.Session(&gorm.Session{AllowGlobalUpdate: true}).Model(&Todo{}).Update("title", "A"))
	}, []string{"update todos 1 title, update todos 2 title, update todos 3 title"}},
	{"update of all is refused", func(b *bench) {
		if err := b.db.Model(&Todo{}).Update("title", "A").Error; !errors.Is(err, gorm.ErrMissingWhereClause) {
			b.Error(err)
		}
	}, nil},
	{"update of many", func(b *bench) {
		many := make([]Todo, 101)
		b.must(livegorm.Skip(b.db).Create(&many))
		b.must(b.db.Model(&Todo{}).Where("id > 0").Update("title", "A"))
	}, []string{"where todos"}},
	{"update where there is a row elsewhere", func(b *bench) {
		b.must(b.db.Model(&Todo{}).Where("id IN (?)", b.db.Model(&Todo{}).Select("max(id)")).Update("title", "A"))
		b.wantOn(map[string]string{"sqlite": "update todos 3 title", "postgres": "where todos"})
	}, nil},
	{"update of a table by another name", func(b *bench) {
		b.must(b.db.Table("todos AS t").Model(&Todo{}).Where("t.id = 3").Update("title", "A"))
	}, []string{"update todos 3 title"}},
	{"generics", func(b *bench) {
		b.do(gorm.G[List](b.db).Create(b.Context(), &List{Name: "l"}))
		_, err := gorm.G[List](b.db).Where("id = ?", 1).Update(b.Context(), "name", "L")
		b.do(err)
		_, err = gorm.G[List](b.db).Where("id = ?", 1).Delete(b.Context())
		b.do(err)
	}, []string{"create lists 1", "update lists 1 name", "delete lists 1"}},
	{"a table with its schema", func(b *bench) {
		if b.db.Name() == "postgres" {
			b.must(b.db.Exec("CREATE SCHEMA IF NOT EXISTS main"))
		}
		b.do(b.db.Migrator().DropTable(&Thing{}, "other.things"))
		b.do(b.db.AutoMigrate(&Thing{}))
		b.must(b.db.Create(&Thing{ID: 1}))
		b.must(b.db.Model(&Thing{}).Where("id = 1").Update("name", "a"))
		b.must(b.db.Delete(&Thing{ID: 1}))
		if b.db.Name() == "postgres" {
			b.must(b.db.Exec("CREATE SCHEMA IF NOT EXISTS other"))
			b.must(b.db.Exec("CREATE TABLE other.things (id bigint, name text)"))
			b.must(b.db.Table("other.things").Create(&Thing{ID: 2}))
		}
	}, []string{"create things 1", "update things 1 name", "delete things 1"}},
	{"delete", func(b *bench) { b.must(b.db.Delete(&Todo{ID: 1})) }, []string{"delete todos 1"}},
	{"delete by key", func(b *bench) { b.must(b.db.Delete(&Todo{}, []int64{1, 3})) }, []string{"delete todos 1, delete todos 3"}},
	{"delete of rows", func(b *bench) { b.must(b.db.Delete(&[]Todo{{ID: 3}, {ID: 1}})) }, []string{"delete todos 1, delete todos 3"}},
	{"delete by condition", func(b *bench) { b.must(b.db.Where("list_id = ?", 1).Delete(&Todo{})) }, []string{"delete todos 1, delete todos 2"}},
	{"delete of no row", func(b *bench) { b.must(b.db.Delete(&Todo{ID: 77})) }, nil},
	{"delete returning", func(b *bench) {
		var gone []Todo
		b.must(b.db.Clauses(clause.Returning{}).Where("list_id = ?", 1).Delete(&gone))
	}, []string{"delete todos 1, delete todos 2"}},
	{"first or create finds", func(b *bench) {
		b.must(b.db.Where(Todo{ID: 1}).Assign(Todo{Title: "A"}).FirstOrCreate(&Todo{}))
	}, []string{"update todos 1 title"}},
	{"first or create creates", func(b *bench) { b.must(b.db.Where(Todo{ID: 9}).FirstOrCreate(&Todo{})) }, []string{"create todos 9"}},

	{"upsert of keys", func(b *bench) {
		b.must(b.db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&[]Todo{{Title: "d"}, {ID: 1, Title: "A"}, {ID: 9}}))
	}, []string{"update todos 1 list_id+title, create todos 4, put todos 9"}},
	{"upsert that does nothing", func(b *bench) {
		b.must(b.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&[]Todo{{ID: 1, Title: "A"}, {ID: 9}, {ID: 10, Slug: ptr("b")}}))
	}, []string{"put todos 9"}},
	{"upsert of another column", func(b *bench) {
		b.must(b.db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "slug"}}, DoUpdates: clause.AssignmentColumns([]string{"title"})}).
			Create(&[]Todo{{ID: 9, Slug: ptr("b"), Title: "B"}, {ID: 10, Slug: ptr("z")}}))
	}, []string{"update todos 2 title, put todos 10"}},
	{"upsert of a column that it sets", func(b *bench) {
		b.must(b.db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "slug"}}, DoUpdates: clause.Assignments(map[string]any{"slug": "n"})}).
			Create(&Todo{ID: 9, Slug: ptr("b")}))
	}, []string{"update todos 2 slug"}},

	{"soft delete", func(b *bench) {
		b.must(b.db.Create(&[]Draft{{Text: "a"}, {Text: "b"}}))
		b.must(b.db.Delete(&Draft{ID: 1}))
		b.must(b.db.Delete(&Draft{ID: 1}))                                                      // it is gone
		b.must(b.db.Unscoped().Model(&Draft{ID: 1}).Update("text", "c"))                        // nobody sees it
		b.must(b.db.Unscoped().Model(&Draft{}).Where("id > 0").UpdateColumn("deleted_at", nil)) // restores it
		b.must(b.db.Unscoped().Delete(&Draft{ID: 1}))
		b.must(b.db.Model(&Draft{}).Where("id = 2").Update("deleted_at", b.db.NowFunc()))
		b.must(b.db.Unscoped().Where("id = 2").Delete(&Draft{}))
	}, []string{"create drafts 1, create drafts 2", "delete drafts 1", "create drafts 1", "delete drafts 1", "delete drafts 2"}},
	{"upsert of a row deleted softly", func(b *bench) {
		b.must(b.db.Create(&Draft{Text: "a"}))
		b.must(b.db.Delete(&Draft{ID: 1}))
		b.must(b.db.Save(&Draft{ID: 1, Text: "b"}))
	}, []string{"create drafts 1", "delete drafts 1", "create drafts 1"}},
	{"two columns for a key", func(b *bench) {
		b.must(b.db.Create(&[]Member{{1, 1, "a", ""}, {1, 2, "b", ""}, {2, 1, "c", ""}}))
		b.must(b.db.Model(&Member{Team: 1, User: 2}).Update("role", "boss"))
		b.must(b.db.Model(&Member{Team: 1}).Update("role", "worker"))
		b.must(b.db.Where("team = ? AND \"user\" = ?", 2, 1).Delete(&Member{}))
		b.must(b.db.Save(&Member{1, 1, "a", "none"}))
	}, []string{"create members a, create members b, create members c", "update members b role", "update members a role, update members b role", "delete members c",
		"update members a role"}},

	{"associations are created", func(b *bench) {
		b.must(b.db.Create(&List{Name: "l", Todos: []Todo{{Title: "d"}, {Title: "e"}}}))
	}, []string{"create lists 1, create todos 4, create todos 5"}},
	{"associations are moved", func(b *bench) {
		b.do(b.db.Transaction(func(tx *gorm.DB) error {
			l := List{Name: "l"}
			b.must(tx.Create(&l))
			b.do(tx.Model(&l).Association("Todos").Append(&Todo{ID: 3, Title: "c"}))
			return tx.Model(&List{ID: 1}).Association("Todos").Delete(&Todo{ID: 1})
		}))
	}, []string{"create lists 1, update todos 3 list_id, update todos 1 list_id"}},
	{"associations are deleted", func(b *bench) {
		b.must(b.db.Create(&List{ID: 1}))
		b.must(b.db.Select("Todos").Delete(&List{ID: 1}))
	}, []string{"create lists 1", "delete todos 1, delete todos 2, delete lists 1"}},

	{"a dry run", func(b *bench) {
		dry := b.db.Session(&gorm.Session{DryRun: true})
		b.must(dry.Create(&Todo{}))
		b.must(dry.Model(&Todo{ID: 1}).Update("title", "A"))
		b.must(dry.Delete(&Todo{ID: 1}))
		if sql := b.db.ToSQL(func(tx *gorm.DB) *gorm.DB { return tx.Delete(&Todo{ID: 1}) }); sql == "" {
			b.Error("no SQL")
		}
	}, nil},
	{"skip", func(b *bench) {
		b.must(livegorm.Skip(b.db).Model(&Todo{}).Where("list_id = 1").Update("rank", 5))
		b.must(livegorm.Skip(b.db).Delete(&Todo{ID: 3}))
		m, _ := b.srv.Hub.Model(Todo{})
		b.do(m.ChangedWhere(livegorm.Context(b.db), whereAll))
	}, []string{"where todos"}},
	{"another table and another type", func(b *bench) {
		b.must(b.db.Create(&Note{Text: "n"}))
		b.must(b.db.Table("notes").Where("id = 1").Updates(map[string]any{"text": "m"}))
		b.must(b.db.Table("notes").Create(&struct{ ID, Text string }{"5", "x"}))
	}, nil},
}

func TestWrites(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		for name, config := range d.configs() {
			t.Run(name, func(t *testing.T) {
				for _, test := range writes {
					t.Run(test.name, func(t *testing.T) {
						c := *config
						b := newBench(t, d.open(t, &c), live.Options{})
						three(b)
						b.converge()
						test.do(b)
						want := test.want
						if config.SkipDefaultTransaction && isSplit[test.name] != nil {
							want = isSplit[test.name]
						}
						b.wantTold(want...)
						b.converge()
					})
				}
			})
		}
	})
}

func TestManyRowsOfACreate(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		b := newBench(t, d.open(t, &gorm.Config{}), live.Options{})
		all := make([]Todo, 1201)
		b.must(b.db.CreateInBatches(&all, 700))
		if len(b.spy.told) != 1 {
			t.Errorf("%d entries", len(b.spy.told))
		}
		b.converge()
		b.must(b.db.Clauses(clause.OnConflict{UpdateAll: true}).CreateInBatches(&all, 700))
		b.converge()
	})
}

func TestHooks(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		for name, config := range d.configs() {
			t.Run(name, func(t *testing.T) {
				b := newBench(t, d.open(t, config), live.Options{})
				more := func(tx *gorm.DB, todo *Todo) error {
					err := tx.Model(&Todo{}).Where("id = ?", todo.ID).UpdateColumn("rank", 8).Error
					return errors.Join(err, tx.Create(&List{Name: "of a hook"}).Error)
				}
				fails := func(*gorm.DB, *Todo) error { return errOh }
				b.must(b.db.Create(&Todo{after: more}))
				if config.SkipDefaultTransaction {
					b.wantTold("create todos 1", "update todos 1 rank", "create lists 1")
				} else {
					b.wantTold("create todos 1, update todos 1 rank, create lists 1")
				}
				for i, todo := range []*Todo{{ID: 2, before: fails}, {ID: 3, after: fails}} {
					if err := b.db.Create(todo).Error; !errors.Is(err, errOh) {
						t.Error(err)
					}
					if config.SkipDefaultTransaction && i == 1 { // it was stored
						b.wantTold("create todos 3")
					}
					b.wantTold()
				}
				func() {
					defer func() {
						if recover() == nil {
							t.Error("no panic")
						}
					}()
					b.do(b.db.Transaction(func(tx *gorm.DB) error {
						return tx.Create(&Todo{ID: 4, after: func(*gorm.DB, *Todo) error { panic(errOh) }}).Error
					}))
				}()
				b.wantTold()
				b.converge()
			})
		}
	})
}

// isSplit are the writes that are several statements, so several transactions if GORM makes none.
var isSplit = map[string][]string{
	"associations are created": {"create lists 1", "create todos 4, create todos 5"},
	"associations are deleted": {"create lists 1", "delete todos 1, delete todos 2", "delete lists 1"},
}

// TestPublishingThatFails fails the statement, whose row is not stored then.
func TestPublishingThatFails(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		for name, config := range d.configs() {
			t.Run(name, func(t *testing.T) {
				b := newBench(t, d.open(t, config), live.Options{})
				if err := b.db.Create(&Member{Team: 1, User: 1}).Error; err == nil { // the key is empty
					t.Error("no error")
				}
				var n int64
				if b.must(b.db.Model(&Member{}).Count(&n)); n != 0 {
					t.Error("the row was stored")
				}
				b.wantTold()
				b.spy.fail = errOh
				if err := b.db.Create(&Todo{}).Error; !errors.Is(err, live.ErrUnpublished) || !errors.Is(err, errOh) {
					t.Errorf("the log was away: %v", err)
				}
				if b.must(b.db.Model(&Todo{}).Count(&n)); n != 1 {
					t.Error("it was not stored")
				}
			})
		}
	})
}

func TestUseIsRefused(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		db := d.open(t, &gorm.Config{})
		hub := live.New(live.Options{})
		defer hub.Shutdown(t.Context())
		p := livegorm.New(hub)
		p.MaxRows = -1
		tx := db.Begin()
		defer tx.Rollback()
		for i, err := range []error{db.Use(livegorm.New(nil)), db.Use(p), tx.Use(livegorm.New(hub))} {
			if err == nil {
				t.Errorf("case %d is not refused", i)
			}
		}
		p.MaxRows = 0
		if err := db.Use(p); err != nil {
			t.Fatal(err)
		}
		if err := db.Use(livegorm.New(hub)); !errors.Is(err, gorm.ErrRegistered) {
			t.Error(err)
		}
		if err := p.Initialize(db); err == nil {
			t.Error("it is used twice")
		}
		if _, err := db.DB(); err != nil {
			t.Error(fmt.Errorf("its *sql.DB: %w", err))
		}
		if err := db.AutoMigrate(models...); err != nil {
			t.Error(err)
		}
	})
}
