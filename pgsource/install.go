package pgsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// declarationError is a mistake that another try does not mend.
type declarationError struct{ text string }

func (e *declarationError) Error() string { return "pgsource: " + e.text }

func wrong(format string, args ...any) error { return &declarationError{fmt.Sprintf(format, args...)} }

// Install looks whether the tables have what the routers need, and runs the migration unless it is installed as it is, so that a start
// does not lock anything. With Options.NoCreate it fails then. Run calls it; an application may call it before to fail early. It
// waits 5 s at most for tables that other transactions have locked, so that it does not hold up writers for longer.
func (s *Source) Install(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		missing := false
		for _, t := range s.tables {
			if err := s.check(ctx, tx, t); err != nil {
				return err
			}
			installed, err := s.installed(ctx, tx, t)
			if err != nil {
				return err
			}
			if !installed && s.options.NoCreate {
				return wrong("router %s: its triggers on %s are missing, or are of another declaration: run what Migration returns", t.router, t.name)
			}
			missing = missing || !installed
		}
		if !missing {
			return nil
		}
		_, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '5s';\n"+s.Migration(), pgx.QueryExecModeSimpleProtocol)
		return err
	})
	var mistake *declarationError
	if err == nil || errors.As(err, &mistake) {
		return err
	}
	return fmt.Errorf("pgsource: installing: %w", err)
}

// check refuses a table that lacks what its router needs.
func (s *Source) check(ctx context.Context, tx pgx.Tx, t *table) error {
	var kind *string
	if err := tx.QueryRow(ctx, `SELECT (SELECT relkind::text FROM pg_class WHERE oid = to_regclass($1))`, t.name).Scan(&kind); err != nil {
		return err
	}
	switch {
	case kind == nil:
		return wrong("router %s: there is no table %s", t.router, t.name)
	case *kind != "r" && *kind != "p":
		return wrong("router %s: %s is no table, so changes to it cannot be captured: capture the table under it", t.router, t.name)
	}
	rows, err := tx.Query(ctx, `SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, t.name)
	if err != nil {
		return err
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	var lacks []string
	for _, c := range t.columns {
		if !slices.Contains(there, c.name) {
			lacks = append(lacks, fmt.Sprintf("the column %q of the field %q", c.name, c.field))
		}
	}
	if lacks != nil {
		return wrong("router %s: the table %s lacks %s: say with pgsource.Columns where the field is, or that it is in no column", t.router, t.name, strings.Join(lacks, " and "))
	}
	return s.checkKey(ctx, tx, t)
}

// checkKey wants the key to be unique at the end of each statement: rows as they were and as they are now are joined by it.
func (s *Source) checkKey(ctx context.Context, tx pgx.Tx, t *table) error {
	key := t.columns[t.key]
	var unique bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (
		SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indrelid = to_regclass($1) AND a.attname = $2
		AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL)`, t.name, key.name).Scan(&unique)
	if err == nil && !unique {
		err = wrong("router %s: the key %q is the column %q of the table %s, which no primary key or unique index has, or only a deferrable one: create one", t.router, key.field, key.name, t.name)
	}
	return err
}

// installed reports whether the table's function and triggers are those of this declaration, and the capture table is there.
func (s *Source) installed(ctx context.Context, tx pgx.Tx, t *table) (bool, error) {
	var triggers []string
	for _, op := range operations {
		triggers = append(triggers, s.trigger(t, op))
	}
	var same bool
	err := tx.QueryRow(ctx, `SELECT coalesce(
		obj_description(to_regprocedure($1)) = $2 AND to_regclass($3) IS NOT NULL AND 4 = (
			SELECT count(*) FROM pg_trigger
			WHERE tgrelid = to_regclass($4) AND tgfoid = to_regprocedure($1) AND tgname = ANY ($5) AND tgenabled IN ('O', 'A')
		), false)`, s.function(t)+"()", s.fingerprint(t), s.changes(), t.name, triggers).Scan(&same)
	return same, err
}
