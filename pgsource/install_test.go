package pgsource_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/pgsource"
	"github.com/swampline/live/where"
)

func testQuoting(t *testing.T) {
	type row struct {
		ID   string `live:"id,key"`
		Name string `live:"name,filter"`
	}
	pool := database(t, `CREATE SCHEMA "My.Shop"`, `CREATE TABLE "My.Shop"."Order ""Items""'s" ("ID" varchar(9) PRIMARY KEY, "the ""name""'s \" text)`)
	list := func(context.Context, live.Query) ([]row, error) { return nil, nil }
	long := "a-name-as-long-as-a-router-may-have-which-postgres-would-cut-off"
	r, other := &live.Router[row]{Name: long, Scope: live.Everyone, List: list}, &live.Router[row]{Name: long[:63] + "x", Scope: live.Everyone, List: list}
	srv, _ := server(t, r, other)
	columns := pgsource.Columns{"id": "ID", "name": `the "name"'s \`}
	const name = `"My.Shop"."Order ""Items""'s"`
	run(t, source(t, pool, pgsource.Options{Poll: asleep.Poll, Schema: `An "App"'s`}, pgsource.Table(r, name, columns), pgsource.Table(other, name, columns)))
	for _, router := range []string{long, long[:63] + "x"} {
		sub := srv.Connect(t).Subscribe(t, router, livetest.Where(where.Eq("name", "in")))
		exec(t, pool, `INSERT INTO `+name+` VALUES ('A''"\', 'in')`)
		sub.Want(t, live.Create, `A'"\`)
		exec(t, pool, `UPDATE `+name+` SET "the ""name""'s \" = 'out'`)
		sub.Want(t, live.Leave, `A'"\`)
		exec(t, pool, `DELETE FROM `+name)
	}
}

func testDeclarations(t *testing.T) {
	pool := database(t, todosSQL, "CREATE VIEW seen AS SELECT * FROM todos", "CREATE TABLE keyless (id bigint, list_id bigint, title text, done boolean)",
		"CREATE TABLE deferred (id bigint UNIQUE DEFERRABLE, list_id bigint, title text, done boolean)")
	r, unregistered, elsewhere := todos(pool), todos(pool), todos(pool)
	server(t, r)
	elsewhere.Name = "elsewhere"
	server(t, elsewhere)
	for _, test := range []struct {
		tables []pgsource.Captured
		want   string
	}{
		{nil, "there are no tables"},
		{[]pgsource.Captured{pgsource.Table(unregistered, "todos")}, "router todos: it is not registered"},
		{[]pgsource.Captured{pgsource.Table[todo](nil, "todos")}, `the table "todos" has no router`},
		{[]pgsource.Captured{pgsource.Table(r, "todos"), pgsource.Table(r, "todos")}, "router todos: it is captured twice"},
		{[]pgsource.Captured{pgsource.Table(r, "todos"), pgsource.Table(elsewhere, "todos")}, "router elsewhere: it belongs to another hub"},
		{[]pgsource.Captured{pgsource.Table(r, "a.b.c")}, `the table "a.b.c" has 3 parts`},
		{[]pgsource.Captured{pgsource.Table(r, `"a`)}, "a double quote is not closed"},
		{[]pgsource.Captured{pgsource.Table(r, "a.")}, "a name is empty"},
		{[]pgsource.Captured{pgsource.Table(r, "todos", pgsource.Columns{"titel": "title"})}, `Columns names "titel", which is the name of no field of pgsource_test.todo`},
		{[]pgsource.Captured{pgsource.Table(r, "todos", pgsource.Columns{"id": "-"})}, `the key "id" is in no column`},
		{[]pgsource.Captured{pgsource.Table(r, "todos", pgsource.Columns{"title": ""})}, `"title" is in the column ""`},
		{[]pgsource.Captured{pgsource.Table(r, "missing")}, `router todos: there is no table "missing"`},
		{[]pgsource.Captured{pgsource.Table(r, "Todos")}, `router todos: there is no table "Todos"`},
		{[]pgsource.Captured{pgsource.Table(r, "seen")}, `router todos: "seen" is no table`},
		{[]pgsource.Captured{pgsource.Table(r, "keyless")}, `the key "id" is the column "id" of the table "keyless", which no primary key`},
		{[]pgsource.Captured{pgsource.Table(r, "deferred")}, `the key "id" is the column "id" of the table "deferred", which no primary key`},
		{[]pgsource.Captured{pgsource.Table(r, "todos", pgsource.Columns{"title": "name"})}, `router todos: the table "todos" lacks the column "name" of the field "title"`},
	} {
		s, err := pgsource.New(pool, pgsource.Options{}, test.tables...)
		if err == nil {
			err = s.Run(t.Context()) // which tells at once
		}
		if err == nil || !strings.HasPrefix(err.Error(), "pgsource: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
	if one[bool](t, pool, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'live')") {
		t.Error("a refused declaration left something in the database")
	}
}

// testMigration runs the printed SQL as another tool would.
func testMigration(t *testing.T) {
	pool := database(t, todosSQL)
	r := todos(pool)
	srv, _ := server(t, r)
	s, err := pgsource.New(pool, pgsource.Options{NoCreate: true, Poll: asleep.Poll}, pgsource.Table(r, "todos"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := pool.Exec(t.Context(), s.Migration(), pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	sub := srv.Connect(t).Subscribe(t, "todos")
	run(t, s)
	last(t, pool, sub)

	// What is installed is not installed again: that would wait for the lock.
	tx := begin(t, pool)
	exec(t, tx, "LOCK TABLE todos IN ROW EXCLUSIVE MODE")
	before := one[string](t, pool, "SELECT xmin::text FROM pg_proc WHERE proname = 'capture_todos'")
	source(t, pool, pgsource.Options{}, pgsource.Table(r, "todos"))
	if after := one[string](t, pool, "SELECT xmin::text FROM pg_proc WHERE proname = 'capture_todos'"); after != before {
		t.Error("the migration ran though nothing had changed")
	}
	commit(t, tx)
	source(t, pool, pgsource.Options{MaxRows: 5}, pgsource.Table(r, "todos"))
	if after := one[string](t, pool, "SELECT xmin::text FROM pg_proc WHERE proname = 'capture_todos'"); after == before {
		t.Error("another declaration was not installed")
	}
	exec(t, pool, "INSERT INTO todos (id, title) SELECT n, 'x' FROM generate_series(1, 6) n")
	sub.WantResync(t, "bulk")
}

func testConcurrentMigration(t *testing.T) {
	pool := database(t, todosSQL)
	r := todos(pool)
	server(t, r)
	var ends sync.WaitGroup
	for range 8 {
		s, err := pgsource.New(pool, pgsource.Options{}, pgsource.Table(r, "todos"))
		if err != nil {
			t.Fatal(err)
		}
		ends.Go(func() {
			if err := s.Install(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	ends.Wait()
	if n := one[int64](t, pool, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"); n != 4 {
		t.Errorf("there are %d triggers, want 4", n)
	}
}

func testNoCreate(t *testing.T) {
	pool := database(t, todosSQL)
	r := todos(pool)
	server(t, r)
	tables := pgsource.Table(r, "todos")
	s, err := pgsource.New(pool, pgsource.Options{NoCreate: true}, tables)
	if err != nil {
		t.Fatal(err)
	}
	const want = `pgsource: router todos: its triggers on "todos" are missing, or are of another declaration: run what Migration returns`
	if err := s.Run(t.Context()); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	source(t, pool, pgsource.Options{}, tables)
	if err := s.Install(t.Context()); err != nil {
		t.Errorf("with what is needed: %v", err)
	}
	exec(t, pool, "ALTER TABLE todos DISABLE TRIGGER live_update_todos")
	if err := s.Install(t.Context()); err == nil || err.Error() != want {
		t.Errorf("with a trigger disabled: got %v, want %s", err, want)
	}
}

func testDrop(t *testing.T) {
	pool := database(t, todosSQL)
	r := todos(pool)
	server(t, r)
	s := source(t, pool, pgsource.Options{}, pgsource.Table(r, "todos"))
	for range 2 {
		if _, err := pool.Exec(t.Context(), s.Drop(), pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	if n := one[int64](t, pool, `SELECT (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal) + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'live'::regnamespace)
		+ (SELECT count(*) FROM pg_class WHERE relnamespace = 'live'::regnamespace)`); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

// testOtherRole writes as somebody who may do nothing but that.
func testOtherRole(t *testing.T) {
	pool, _, sub := start(t, asleep)
	role := "cron_" + one[string](t, pool, "SELECT current_database()")
	exec(t, pool, "CREATE ROLE "+role)
	t.Cleanup(func() {
		for _, sql := range []string{"DROP OWNED BY " + role, "DROP ROLE " + role} {
			if _, err := pool.Exec(context.Background(), sql); err != nil {
				t.Error(err)
			}
		}
	})
	exec(t, pool, "GRANT INSERT ON todos TO "+role)
	exec(t, pool, "CREATE SCHEMA evil")
	exec(t, pool, "GRANT ALL ON SCHEMA evil TO "+role)
	tx := begin(t, pool)
	exec(t, tx, "SET LOCAL ROLE "+role)
	// Functions of his own do not run with the rights of ours.
	exec(t, tx, "CREATE FUNCTION evil.concat(bigint) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$")
	exec(t, tx, "SET LOCAL search_path = evil, pg_catalog, public")
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	commit(t, tx)
	sub.Want(t, live.Create, 1)
}

func testPartitions(t *testing.T) {
	pool := database(t, "CREATE TABLE todos (id bigint, list_id bigint DEFAULT 7, title text, done boolean DEFAULT false, PRIMARY KEY (id, list_id)) PARTITION BY LIST (list_id)",
		"CREATE TABLE todos_7 PARTITION OF todos FOR VALUES IN (7)", "CREATE TABLE todos_8 PARTITION OF todos FOR VALUES IN (8)")
	r := todos(pool)
	srv, _ := server(t, r)
	run(t, source(t, pool, asleep, pgsource.Table(r, "todos")))
	sub := srv.Connect(t).Subscribe(t, "todos")
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	sub.Want(t, live.Create, 1)
	exec(t, pool, "UPDATE todos SET list_id = 8") // into another partition
	sub.Want(t, live.Update, 1).WantFields(t, map[string]any{"list_id": 8})
	exec(t, pool, "UPDATE todos_8 SET title = 'by its own name'") // as documented
	exec(t, pool, "DELETE FROM todos")
	sub.Want(t, live.Delete, 1)
	sub.WantNone(t)
}
