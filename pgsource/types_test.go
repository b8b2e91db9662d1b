package pgsource_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/swampline/live"
	"github.com/swampline/live/pgsource"
	"github.com/swampline/live/where"
)

type address struct {
	Street string `json:"street"`
	Number int64  `json:"number"`
}

type base struct {
	ID      int64 `live:"id,key" db:"id"`
	Version int64 `live:"version,version" db:"version"`
}

// kinds has a field for each kind of value that live knows.
type kinds struct {
	base
	Bool     bool                      `live:"a_bool,filter" db:"a_bool"`
	Small    int16                     `live:"a_small,filter" db:"a_small"`
	Int      int32                     `live:"an_int,filter" db:"an_int"`
	Big      int64                     `live:"a_big,filter" db:"a_big"`
	Unsigned uint64                    `live:"an_unsigned" db:"an_unsigned"`
	Real     float32                   `live:"a_real,filter" db:"a_real"`
	Double   float64                   `live:"a_double,filter" db:"a_double"`
	Text     string                    `live:"a_text,filter" db:"a_text"`
	Char     string                    `live:"a_char,filter" db:"a_char"`
	Name     string                    `live:"a_name" db:"a_name"`
	Numeric  string                    `live:"a_numeric,filter" db:"a_numeric"`
	Precise  pgtype.Numeric            `live:"a_precise" db:"a_precise"`
	Rounded  float64                   `live:"a_rounded" db:"a_rounded"`
	Bytes    []byte                    `live:"some_bytes,filter" db:"some_bytes"`
	Zoned    time.Time                 `live:"a_zoned,filter" db:"a_zoned"`
	Local    time.Time                 `live:"a_local,filter" db:"a_local"`
	Date     time.Time                 `live:"a_date,filter" db:"a_date"`
	Clock    pgtype.Time               `live:"a_clock" db:"a_clock"`
	Interval pgtype.Interval           `live:"an_interval" db:"an_interval"`
	UUID     uuid.UUID                 `live:"a_uuid,filter" db:"a_uuid"`
	Bits     pgtype.Bits               `live:"some_bits" db:"some_bits"`
	Mood     string                    `live:"a_mood,filter" db:"a_mood"`
	Email    string                    `live:"an_email,filter" db:"an_email"`
	JSON     json.RawMessage           `live:"a_json" db:"a_json"`
	JSONB    json.RawMessage           `live:"a_jsonb" db:"a_jsonb"`
	Address  address                   `live:"an_address" db:"an_address"`
	Texts    []string                  `live:"some_texts" db:"some_texts"`
	Bigs     []int64                   `live:"some_bigs" db:"some_bigs"`
	Times    []time.Time               `live:"some_times" db:"some_times"`
	Moods    []string                  `live:"some_moods" db:"some_moods"`
	Address4 netip.Addr                `live:"an_inet" db:"an_inet"`
	Network  netip.Prefix              `live:"a_cidr" db:"a_cidr"`
	Range    pgtype.Range[pgtype.Int8] `live:"a_range" db:"a_range"`
	Pointer  *int64                    `live:"a_pointer,filter" db:"a_pointer"`
	NullText sql.NullString            `live:"a_null_text,filter" db:"a_null_text"`
	NullTime sql.Null[time.Time]       `live:"a_null_time,filter" db:"a_null_time"`
	NullUUID uuid.NullUUID             `live:"a_null_uuid" db:"a_null_uuid"`
}

var kindsSQL = []string{`
CREATE TYPE mood AS ENUM ('glad', 'so so', '"quoted"')`, `
CREATE DOMAIN email AS varchar(40) CHECK (VALUE LIKE '%@%')`, `
CREATE TABLE kinds (
	id bigint PRIMARY KEY, version bigint NOT NULL, a_bool boolean NOT NULL, a_small smallint NOT NULL, an_int integer NOT NULL, a_big bigint NOT NULL,
	an_unsigned numeric NOT NULL, a_real real NOT NULL, a_double double precision NOT NULL, a_text text NOT NULL, a_char char(6) NOT NULL, a_name name NOT NULL,
	a_numeric numeric NOT NULL, a_precise numeric(30, 4) NOT NULL, a_rounded numeric NOT NULL, some_bytes bytea, a_zoned timestamptz NOT NULL,
	a_local timestamp NOT NULL, a_date date NOT NULL, a_clock time NOT NULL, an_interval interval NOT NULL, a_uuid uuid NOT NULL,
	some_bits varbit NOT NULL, a_mood mood NOT NULL, an_email email NOT NULL, a_json json, a_jsonb jsonb, an_address jsonb NOT NULL,
	some_texts text[], some_bigs bigint[], some_times timestamptz[], some_moods mood[], an_inet inet NOT NULL, a_cidr cidr NOT NULL,
	a_range int8range NOT NULL, a_pointer bigint, a_null_text text, a_null_time timestamptz, a_null_uuid uuid
)`}

// kindsRows are values at their ends, and nulls.
var kindsRows = []string{
	`(1, 1, true, 1, 2, 3, 4, 1.5, 2.5, 'text', 'char', 'name', 12.50, 1.5, 0.1, '\x00ff', '2024-02-29 12:34:56.789012+02', '2024-02-29 12:34:56.7',
		'2024-02-29', '12:34:56.789', '1 year 2 months 3 days 04:05:06.7', '0b1e2d3c-4f5a-4687-9788-99aabbccddee', B'0101', 'glad', 'a@b', '{"b":1, "a": [1.0, 9007199254740993]}',
		'{"b":1, "a": [1.0, 9007199254740993]}', '{"street": "Main \"St\"", "number": 9007199254740993}', ARRAY['a', 'null', 'c,"d\{}'], ARRAY[1, 9223372036854775807],
		ARRAY['2024-02-29 12:00+00'::timestamptz], ARRAY['so so', '"quoted"']::mood[], '10.1.2.3', '10.0.0.0/8', '[1,5)', 9223372036854775807, 'x',
		'2024-07-01 00:00+00', '0b1e2d3c-4f5a-4687-9788-99aabbccddee')`,
	`(9223372036854775807, 9007199254740993, false, -32768, -2147483648, -9223372036854775808, 18446744073709551615, 3.4028235e38, 1.7976931348623157e308,
		E'\u2028 <&> \\ '' "\n\t\u0001 😀', '', 'n', -0.000000000000000000000000000001, -99999999999999999999999999.9999, 1e-10, '', '0001-01-01 00:00:00+00', '9999-12-31 23:59:59.999999',
		'0001-01-01', '23:59:59.999999', '-1 mon -1 days -00:00:00.000001', '00000000-0000-0000-0000-000000000000', B'', '"quoted"', '@', 'null', 'null',
		'{}', '{}', '{}', '{}', '{}', '::1', '::/0', 'empty', NULL, NULL, NULL, NULL)`,
	`(3, 3, false, 0, 0, 9007199254740993, 0, 0.1, 0.1, '', 'x ', '', 0.000, 0, 123456789.123456789, NULL, '1969-12-31 23:59:59.999999+00', '1900-01-01', '1970-01-01', '00:00',
		'0', 'ffffffff-ffff-ffff-ffff-ffffffffffff', B'1', 'so so', 'x@y', NULL, NULL, '{"number": 1}', NULL, NULL, NULL, NULL, 'fe80::1', '2001:db8::/32',
		'(,)', 0, '', '0001-01-01 00:00+00', NULL)`,
}

func kindsRouter(pool *pgxpool.Pool) *live.Router[kinds] {
	return &live.Router[kinds]{
		Name: "kinds", Scope: live.Everyone,
		List: func(ctx context.Context, q live.Query) ([]kinds, error) {
			clause, args := q.SQL(where.Postgres)
			rows, err := pool.Query(ctx, "SELECT * FROM kinds "+clause, args...)
			if err != nil {
				return nil, err
			}
			return pgx.CollectRows(rows, pgx.RowToStructByName[kinds])
		},
	}
}

// testTypes compares rows as they were captured with those that pgx scans.
func testTypes(t *testing.T) {
	pool := database(t, kindsSQL...)
	r := kindsRouter(pool)
	srv, _ := server(t, r)
	run(t, source(t, pool, asleep, pgsource.Table(r, "kinds")))
	sub := srv.Connect(t).Subscribe(t, "kinds")
	for i, row := range kindsRows {
		exec(t, pool, "INSERT INTO kinds VALUES "+row)
		id := []int64{1, 1<<63 - 1, 3}[i]
		c := sub.Want(t, live.Create, id)
		listed := srv.Connect(t).Subscribe(t, "kinds").Row(t, id)
		if len(c.Fields) != len(r.StoredFields()) {
			t.Errorf("row %d was sent with %d fields, want %d", id, len(c.Fields), len(r.StoredFields()))
		}
		for name, data := range c.Fields {
			if string(data) != string(listed.Fields[name]) {
				t.Errorf("row %d: %s was captured as %s, and pgx scans %s", id, name, data, listed.Fields[name])
			}
		}
	}
	// The old values agree as well: only what was changed is sent.
	exec(t, pool, "UPDATE kinds SET version = version + 1, a_text = 'new' WHERE id = 1")
	sub.Want(t, live.Update, 1).WantFields(t, map[string]any{"version": 2, "a_text": "new"})
	exec(t, pool, "DELETE FROM kinds WHERE id = 1")
	sub.Want(t, live.Delete, 1)
	sub.WantNone(t)
}

// testSettings has writers whose sessions print values in other ways.
func testSettings(t *testing.T) {
	pool := database(t, kindsSQL...)
	r := kindsRouter(pool)
	srv, _ := server(t, r)
	run(t, source(t, pool, asleep, pgsource.Table(r, "kinds")))
	sub := srv.Connect(t).Subscribe(t, "kinds")
	tx := begin(t, pool)
	exec(t, tx, "INSERT INTO kinds VALUES "+kindsRows[0])
	for _, setting := range []string{
		"DateStyle = 'SQL, DMY'", "TimeZone = 'Asia/Kathmandu'", "IntervalStyle = 'sql_standard'", "bytea_output = 'escape'", "extra_float_digits = -15",
	} {
		exec(t, tx, "SET LOCAL "+setting)
	}
	exec(t, tx, "UPDATE kinds SET version = 2")
	commit(t, tx)
	sub.Want(t, live.Create, 1)
	sub.Want(t, live.Update, 1).WantFields(t, map[string]any{"version": 2}) // nothing else seems to have changed
}

// testReload has a field that is in no column of the table.
func testReload(t *testing.T) {
	type order struct {
		ID    string `live:"id,key"`
		Lines int64  `live:"lines,filter"`
		Note  string `live:"note"`
	}
	pool := database(t, `CREATE TABLE orders (id text PRIMARY KEY, note text)`, `CREATE TABLE lines (order_id text)`,
		`INSERT INTO lines VALUES ('a'), ('a'), ('b')`)
	r := &live.Router[order]{
		Name: "orders", Scope: live.Everyone,
		List: func(ctx context.Context, q live.Query) ([]order, error) {
			rows, err := pool.Query(ctx, "SELECT id, (SELECT count(*) FROM lines WHERE order_id = id), note FROM orders")
			if err != nil {
				return nil, err
			}
			return pgx.CollectRows(rows, pgx.RowToStructByPos[order])
		},
	}
	srv, _ := server(t, r)
	run(t, source(t, pool, asleep, pgsource.Table(r, "orders", pgsource.Columns{"lines": "-"})))
	sub := srv.Connect(t).Subscribe(t, "orders")
	exec(t, pool, "INSERT INTO orders VALUES ('a', 'x')")
	sub.Want(t, live.Enter, "a").WantFields(t, map[string]any{"id": "a", "lines": 2, "note": "x"})
	exec(t, pool, "UPDATE orders SET id = 'b'")
	sub.Want(t, live.Enter, "b")
	sub.Want(t, live.Delete, "a")
	sub.WantNone(t)
}

// testUntagged has a computed field that is made of a column without a tag.
func testUntagged(t *testing.T) {
	type row struct {
		ID       int64 `live:"id,key"`
		Birthday time.Time
		Other    string
	}
	pool := database(t, `CREATE TABLE people (id bigint PRIMARY KEY, born date NOT NULL, other text)`)
	r := &live.Router[row]{
		Name: "people", Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]row, error) { return nil, nil },
		Serializer: live.Serializer[row]{Computed: map[string]live.Computed[row]{
			"year": {Of: func(r row) any { return r.Birthday.Format("2006") + r.Other }},
		}},
	}
	srv, _ := server(t, r)
	run(t, source(t, pool, asleep, pgsource.Table(r, "people", pgsource.Columns{"Birthday": "born"})))
	sub := srv.Connect(t).Subscribe(t, "people")
	exec(t, pool, "INSERT INTO people VALUES (1, '1999-12-31', 'not captured')")
	sub.Want(t, live.Create, 1).WantFields(t, map[string]any{"id": 1, "year": "1999"})
	exec(t, pool, "UPDATE people SET born = '2000-01-01'")
	sub.Want(t, live.Update, 1).WantFields(t, map[string]any{"year": "2000"})
}

// testPoison has rows that T cannot hold, a func that panics, and what an earlier declaration captured: none of it keeps what follows.
func testPoison(t *testing.T) {
	type row struct {
		ID    int64  `live:"id,key"`
		Title string `live:"title"`
	}
	pool := database(t, `CREATE TABLE rows (id bigint PRIMARY KEY, title text)`)
	r := &live.Router[row]{
		Name: "rows", Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]row, error) { return []row{{ID: 77}}, nil },
		Serializer: live.Serializer[row]{Computed: map[string]live.Computed[row]{
			"loud": {Of: func(r row) any {
				if r.Title == "panic" {
					panic("the application's")
				}
				return r.Title
			}},
		}},
	}
	srv, _ := server(t, r)
	s := source(t, pool, asleep, pgsource.Table(r, "rows"))
	sub := srv.Connect(t).Subscribe(t, "rows")
	run(t, s)
	for i, poison := range []string{
		"INSERT INTO rows VALUES (1, NULL)",
		"INSERT INTO rows VALUES (2, 'panic')",
		`INSERT INTO live.changes (router, op, now) VALUES ('rows', 'insert', '{"id": "1"}')`,
		`INSERT INTO live.changes (router, op, now) VALUES ('rows', 'insert', '{"id": "one", "title": "x"}')`,
		`INSERT INTO live.changes (router, op) VALUES ('rows', 'insert')`,
		`INSERT INTO live.changes (router, op, now) VALUES ('rows', 'insert', '[]')`,
	} {
		exec(t, pool, poison)
		exec(t, pool, "NOTIFY live_pgsource_live")
		sub.WantResync(t, "bulk")
		exec(t, pool, "INSERT INTO rows VALUES ($1, 'fine')", 100+i)
		sub.Want(t, live.Create, 100+i)
	}
	drained(t, pool)
	if slices.Contains(sub.Keys(), "1") {
		t.Error("a row was published that cannot be")
	}
}
