package livebun_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/uptrace/bun"

	"github.com/swampline/live/adapters/livebun"
)

// exec runs the statements of a case.
func exec(ctx context.Context, queries ...interface {
	Exec(ctx context.Context, dest ...any) (sql.Result, error)
}) error {
	for _, q := range queries {
		if _, err := q.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// statements are what an application writes, and what the client is told of it.
var statements = []struct {
	name string
	do   func(ctx context.Context, db bun.IDB) error
	want []string
}{
	{"insert", func(ctx context.Context, db bun.IDB) error {
		row := todo{ListID: 8, Title: "four"}
		if err := exec(ctx, db.NewInsert().Model(&row)); err != nil {
			return err
		}
		if row.ID != 4 {
			return errors.New("the key was not returned")
		}
		return nil
	}, []string{"create 4"}},
	{"insert several", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewInsert().Model(&[]todo{{Title: "four"}, {Title: "five", Done: true}, {Title: "six"}}))
	}, []string{"create 4", "create 6"}},
	{"insert many", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewInsert().Model(&[]todo{{Title: "4"}, {Title: "5"}, {Title: "6"}, {Title: "7"}, {Title: "8"}, {Title: "9"}}))
	}, []string{"bulk"}},
	{"insert with a key", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewInsert().Model(&tag{Name: "it's", Color: "red"}), db.NewInsert().Model(&tag{Name: "b"}).Returning("NULL"))
	}, []string{"tag create it's", "tag create b"}},
	{"insert or update", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewInsert().Model(&todo{Title: "two", Done: true}).On("CONFLICT (title) DO UPDATE").Set("done = EXCLUDED.done"))
	}, []string{"leave 2"}},
	{"insert or nothing", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewInsert().Model(&todo{Title: "two", Done: true}).On("CONFLICT DO NOTHING"))
	}, nil},
	{"insert or update without the key", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewInsert().Model(&tag{Name: "a", Color: "red"}).On("CONFLICT (name) DO UPDATE").Set("color = EXCLUDED.color"))
	}, []string{"tag bulk"}},
	{"update", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewUpdate().Model(&todo{ID: 2, ListID: 7, Title: "zwei WHERE 'x' = (\"SELECT"}).WherePK())
	}, []string{"update 2"}},
	{"update that returns", func(ctx context.Context, db bun.IDB) error {
		row := todo{ID: 2, Title: "zwei"}
		err := exec(ctx, db.NewUpdate().Model(&row).Column("title").WherePK().Returning("*"))
		if err == nil && row.ListID != 7 {
			err = errors.New("nothing was returned")
		}
		return err
	}, []string{"update 2"}},
	{"update with conditions", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewUpdate().Model((*todo)(nil)).Set("done = ?", true).Where("title LIKE ?", "t%").WhereOr("t.id = 17"))
	}, []string{"leave 2", "leave 3"}},
	{"update with a comment", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewUpdate().Model((*todo)(nil)).Set("done = ?", true).Where("id = 1").Comment("UPDATE 'x"))
	}, []string{"leave 1"}},
	{"update of nothing", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewUpdate().Model((*todo)(nil)).Set("done = ?", true).Where("id = 17"))
	}, nil},
	{"update to the same", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewUpdate().Model((*todo)(nil)).Set("done = ?", false).Where("id = 1"))
	}, nil},
	{"update of the key", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewUpdate().Model((*todo)(nil)).Set("id = 17").Where("id = 1"))
	}, []string{"bulk"}},
	{"update with a subquery", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewUpdate().Model((*todo)(nil)).Set("done = ?", true).Where("id IN (SELECT max(id) FROM todos)"))
	}, []string{"bulk"}},
	{"update from another table", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewInsert().Model(&note{Text: "one"}),
			db.NewUpdate().Model((*todo)(nil)).TableExpr("notes AS n").Set("done = ?", true).Where("t.title = n.text"))
	}, []string{"bulk"}},
	{"update of a slice", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewUpdate().Model(&[]*tag{{Name: "a", Color: "red"}, {Name: "nobody"}}).Column("color").Bulk(),
			db.NewInsert().Model(&[]tag{{Name: "a"}, {Name: "b"}}),
			db.NewUpdate().Model(&[]*tag{{Name: "b", Color: "red"}, {Name: "a", Color: "red"}}).Column("color").Bulk())
	}, []string{"tag create a", "tag create b", "tag update a", "tag update b"}},
	{"delete", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewInsert().Model(&[]tag{{Name: "a"}, {Name: "b"}}), db.NewDelete().Model(&tag{Name: "a"}).WherePK(),
			db.NewDelete().Model(&tag{Name: "b"}).WherePK().Returning("*"))
	}, []string{"tag create a", "tag create b", "tag delete a", "tag delete b"}},
	{"delete softly", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewDelete().Model(&todo{ID: 2}).WherePK(), db.NewDelete().Model(&todo{ID: 2}).WherePK())
	}, []string{"delete 2"}},
	{"restore", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewDelete().Model(&todo{ID: 2}).WherePK(),
			db.NewUpdate().Model((*todo)(nil)).Set("title = 'hidden', deleted_at = deleted_at").Where("id = 2").WhereAllWithDeleted(),
			db.NewUpdate().Model((*todo)(nil)).Set("deleted_at = NULL").Where("id = 2").WhereAllWithDeleted())
	}, []string{"delete 2", "create 2"}},
	{"delete for good what is deleted softly", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewDelete().Model(&todo{ID: 2}).WherePK(), db.NewDelete().Model(&todo{ID: 2}).WherePK().ForceDelete())
	}, []string{"delete 2"}},
	{"delete many", func(ctx context.Context, db bun.IDB) error {
		return errors.Join(exec(livebun.Skip(ctx), db.NewInsert().Model(&[]todo{{Title: "4"}, {Title: "5"}, {Title: "6"}})),
			exec(ctx, db.NewDelete().Model((*todo)(nil)).Where("id > 0")))
	}, []string{"bulk"}},
	{"truncate", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewTruncateTable().Model((*todo)(nil)))
	}, []string{"bulk"}},
	{"what has no router", func(ctx context.Context, db bun.IDB) error {
		return exec(ctx, db.NewInsert().Model(&note{Text: "one"}), db.NewUpdate().Model((*note)(nil)).Set("text = 'todos'").Where("true"))
	}, nil},
	{"skipped", func(ctx context.Context, db bun.IDB) error {
		return exec(livebun.Skip(ctx), db.NewInsert().Model(&tag{Name: "a"}))
	}, nil},
}

// TestStatements writes in no transaction and in one: the client is told the same.
func TestStatements(t *testing.T) {
	oneServer(t)
	for _, c := range statements {
		t.Run(c.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				if err := c.do(t.Context(), w.db); err != nil {
					t.Fatal(err)
				}
				w.tells(t, c.want...)
			})
		})
		t.Run(c.name+" in a transaction", func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				err := w.hook.RunInTx(t.Context(), w.db, nil, func(ctx context.Context, tx bun.Tx) error { return c.do(ctx, tx) })
				if err != nil {
					t.Fatal(err)
				}
				w.tells(t, c.want...)
			})
		})
	}
}
