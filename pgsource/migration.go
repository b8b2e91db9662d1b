package pgsource

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Migration returns the SQL of the capture table, and of each router's function and triggers. It may run again, and at the same
// time as another one, and is to run in one transaction: Run does that unless Options.NoCreate says that somebody else does. It
// locks the tables against writers, for as long as it takes to create four triggers.
func (s *Source) Migration() string {
	var b strings.Builder
	// The second statement takes a lock on a table, and with that notes what others have made while this one waited: CREATE SCHEMA IF NOT
	// EXISTS alone goes by what the connection knew before.
	fmt.Fprintf(&b, "SELECT pg_advisory_xact_lock(%d, 0);\nSELECT FROM pg_catalog.pg_namespace LIMIT 1;\n", lockClass)
	b.WriteString(s.tableSQL())
	for _, t := range s.tables {
		b.WriteString(s.captureSQL(t))
		fmt.Fprintf(&b, "COMMENT ON FUNCTION %s() IS %s;\n", s.function(t), literal(s.fingerprint(t)))
	}
	return b.String()
}

// Drop returns the SQL that removes the triggers, the functions and the capture table with what was not published, and leaves the schema
// there. It may run again.
func (s *Source) Drop() string {
	var b strings.Builder
	for _, t := range s.tables {
		for _, op := range operations {
			fmt.Fprintf(&b, "DROP TRIGGER IF EXISTS %s ON %s;\n", quote(s.trigger(t, op)), t.name)
		}
		fmt.Fprintf(&b, "DROP FUNCTION IF EXISTS %s();\n", s.function(t))
	}
	fmt.Fprintf(&b, "DROP TABLE IF EXISTS %s;\n", s.changes())
	return b.String()
}

// operations are those that have a trigger.
var operations = []string{"INSERT", "UPDATE", "DELETE", "TRUNCATE"}

// changes is the capture table, function what a router's triggers call, trigger one of them, and channel what wakes the runner.
func (s *Source) changes() string { return quote(s.options.Schema) + "." + quote("changes") }
func (s *Source) function(t *table) string {
	return quote(s.options.Schema) + "." + quote(shorten("capture_"+t.router))
}
func (s *Source) channel() string { return shorten("live_pgsource_" + s.options.Schema) }
func (s *Source) trigger(t *table, op string) string {
	return shorten(strings.ToLower(s.options.Schema + "_" + op + "_" + t.router))
}

// fingerprint tells this declaration from an earlier one that is installed.
func (s *Source) fingerprint(t *table) string {
	sum := sha256.Sum256([]byte(s.captureSQL(t)))
	return "live pgsource " + hex.EncodeToString(sum[:16])
}

// tableSQL makes the capture table. Rows come and go all the time: it is vacuumed long before the default would.
func (s *Source) tableSQL() string {
	return fmt.Sprintf(`CREATE SCHEMA IF NOT EXISTS %s;
CREATE TABLE IF NOT EXISTS %s (
	seq bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
	router text NOT NULL,
	op text NOT NULL,
	was jsonb,
	now jsonb
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_insert_threshold = -1);
`, quote(s.options.Schema), s.changes())
}

// captureSQL makes a router's function and triggers. The settings make values print alike whoever writes; the text of a row is taken
// with types' output functions (concat), because some casts to text are another thing: of char(n), of inet.
func (s *Source) captureSQL(t *table) string {
	key := quote(t.columns[t.key].name)
	image := func(of string) string {
		var names, values []string
		for _, c := range t.columns {
			at := of + "." + quote(c.name)
			names = append(names, literal(c.name))
			values = append(values, "CASE WHEN "+at+" IS DISTINCT FROM NULL THEN concat("+at+") END")
		}
		return "jsonb_object(ARRAY[" + strings.Join(names, ", ") + "], ARRAY[" + strings.Join(values, ", ") + "]::text[])"
	}
	side := func(table string) string {
		return "(SELECT concat(r." + key + ") COLLATE \"C\" AS key, " + image("r") + " AS image FROM " + table + " r)"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, MDY' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
	SET bytea_output = 'hex' SET extra_float_digits = 1
AS $live$
DECLARE
	live_written bigint;
BEGIN
	IF current_setting('live.published', true) = 'on' THEN
		RETURN NULL;
	END IF;
	IF TG_OP = 'TRUNCATE' THEN
		INSERT INTO %s (router, op) VALUES (%s, 'truncate');
`, s.function(t), s.changes(), literal(t.router))
	for _, branch := range []struct{ op, rows string }{
		{"INSERT", "SELECT n.key, 'insert' AS op, NULL::jsonb AS was, n.image AS now FROM " + side("live_now") + " n"},
		{"DELETE", "SELECT o.key, 'delete' AS op, o.image AS was, NULL::jsonb AS now FROM " + side("live_was") + " o"},
		{"UPDATE", "SELECT coalesce(n.key, o.key) AS key, CASE WHEN o.key IS NULL THEN 'insert' WHEN n.key IS NULL THEN 'delete' ELSE 'update' END AS op, o.image AS was, n.image AS now\n\t\t\tFROM " +
			side("live_was") + " o\n\t\t\tFULL JOIN " + side("live_now") + " n ON o.key = n.key\n\t\t\tWHERE o.image IS DISTINCT FROM n.image"},
	} {
		fmt.Fprintf(&b, `	ELSIF TG_OP = '%s' THEN
		WITH changed AS MATERIALIZED (
			%s
			LIMIT %d
		)
		INSERT INTO %s (router, op, was, now)
		SELECT %s, e.op, e.was, e.now FROM (
			SELECT * FROM changed c WHERE (SELECT count(*) FROM changed) <= %d
			UNION ALL
			SELECT '', 'bulk', NULL, NULL WHERE (SELECT count(*) FROM changed) > %[6]d
		) e ORDER BY e.key;
`, branch.op, branch.rows, s.options.MaxRows+1, s.changes(), literal(t.router), s.options.MaxRows)
	}
	fmt.Fprintf(&b, `	END IF;
	GET DIAGNOSTICS live_written = ROW_COUNT;
	IF live_written > 0 THEN
		PERFORM pg_notify(%s, '');
	END IF;
	RETURN NULL;
END
$live$;
REVOKE ALL ON FUNCTION %s() FROM PUBLIC;
`, literal(s.channel()), s.function(t))
	for _, op := range operations {
		tables := map[string]string{
			"INSERT": "REFERENCING NEW TABLE AS live_now ", "DELETE": "REFERENCING OLD TABLE AS live_was ",
			"UPDATE": "REFERENCING OLD TABLE AS live_was NEW TABLE AS live_now ",
		}[op]
		fmt.Fprintf(&b, "CREATE OR REPLACE TRIGGER %s AFTER %s ON %s %sFOR EACH STATEMENT EXECUTE FUNCTION %s();\n",
			quote(s.trigger(t, op)), op, t.name, tables, s.function(t))
	}
	return b.String()
}
