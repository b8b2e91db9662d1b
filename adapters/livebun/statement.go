package livebun

import (
	"cmp"
	"context"
	"database/sql"
	"reflect"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/schema"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// statement is one that writes rows of a type that has a router.
type statement struct {
	hook  *Hook
	db    *bun.DB
	query bun.Query
	// value is what the query was given as its model.
	value any
	table *schema.Table
	model live.Model

	kind kind
	// upsert is an INSERT that may write rows which are there.
	upsert bool
	// where are the conditions of an UPDATE or DELETE.
	where string
	// given is an UPDATE of the rows that it was given.
	given bool

	tx *sql.Tx
}

// kind is what is known of a statement.
type kind int

const (
	unknown kind = iota
	inserts
	updates
	deletes
)

// wrote is what a statement did.
type wrote struct {
	rows int64
	// returned is what came back, nil if nothing was asked for.
	returned *recorded
}

// parse finds out what is written, from the text. It is false if it is not rows of the type's own table.
func (s *statement) parse(text string) bool {
	text = withoutComment(text)
	database := s.db.Dialect().Name()
	known := database == dialect.PG || database == dialect.SQLite
	switch s.query.(type) {
	case *bun.InsertQuery:
		if rest, ok := after(text, "INSERT INTO", s.table); ok {
			s.kind, s.upsert = inserts, strings.Contains(rest, " ON CONFLICT") || strings.Contains(rest, " ON DUPLICATE")
			return true
		}
	case *bun.UpdateQuery, *bun.DeleteQuery:
		if rest, ok := after(text, "UPDATE", s.table); ok {
			if s.where, ok = conditions(rest, database); ok && known {
				s.kind = updates
			}
			return true
		}
		if rest, ok := after(text, "DELETE FROM", s.table); ok {
			if s.where, ok = conditions(rest, database); ok && known {
				s.kind = deletes
			}
			return true
		}
		if known && s.bulk(text) {
			s.kind, s.given = updates, true
			return true
		}
	}
	return s.names(text)
}

// bulk reports whether a statement is what Bulk makes of an UPDATE of a slice.
func (s *statement) bulk(text string) bool {
	if _, ok := s.query.(*bun.UpdateQuery); !ok || !strings.HasPrefix(text, `WITH "_data" `) {
		return false
	}
	var keys []string
	for _, pk := range s.table.PKs {
		keys = append(keys, string(s.table.SQLAlias)+"."+string(pk.SQLName)+" = _data."+string(pk.SQLName))
	}
	return strings.HasSuffix(text, " WHERE ("+strings.Join(keys, " AND ")+")")
}

// names reports whether the name of the type's table is in a statement that is not understood: then it may write to it.
func (s *statement) names(text string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(s.table.Name))
}

// run does the statement, in a transaction, and publishes what it wrote.
func (s *statement) run(ctx context.Context, tx *sql.Tx, do func(ctx context.Context, tx *sql.Tx) (wrote, error)) error {
	s.tx = tx
	var was rows
	readable := len(s.table.PKs) > 0 && s.table.SQLName == s.table.SQLNameForSelects
	if !readable {
		s.kind = unknown
	}
	if s.kind == updates || s.kind == deletes {
		var err error
		if was, err = s.before(ctx); err != nil {
			return err
		}
	}
	did, err := do(ctx, tx)
	_, truncates := s.query.(*bun.TruncateTableQuery) // which does not count
	if err != nil || did.rows == 0 && !truncates {
		return err
	}
	if s.kind == unknown || did.rows > int64(s.maxRows()) {
		return s.any(ctx)
	}
	if s.kind == inserts {
		return s.inserted(ctx, did)
	}
	return s.written(ctx, did, was)
}

func (s *statement) maxRows() int { return cmp.Or(s.hook.MaxRows, defaultMaxRows) }

// any publishes that any row may have changed.
func (s *statement) any(ctx context.Context) error { return s.model.ChangedWhere(ctx, where.Where{}) }

// before reads the rows that an UPDATE or DELETE will write.
func (s *statement) before(ctx context.Context) (rows, error) {
	if !s.given {
		return s.read(ctx, s.maxRows()+1, true, func(q *bun.SelectQuery) { q.Where("?", bun.Safe(s.where)) })
	}
	given, ok := s.structs()
	if !ok || len(given) > s.maxRows() {
		s.kind = unknown
		return rows{}, nil
	}
	return s.readKeys(ctx, given, true)
}

// inserted publishes rows that came.
func (s *statement) inserted(ctx context.Context, did wrote) error {
	keys, ok := s.returned(did.returned)
	if !ok && !s.upsert {
		keys, ok = s.structs()
	}
	if !ok || len(keys) != int(did.rows) {
		return s.any(ctx)
	}
	now, err := s.readKeys(ctx, keys, false)
	if err != nil {
		return err
	}
	for _, id := range keys {
		row, ok := now.row(s.text(id))
		switch {
		case s.upsert && (!ok || s.hidden(row)):
			err = s.any(ctx)
		case !ok: // a trigger has deleted it, or changed its key
			err = s.any(ctx)
		case s.hidden(row):
			continue
		case s.upsert:
			err = s.model.Changed(ctx, row.Interface())
		default:
			err = s.model.Created(ctx, row.Interface())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// written publishes what became of rows, if they are those that the statement wrote: it may have found some that another transaction has
// committed since they were read.
func (s *statement) written(ctx context.Context, did wrote, was rows) error {
	if int(did.rows) != len(was.keys) {
		return s.any(ctx)
	}
	var now rows
	if s.kind != deletes {
		var err error
		if now, err = s.readKeys(ctx, was.structs(), false); err != nil {
			return err
		}
		if len(now.keys) != len(was.keys) { // they have other keys now
			return s.any(ctx)
		}
	}
	for _, key := range was.keys {
		before, _ := was.row(key)
		after, there := now.row(key)
		if err := s.changed(ctx, before, after, there); err != nil {
			return err
		}
	}
	return nil
}

// changed publishes what became of a row.
func (s *statement) changed(ctx context.Context, was, now reflect.Value, there bool) error {
	wasHidden, isHidden := s.hidden(was), !there || s.hidden(now)
	switch {
	case wasHidden && isHidden:
		return nil
	case wasHidden:
		return s.model.Created(ctx, now.Interface())
	case isHidden:
		return s.model.Deleted(ctx, was.Interface())
	case reflect.DeepEqual(was.Interface(), now.Interface()):
		return nil
	}
	return s.model.Updated(ctx, was.Interface(), now.Interface())
}

// hidden reports whether a row is deleted softly: then no list has it.
func (s *statement) hidden(row reflect.Value) bool {
	f := s.table.SoftDeleteField
	return f != nil && !f.HasZeroValue(row.Elem())
}
