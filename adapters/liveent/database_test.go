package liveent_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/swampline/live"
	"github.com/swampline/live/adapters/liveent"
	"github.com/swampline/live/adapters/liveent/internal/ent"
	"github.com/swampline/live/adapters/liveent/internal/ent/todo"
	"github.com/swampline/live/broker/pgbroker"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
	"github.com/swampline/live/where/wheretest/postgres"
)

// world is an application: a database, a hub, and a client that has the open todos.
type world struct {
	driver *liveent.Driver
	client *ent.Client
	todos  *live.Router[ent.Todo]
	open   *livetest.Subscription
	all    *livetest.Subscription
}

// oneServer lets the test's databases be of one server.
func oneServer(t *testing.T) { t.Setenv("LIVE_TEST_POSTGRES_URL", postgres.Start(t)) }

// everywhere runs a test on each database.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("SQLite", func(t *testing.T) {
		file := "file:" + filepath.Join(t.TempDir(), "db") + "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)&_pragma=foreign_keys(1)"
		test(t, newWorld(t, open(t, "sqlite", file), dialect.SQLite, live.Options{}))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		test(t, newWorld(t, open(t, "pgx", postgres.Start(t)), dialect.Postgres, live.Options{}))
	})
	t.Run("PostgreSQL with its log", func(t *testing.T) {
		url := postgres.Start(t)
		pool, err := pgxpool.New(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		test(t, newWorld(t, open(t, "pgx", url), dialect.Postgres, live.Options{Broker: pgbroker.New(pool, pgbroker.Options{Poll: 20 * time.Millisecond})}))
	})
}

func open(t *testing.T, driver, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func newWorld(t *testing.T, db *sql.DB, name string, o live.Options) *world {
	t.Helper()
	w := &world{}
	w.todos = &live.Router[ent.Todo]{Name: "todos", Scope: live.Everyone, List: func(ctx context.Context, q live.Query) (rows []ent.Todo, err error) {
		found, err := w.client.Todo.Query().All(ctx) // the hub drops what does not match
		for _, row := range found {
			rows = append(rows, *row)
		}
		return rows, err
	}}
	plain := entsql.OpenDB(name, db)
	w.client = ent.NewClient(ent.Driver(plain))
	if err := w.client.Schema.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, title := range []string{"one", "two", "three"} {
		w.client.Todo.Create().SetTitle(title).SaveX(t.Context())
	}
	server := livetest.Config{Options: o, Patience: time.Minute}.New(t, w.todos)
	w.driver = liveent.New(server.Hub, plain)
	w.driver.MaxRows = 5
	w.client = ent.NewClient(ent.Driver(w.driver))
	w.client.Use(w.driver.Hook())
	client := server.Connect(t)
	w.open = client.Subscribe(t, "todos", livetest.Where(where.Eq("done", false)))
	w.all = client.Subscribe(t, "todos")
	return w
}

// tells wants the client to be told exactly this of the open todos, such as "update 3" or "bulk", and to have what the database has.
func (w *world) tells(t *testing.T, want ...string) {
	t.Helper()
	for _, event := range want {
		if event == "bulk" {
			w.open.WantResync(t, "bulk")
			w.all.WantResync(t, "bulk")
			continue
		}
		op, key, _ := strings.Cut(event, " ")
		w.open.Want(t, live.Event(op), key)
	}
	w.open.WantNone(t)
	w.all.Sync(t)
	type row struct {
		ID     int64  `json:"id"`
		ListID int64  `json:"list_id"`
		Title  string `json:"title"`
		Done   bool   `json:"done"`
	}
	var stored, held []row
	for _, r := range w.client.Todo.Query().Order(ent.Asc(todo.FieldID)).AllX(t.Context()) {
		stored = append(stored, row{r.ID, r.ListID, r.Title, r.Done})
	}
	for _, r := range w.all.Rows() {
		var one row
		r.Decode(t, &one)
		held = append(held, one)
	}
	slices.SortFunc(held, func(a, b row) int { return int(a.ID - b.ID) })
	if !slices.Equal(stored, held) {
		t.Errorf("the client has\n%v\nand the database\n%v", held, stored)
	}
}
