package pgbroker

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// migration makes all that a log consists of, where it is not there yet. Random bits below the number of an entry make sure that after
// a fail-over to a replica that lagged no position is given out for another entry; 43 bits for the number last 28
// years at 10,000 entries a second.
const migration = `CREATE SEQUENCE IF NOT EXISTS {seq} MAXVALUE 8796093022207;

CREATE TABLE IF NOT EXISTS {log} (
	xid  xid8        NOT NULL DEFAULT pg_current_xact_id(),
	seq  bigint      NOT NULL DEFAULT (nextval('{seq}') << 20) | floor(random() * 1048576)::bigint,
	at   timestamptz NOT NULL DEFAULT clock_timestamp(),
	data bytea       NOT NULL,
	PRIMARY KEY (xid, seq)
);
ALTER SEQUENCE {seq} OWNED BY {log}.seq;

CREATE TABLE IF NOT EXISTS {meta} (
	single      boolean PRIMARY KEY DEFAULT true CHECK (single), -- there is one row
	epoch       bigint  NOT NULL DEFAULT {epoch},
	trimmed_xid xid8    NOT NULL DEFAULT '0',
	trimmed_seq bigint  NOT NULL DEFAULT 0
);
INSERT INTO {meta} DEFAULT VALUES ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION {forget}() RETURNS trigger LANGUAGE plpgsql AS $forget$
DECLARE
	newest record;
BEGIN
	IF TG_OP = 'DELETE' THEN
		SELECT xid, seq INTO newest FROM gone ORDER BY xid DESC, seq DESC LIMIT 1;
		IF NOT FOUND THEN
			RETURN NULL;
		END IF;
		IF newest.xid < pg_snapshot_xmin(pg_current_snapshot()) THEN
			UPDATE {meta} SET trimmed_xid = newest.xid, trimmed_seq = newest.seq
				WHERE (trimmed_xid, trimmed_seq) < (newest.xid, newest.seq);
			RETURN NULL;
		END IF;
	END IF;
	-- What lies before an entry that is gone may be still to come: nobody can say how far the log is complete.
	UPDATE {meta} SET epoch = {epoch}, trimmed_xid = '0', trimmed_seq = 0;
	RETURN NULL;
END
$forget$;

DROP TRIGGER IF EXISTS live_deleted ON {log};
CREATE TRIGGER live_deleted AFTER DELETE ON {log}
	REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION {forget}();
DROP TRIGGER IF EXISTS live_truncated ON {log};
CREATE TRIGGER live_truncated AFTER TRUNCATE ON {log}
	FOR EACH STATEMENT EXECUTE FUNCTION {forget}();
`

// newEpoch draws a random epoch: 48 bits, never zero. The first twelve digits of such a UUID are random.
const newEpoch = `1 + ('x' || left(replace(gen_random_uuid()::text, '-', ''), 12))::bit(48)::bigint`

// Migration returns the SQL that creates the log's tables where they are missing, for applications that run their migrations
// themselves (Options.NoCreate). It is several statements, to be run in one transaction. It may be run again, but waits for those
// who write to the log then, as they wait for it.
func Migration(o Options) string { return namesOf(o.withDefaults()).fill(migration) }

// names are the names of one log, quoted where SQL needs it.
type names struct {
	replacer *strings.Replacer
	// creating and trimming are the keys of the advisory locks.
	creating, trimming int64
}

func namesOf(o Options) names {
	qualified := func(suffix string) string {
		if o.Schema == "" {
			return pgx.Identifier{o.Table + suffix}.Sanitize()
		}
		return pgx.Identifier{o.Schema, o.Table + suffix}.Sanitize()
	}
	// Names of channels belong to the database, not to a schema. Logs that share one wake each other in vain, no more.
	channel := o.Table
	return names{
		replacer: strings.NewReplacer(
			"'{log}'", literal(qualified("")),
			"'{meta}'", literal(qualified("_meta")),
			"'{seq}'", literal(qualified("_seq")),
			"{log}", qualified(""),
			"{meta}", qualified("_meta"),
			"{seq}", qualified("_seq"),
			"{forget}", qualified("_forget"),
			"{epoch}", newEpoch,
			"LISTEN {channel}", "LISTEN "+pgx.Identifier{channel}.Sanitize(),
			"{channel}", literal(channel),
		),
		creating: lockKey("create", qualified("")),
		trimming: lockKey("trim", qualified("")),
	}
}

// literal quotes text as SQL wants it, whatever standard_conforming_strings says.
func literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		quoted = " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// fill puts the names into a statement.
func (n names) fill(sql string) string { return n.replacer.Replace(sql) }

// lockKey returns the key of an advisory lock. They are shared with all that runs in the database, so it is a hash, not a number that somebody
// else may have thought of too.
func lockKey(what, table string) int64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "github.com/swampline/live/broker/pgbroker\x00%s\x00%s", what, table)
	return int64(h.Sum64())
}

// missing reports whether the server says that the log's tables are not there.
func missing(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "42P01" // undefined_table
}

// create makes the tables, all or none; with Options.NoCreate it says what is to be done. Who comes second finds them made: running the
// migration again would wait for those who write already, and they for it.
func (b *Broker) create(ctx context.Context) error {
	if b.options.NoCreate {
		return fmt.Errorf("pgbroker: the table %s is not there: run what pgbroker.Migration prints, or unset Options.NoCreate", b.options.Table)
	}
	return b.do(ctx, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", pgx.QueryExecModeExec, b.names.creating); err != nil {
				return err
			}
			// FROM takes a lock, and with that notes what others have made: to_regclass alone goes by what this connection knew before.
			var made bool
			err := tx.QueryRow(ctx, b.names.fill(
				"SELECT to_regclass('{log}') IS NOT NULL AND to_regclass('{meta}') IS NOT NULL FROM pg_class LIMIT 1")).Scan(&made)
			if err != nil || made {
				return err
			}
			_, err = tx.Exec(ctx, b.names.fill(migration))
			return err
		})
	})
}

// begin makes the row of the meta table, in which a new epoch begins, when it was deleted.
func (b *Broker) begin(ctx context.Context) error {
	return b.do(ctx, func(ctx context.Context) error {
		_, err := b.pool.Exec(ctx, b.names.fill(`INSERT INTO {meta} DEFAULT VALUES ON CONFLICT DO NOTHING`))
		return err
	})
}
