package pgsource_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/pgsource"
	"github.com/swampline/live/where"
	"github.com/swampline/live/where/wheretest/postgres"
)

// TestPostgres runs the tests that need a database, each with its own, on one server.
func TestPostgres(t *testing.T) {
	if os.Getenv("LIVE_TEST_POSTGRES_URL") == "" {
		t.Setenv("LIVE_TEST_POSTGRES_URL", postgres.Start(t))
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"statements", testStatements}, {"what is captured", testCaptured}, {"filter", testFilter}, {"key", testKey}, {"upsert", testUpsert},
		{"cascade", testCascade}, {"rollback", testRollback}, {"savepoint", testSavepoint}, {"bulk", testBulk}, {"truncate", testTruncate},
		{"published", testPublished}, {"poll", testPoll}, {"batch", testBatch}, {"large transaction", testLargeTransaction},
		{"row order", testRowOrder}, {"open transaction", testOpenTransaction}, {"backlog", testBacklog},
		{"takeover", testTakeover}, {"restart", testRestart},
		{"types", testTypes}, {"settings", testSettings}, {"reload", testReload}, {"untagged", testUntagged}, {"poison", testPoison},
		{"quoting", testQuoting}, {"declarations", testDeclarations}, {"migration", testMigration}, {"concurrent migration", testConcurrentMigration},
		{"no create", testNoCreate}, {"drop", testDrop}, {"other role", testOtherRole}, {"partitions", testPartitions},
	} {
		t.Run(test.name, test.run)
	}
}

// Poll is an hour where a notification must wake the runner.
var asleep = pgsource.Options{Poll: time.Hour}

func testStatements(t *testing.T) {
	pool, _, sub := start(t, asleep)
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	sub.Want(t, live.Create, 1).WantFields(t, map[string]any{"id": 1, "list_id": 7, "title": "milk", "done": false})
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (2, NULLIF('bread', ''))")
	sub.Want(t, live.Create, 2)
	exec(t, pool, "UPDATE todos SET title = 'oat milk' WHERE id = 1")
	sub.Want(t, live.Update, 1).WantFields(t, map[string]any{"title": "oat milk"})
	exec(t, pool, "DELETE FROM todos WHERE id = 2")
	sub.Want(t, live.Delete, 2)
	exec(t, pool, "COPY todos (id, title) FROM PROGRAM 'echo 3,eggs' WITH (FORMAT csv)")
	sub.Want(t, live.Create, 3)
	sub.WantNone(t)
}

// last makes a change that a test can wait for: when it has come, everything before it has.
func last(t *testing.T, pool execer, sub *livetest.Subscription) {
	t.Helper()
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (999999, 'last')")
	sub.Want(t, live.Create, 999999)
	sub.WantNone(t)
}

func testCaptured(t *testing.T) {
	pool := database(t, todosSQL)
	r := todos(pool)
	srv, _ := server(t, r)
	s := source(t, pool, pgsource.Options{}, pgsource.Table(r, "todos"))
	exec(t, pool, "INSERT INTO todos (id, title, password_hash) VALUES (1, 'milk', 'secret'), (2, E'line\n\"\\\\', NULL)")
	exec(t, pool, "UPDATE todos SET password_hash = 'changed'")
	exec(t, pool, "UPDATE todos SET title = title, done = (title = 'milk')")
	exec(t, pool, "DELETE FROM todos WHERE id = 77")
	const want = `insert  {"id": "1", "done": "f", "title": "milk", "list_id": "7"}
insert  {"id": "2", "done": "f", "title": "line\n\"\\", "list_id": "7"}
update {"id": "1", "done": "f", "title": "milk", "list_id": "7"} {"id": "1", "done": "t", "title": "milk", "list_id": "7"}`
	if got := one[string](t, pool, "SELECT string_agg(concat_ws(' ', op, coalesce(was::text, ''), coalesce(now::text, '')), E'\n' ORDER BY seq) FROM live.changes"); got != want {
		t.Errorf("captured\n%s\nwant\n%s", got, want)
	}
	run(t, s)
	drained(t, pool)
	sub := srv.Connect(t).Subscribe(t, "todos")
	last(t, pool, sub)
	if n := one[int64](t, pool, "SELECT count(*) FROM live.changes WHERE op <> 'insert' OR now->>'id' <> '999999'"); n != 0 {
		t.Errorf("%d entries are left that were published", n)
	}
}

func testFilter(t *testing.T) {
	pool, srv, sub := start(t, asleep)
	list8 := srv.Connect(t).Subscribe(t, "todos", livetest.Where(where.Eq("list_id", 8)))
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	sub.Want(t, live.Create, 1)
	exec(t, pool, "UPDATE todos SET done = true WHERE id = 1")
	sub.Want(t, live.Leave, 1)
	exec(t, pool, "UPDATE todos SET done = false, list_id = 8 WHERE id = 1")
	sub.Want(t, live.Enter, 1)
	list8.Want(t, live.Enter, 1)
	exec(t, pool, "UPDATE todos SET list_id = 9 WHERE id = 1")
	sub.Want(t, live.Update, 1)
	list8.Want(t, live.Leave, 1)
	list8.WantNone(t)
}

func testKey(t *testing.T) {
	pool, _, sub := start(t, asleep)
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	sub.Want(t, live.Create, 1)
	exec(t, pool, "UPDATE todos SET id = 5 WHERE id = 1")
	wantAll(t, sub, "delete 1", "create 5")
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (6, 'bread')")
	sub.Want(t, live.Create, 6)
	// 5 becomes 6, 6 becomes 7: who holds rows by key sees 6 change.
	exec(t, pool, "ALTER TABLE todos DROP CONSTRAINT todos_pkey, ADD UNIQUE (id) DEFERRABLE INITIALLY IMMEDIATE")
	exec(t, pool, "UPDATE todos SET id = id + 1")
	wantAll(t, sub, "delete 5", "update 6", "create 7")
	sub.WantNone(t)
}

func testUpsert(t *testing.T) {
	pool, _, sub := start(t, asleep)
	const upsert = "INSERT INTO todos (id, title) VALUES (1, $1), (2, $1) ON CONFLICT (id) DO UPDATE SET title = excluded.title"
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	sub.Want(t, live.Create, 1)
	exec(t, pool, upsert, "bread")
	wantAll(t, sub, "update 1", "create 2")
	exec(t, pool, upsert, "bread") // changes nothing
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (1, 'x') ON CONFLICT DO NOTHING")
	exec(t, pool, `MERGE INTO todos t USING (VALUES (1), (3)) AS v (id) ON t.id = v.id
		WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, title) VALUES (v.id, 'eggs')`)
	wantAll(t, sub, "delete 1", "create 3")
	sub.WantNone(t)
}

func testCascade(t *testing.T) {
	pool, _, sub := start(t, asleep)
	exec(t, pool, "CREATE TABLE lists (id bigint PRIMARY KEY)")
	exec(t, pool, "INSERT INTO lists VALUES (7), (8)")
	exec(t, pool, "ALTER TABLE todos ADD FOREIGN KEY (list_id) REFERENCES lists ON DELETE CASCADE ON UPDATE CASCADE")
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	sub.Want(t, live.Create, 1)
	exec(t, pool, "UPDATE lists SET id = 9 WHERE id = 7")
	sub.Want(t, live.Update, 1).WantFields(t, map[string]any{"list_id": 9})
	exec(t, pool, "DELETE FROM lists")
	sub.Want(t, live.Delete, 1)
	sub.WantNone(t)
}

func testRollback(t *testing.T) {
	pool, _, sub := start(t, asleep)
	tx := begin(t, pool)
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	last(t, pool, sub)
}

func testSavepoint(t *testing.T) {
	pool, _, sub := start(t, asleep)
	tx := begin(t, pool)
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	exec(t, tx, "SAVEPOINT s")
	exec(t, tx, "UPDATE todos SET title = 'bread'")
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (2, 'eggs')")
	exec(t, tx, "ROLLBACK TO s")
	exec(t, tx, "SAVEPOINT u")
	exec(t, tx, "UPDATE todos SET list_id = 8")
	exec(t, tx, "RELEASE u")
	commit(t, tx)
	sub.Want(t, live.Create, 1).WantFields(t, map[string]any{"id": 1, "list_id": 7, "title": "milk", "done": false})
	sub.Want(t, live.Update, 1).WantFields(t, map[string]any{"list_id": 8})
	last(t, pool, sub)
}

func testBulk(t *testing.T) {
	pool, _, sub := start(t, asleep)
	exec(t, pool, "INSERT INTO todos (id, title) SELECT n, 'x' FROM generate_series(1, 10000) n")
	sub.WantResync(t, "bulk")
	exec(t, pool, "UPDATE todos SET title = 'y'")
	sub.WantResync(t, "bulk")
	if rows := sub.Rows(); len(rows) != 10_000 {
		t.Errorf("the subscriber holds %d rows", len(rows))
	}
	exec(t, pool, "UPDATE todos SET password_hash = 'x'") // nothing that is captured
	exec(t, pool, "UPDATE todos SET title = CASE WHEN id <= 2 THEN 'z' ELSE title END")
	wantAll(t, sub, "enter 1", "enter 2") // the list was read while others could write: the whole row is sent, once
	exec(t, pool, "DELETE FROM todos WHERE id > 1000")
	sub.WantResync(t, "bulk")
	exec(t, pool, "DELETE FROM todos WHERE id > 1") // 999
	var want []string
	for i := 2; i <= 1000; i++ {
		want = append(want, fmt.Sprint("delete ", i))
	}
	wantAll(t, sub, want...)
	sub.WantNone(t)
}

func testTruncate(t *testing.T) {
	pool, _, sub := start(t, asleep)
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	sub.Want(t, live.Create, 1)
	exec(t, pool, "TRUNCATE todos")
	sub.WantResync(t, "bulk")
	if rows := sub.Rows(); len(rows) != 0 {
		t.Errorf("the subscriber holds %v", rows)
	}
	last(t, pool, sub)
}

func testPublished(t *testing.T) {
	pool, _, sub := start(t, asleep)
	tx := begin(t, pool)
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (1, 'before')")
	if err := pgsource.Published(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (2, 'silent')")
	exec(t, tx, "UPDATE todos SET title = 'silent'")
	commit(t, tx)
	sub.Want(t, live.Create, 1)
	tx = begin(t, pool)
	exec(t, tx, pgsource.PublishedSQL)
	exec(t, tx, "TRUNCATE todos")
	commit(t, tx)
	// Whatever connection the pool gives: it is a setting of the transaction.
	last(t, pool, sub)
}

func testPoll(t *testing.T) {
	pool, _, sub := start(t, pgsource.Options{Poll: time.Millisecond})
	exec(t, pool, `INSERT INTO live.changes (router, op, now) VALUES ('todos', 'insert', '{"id": "1", "list_id": "7", "title": "x", "done": "f"}')`)
	sub.Want(t, live.Create, 1) // and nobody has notified
}
