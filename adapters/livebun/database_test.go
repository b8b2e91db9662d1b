package livebun_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	_ "modernc.org/sqlite"

	"github.com/swampline/live"
	"github.com/swampline/live/adapters/livebun"
	"github.com/swampline/live/broker/pgbroker"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
	"github.com/swampline/live/where/wheretest/postgres"
)

type todo struct {
	bun.BaseModel `bun:"table:todos,alias:t"`

	ID        int64     `bun:",pk,autoincrement" live:"id,key"`
	ListID    int64     `live:"list_id,filter"`
	Title     string    `bun:",unique" live:"title"`
	Done      bool      `live:"done,filter"`
	DeletedAt time.Time `bun:",soft_delete,nullzero"`
}

// tag has a key that the application makes.
type tag struct {
	Name  string `bun:",pk" live:"name,key"`
	Color string `live:"color"`
}

// note has no router.
type note struct {
	ID   int64 `bun:",pk,autoincrement"`
	Text string
}

// world is an application: a database, a hub, and a client that has the open todos and the tags.
type world struct {
	hook  *livebun.Hook
	db    *bun.DB
	hub   *live.Hub
	todos *live.Router[todo]
	open  *livetest.Subscription
	all   *livetest.Subscription
	tags  *livetest.Subscription
}

// rows is a List that reads within the transaction.
func rows[T any](w *world) func(ctx context.Context, q live.Query) ([]T, error) {
	return func(ctx context.Context, q live.Query) (found []T, err error) {
		cond, args := q.Where.SQL(where.SQLite)
		err = w.hook.In(ctx, w.db).NewSelect().Model(&found).Where(cond, args...).Scan(ctx)
		return found, err
	}
}

// oneServer lets the test's databases be of one server.
func oneServer(t *testing.T) { t.Setenv("LIVE_TEST_POSTGRES_URL", postgres.Start(t)) }

// everywhere runs a test on each database.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("SQLite", func(t *testing.T) {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "db")+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)")
		if err != nil {
			t.Fatal(err)
		}
		test(t, newWorld(t, db, sqlitedialect.New(), live.Options{}))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		test(t, newWorld(t, open(t, postgres.Start(t)), pgdialect.New(), live.Options{}))
	})
	t.Run("PostgreSQL with its log", func(t *testing.T) {
		url := postgres.Start(t)
		pool, err := pgxpool.New(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		test(t, newWorld(t, open(t, url), pgdialect.New(), live.Options{Broker: pgbroker.New(pool, pgbroker.Options{Poll: 20 * time.Millisecond})}))
	})
}

func open(t *testing.T, url string) *sql.DB {
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func newWorld(t *testing.T, pool *sql.DB, dialect schema.Dialect, o live.Options) *world {
	t.Helper()
	t.Cleanup(func() { pool.Close() })
	w := &world{}
	w.todos = &live.Router[todo]{Name: "todos", Scope: live.Everyone, List: rows[todo](w)}
	tags := &live.Router[tag]{Name: "tags", Scope: live.Everyone, List: rows[tag](w)}
	plain := bun.NewDB(pool, dialect)
	for _, model := range []any{(*todo)(nil), (*tag)(nil), (*note)(nil)} {
		if _, err := plain.NewCreateTable().Model(model).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, title := range []string{"one", "two", "three"} {
		if _, err := plain.NewInsert().Model(&todo{ListID: 7, Title: title}).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.db = plain // for List, until there is a hook
	w.hook = livebun.New(nil)
	server := livetest.Config{Options: o, Patience: time.Minute}.New(t, w.todos, tags)
	w.hub, w.hook = server.Hub, livebun.New(server.Hub)
	w.hook.MaxRows = 5
	w.db = plain.WithQueryHook(w.hook)
	client := server.Connect(t)
	w.open = client.Subscribe(t, "todos", livetest.Where(where.Eq("done", false)))
	w.all = client.Subscribe(t, "todos")
	w.tags = client.Subscribe(t, "tags")
	return w
}

// tells wants the client to be told exactly this, of the open todos or of the tags, such as "update 3" or "bulk", and to have what the database has.
func (w *world) tells(t *testing.T, want ...string) {
	t.Helper()
	for _, event := range want {
		from := w.open
		if rest, ok := strings.CutPrefix(event, "tag "); ok {
			event, from = rest, w.tags
		}
		if event == "bulk" {
			from.WantResync(t, "bulk")
			if from == w.open {
				w.all.WantResync(t, "bulk")
			}
			continue
		}
		op, key, _ := strings.Cut(event, " ")
		from.Want(t, live.Event(op), key)
	}
	w.open.WantNone(t)
	w.tags.WantNone(t)
	w.all.Sync(t)
	var stored []todo
	if err := w.db.NewSelect().Model(&stored).Order("id").Scan(t.Context()); err != nil {
		t.Fatal(err)
	}
	var held []todo
	for _, row := range w.all.Rows() {
		var r struct {
			ID     int64  `json:"id"`
			ListID int64  `json:"list_id"`
			Title  string `json:"title"`
			Done   bool   `json:"done"`
		}
		row.Decode(t, &r)
		held = append(held, todo{ID: r.ID, ListID: r.ListID, Title: r.Title, Done: r.Done})
	}
	slices.SortFunc(held, func(a, b todo) int { return int(a.ID - b.ID) })
	if !slices.Equal(stored, held) {
		t.Errorf("the client has\n%v\nand the database\n%v", held, stored)
	}
}
