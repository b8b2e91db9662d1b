package pgsource_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/swampline/live"
	"github.com/swampline/live/pgsource"
	"github.com/swampline/live/where/wheretest/postgres"
)

// rowTriggers is what the triggers for statements were chosen over: one call and one INSERT for each row.
const rowTriggers = `
CREATE FUNCTION capture_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
DECLARE was jsonb; now jsonb;
BEGIN
	was := jsonb_object(ARRAY['id', 'list_id', 'title', 'done'], ARRAY[concat(OLD.id), concat(OLD.list_id), OLD.title, concat(OLD.done)]);
	now := jsonb_object(ARRAY['id', 'list_id', 'title', 'done'], ARRAY[concat(NEW.id), concat(NEW.list_id), NEW.title, concat(NEW.done)]);
	IF was IS DISTINCT FROM now THEN
		INSERT INTO live.changes (router, op, was, now) VALUES ('todos', 'update', was, now);
		PERFORM pg_notify('live_pgsource_live', '');
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER by_row AFTER UPDATE ON todos FOR EACH ROW EXECUTE FUNCTION capture_row()`

// BenchmarkUpdate measures what the triggers cost the writer: an UPDATE of so many rows, which is rolled back.
func BenchmarkUpdate(b *testing.B) {
	pool, err := pgxpool.New(b.Context(), postgres.Start(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	exec(b, pool, todosSQL)
	exec(b, pool, "INSERT INTO todos (id, title) SELECT n, 'a title of some length' FROM generate_series(1, 10000) n")
	r := todos(pool)
	hub := live.New(live.Options{})
	b.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	hub.Register(r)
	s, err := pgsource.New(pool, pgsource.Options{}, pgsource.Table(r, "todos"))
	if err != nil {
		b.Fatal(err)
	}
	measure := func(b *testing.B, rows int) {
		for b.Loop() {
			tx, err := pool.Begin(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			exec(b, tx, "UPDATE todos SET done = NOT done WHERE id <= $1", rows)
			if err := tx.Rollback(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, way := range []struct{ name, setup string }{
		{"without", ""}, {"statement", s.Migration()}, {"row", s.Drop() + s.Migration() + "DROP TRIGGER live_update_todos ON todos;" + rowTriggers},
	} {
		if _, err := pool.Exec(b.Context(), way.setup, pgx.QueryExecModeSimpleProtocol); err != nil {
			b.Fatal(err)
		}
		for _, size := range []struct {
			name string
			rows int
		}{{"1", 1}, {"100", 100}, {"1000", 1000}, {"10000", 10000}} {
			b.Run(way.name+"/"+size.name, func(b *testing.B) { measure(b, size.rows) })
		}
	}
}
