package pgsource_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/pgsource"
	"github.com/swampline/live/where"
	"github.com/swampline/live/where/wheretest/postgres"
)

// todo has no version: whatever order the source publishes in, nothing else puts it right.
type todo struct {
	ID     int64  `live:"id,key" db:"id"`
	ListID int64  `live:"list_id,filter" db:"list_id"`
	Title  string `live:"title" db:"title"`
	Done   bool   `live:"done,filter" db:"done"`
}

const todosSQL = `CREATE TABLE todos (
	id bigint PRIMARY KEY, list_id bigint NOT NULL DEFAULT 7, title text NOT NULL, done boolean NOT NULL DEFAULT false, password_hash text
)`

// patience is for machines that do other things: nothing waits for its end unless a test fails.
const patience = time.Minute

func todos(pool *pgxpool.Pool) *live.Router[todo] {
	return &live.Router[todo]{
		Name: "todos", Scope: live.Everyone, MaxRows: 20_000,
		List: func(ctx context.Context, q live.Query) ([]todo, error) {
			clause, args := q.SQL(where.Postgres)
			rows, err := pool.Query(ctx, "SELECT id, list_id, title, done FROM todos "+clause, args...)
			if err != nil {
				return nil, err
			}
			return pgx.CollectRows(rows, pgx.RowToStructByName[todo])
		},
	}
}

// database is an empty database of the test's own, with what sql makes.
func database(t *testing.T, sql ...string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(postgres.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 10
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	for _, statement := range sql {
		exec(t, pool, statement)
	}
	return pool
}

type execer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// exec is somebody with psql.
func exec(t testing.TB, by execer, sql string, args ...any) {
	t.Helper()
	rows, err := by.Query(t.Context(), sql, args...)
	if err == nil {
		rows.Close()
		err = rows.Err()
	}
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// one returns a statement's only value.
func one[V any](t testing.TB, by execer, sql string, args ...any) V {
	t.Helper()
	rows, err := by.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[V])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// begin opens a transaction of somebody else.
func begin(t testing.TB, pool *pgxpool.Pool) pgx.Tx {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) }) // when it is still open
	return tx
}

func commit(t testing.TB, tx pgx.Tx) {
	t.Helper()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// server serves routers from a broker that the test can look into.
func server(t *testing.T, endpoints ...live.Endpoint) (*livetest.Server, broker.Broker) {
	t.Helper()
	b := memory.New(memory.Options{})
	return livetest.Config{Options: live.Options{Broker: b}, Patience: patience}.New(t, endpoints...), b
}

// source makes a source, and installs it.
func source(t *testing.T, pool *pgxpool.Pool, o pgsource.Options, tables ...pgsource.Captured) *pgsource.Source {
	t.Helper()
	s, err := pgsource.New(pool, o, tables...)
	if err == nil {
		err = s.Install(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a source until stop is called or the test is over. It is not waited for until it works: what is written before is
// captured already.
func run(t *testing.T, s *pgsource.Source) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var stopped bool
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// start is all of it for the table todos, with a subscriber to those that are not done.
func start(t *testing.T, o pgsource.Options) (*pgxpool.Pool, *livetest.Server, *livetest.Subscription) {
	t.Helper()
	pool := database(t, todosSQL)
	r := todos(pool)
	srv, _ := server(t, r)
	run(t, source(t, pool, o, pgsource.Table(r, "todos")))
	return pool, srv, srv.Connect(t).Subscribe(t, "todos", livetest.Where(where.Eq("done", false)))
}

// wantAll wants changes of one statement, such as "update 1": they come in the order of the keys' texts.
func wantAll(t *testing.T, sub *livetest.Subscription, changes ...string) {
	t.Helper()
	key := func(change string) string { _, key, _ := strings.Cut(change, " "); return key }
	slices.SortFunc(changes, func(a, b string) int { return strings.Compare(key(a), key(b)) })
	for _, change := range changes {
		event, key, _ := strings.Cut(change, " ")
		sub.Want(t, live.Event(event), key)
	}
}
