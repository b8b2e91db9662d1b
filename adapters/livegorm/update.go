package livegorm

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// planUpdate publishes rows that are updated, those that are deleted or restored by that included.
func planUpdate(s *statement) (func(ctx context.Context) error, error) {
	var keyed []clause.Expression
	if given, ok := s.given(s.Statement.ReflectValue); ok && s.Statement.ReflectValue.Kind() == reflect.Struct {
		for _, f := range s.schema.PrimaryFields { // each by itself, as GORM does
			if value, zero := f.ValueOf(s.Statement.Context, given[0]); !zero {
				keyed = append(keyed, clause.Eq{Column: s.column(f), Value: value})
			}
		}
	} else if keys := s.keysOf(given, s.schema.PrimaryFields); len(keys) > 0 {
		keyed = append(keyed, s.keyed(s.schema.PrimaryFields, keys))
	}
	return s.planWrite(false, keyed, s.lock("NO KEY UPDATE"))
}

// planDelete publishes rows that are deleted, softly or not.
func planDelete(s *statement) (func(ctx context.Context) error, error) {
	var keyed []clause.Expression
	add := func(v reflect.Value) {
		given, _ := s.given(v)
		if keys := s.keysOf(given, s.schema.PrimaryFields); len(keys) > 0 {
			keyed = append(keyed, s.keyed(s.schema.PrimaryFields, keys))
		}
	}
	add(s.Statement.ReflectValue)
	if v := s.Statement.ReflectValue; v.CanAddr() && s.Statement.Dest != s.Statement.Model && s.Statement.Model != nil {
		add(reflect.ValueOf(s.Statement.Model))
	}
	return s.planWrite(true, keyed, s.lock("UPDATE"))
}

// lock returns the lock of rows that are about to be written, in the words of the database; empty where it has none of rows.
func (s *statement) lock(strength string) string {
	switch s.Dialector.Name() {
	case "postgres":
		return strength
	case "mysql":
		return "UPDATE"
	}
	return ""
}

// write is an UPDATE or DELETE of rows that were read before it.
type write struct {
	*statement
	deletes bool
	// was are the rows that it writes, before are those of them that were not deleted softly.
	was, before rows
}

// planWrite reads the rows that a statement will write, and publishes what became of them.
func (s *statement) planWrite(deletes bool, keyed []clause.Expression, lock string) (func(ctx context.Context) error, error) {
	conditions, ok := s.conditions(keyed)
	if !ok || len(s.schema.PrimaryFields) == 0 {
		return s.many, nil
	}
	if len(conditions) == 0 && !s.AllowGlobalUpdate {
		return nil, nil // GORM refuses it
	}
	was, err := s.read(query{where: conditions, unscoped: s.Statement.Unscoped, lock: lock, limit: s.maxRows + 1})
	if err != nil {
		return nil, err
	}
	if len(was.keys) > s.maxRows {
		return s.many, nil
	}
	before := was
	if s.Statement.Unscoped {
		if before, err = s.visible(was); err != nil {
			return nil, err
		}
	}
	return (&write{s, deletes, was, before}).tell, nil
}

// many publishes a statement of which it is not known which rows it wrote.
func (s *statement) many(ctx context.Context) error {
	if s.RowsAffected == 0 {
		return nil
	}
	return s.any(ctx)
}

// tell publishes what became of the rows, if they are those that the statement wrote: it may have found some that another transaction has committed
// since they were read.
func (w *write) tell(ctx context.Context) error {
	wrote, read := int(w.RowsAffected), len(w.was.keys)
	// MySQL does not count rows that stayed as they were, and its locks keep others away.
	fewer := wrote < read && w.Dialector.Name() == "mysql"
	switch {
	case wrote == 0:
		return nil
	case wrote != read && !fewer:
		return w.any(ctx)
	}
	var now rows
	if !w.deletes || fewer {
		var err error
		if now, err = w.readKeys(w.schema.PrimaryFields, w.was.ids, query{}); err != nil {
			return err
		}
	}
	if moved, err := w.moved(now); err != nil || moved {
		return errors.Join(err, w.any(ctx))
	}
	for _, key := range w.was.keys {
		if err := w.changed(ctx, w.before.get(key), now.get(key)); err != nil {
			return err
		}
	}
	return nil
}

// moved reports whether rows got another key: they are not where they were, and were not deleted.
func (w *write) moved(now rows) (bool, error) {
	if w.deletes || len(now.keys) == len(w.was.keys) {
		return false, nil
	}
	if len(w.schema.QueryClauses) == 0 {
		return true, nil
	}
	all, err := w.readKeys(w.schema.PrimaryFields, w.was.ids, query{unscoped: true})
	return len(all.keys) < len(w.was.keys), err
}

// visible returns those of some rows that are not deleted softly.
func (s *statement) visible(r rows) (rows, error) {
	if len(s.schema.QueryClauses) == 0 {
		return r, nil
	}
	return s.readKeys(s.schema.PrimaryFields, r.ids, query{})
}

// changed publishes what became of a row; nil is one that is not there, or not to be seen.
func (s *statement) changed(ctx context.Context, was, now any) error {
	switch {
	case was == nil && now == nil:
		return nil
	case was == nil:
		return s.model.Created(ctx, now)
	case now == nil:
		return s.model.Deleted(ctx, was)
	case reflect.DeepEqual(was, now):
		return nil
	}
	return s.model.Updated(ctx, was, now)
}

// conditions returns the conditions under which a statement writes a row, and those of the keys that GORM adds. It is false if there is more
// to the statement than conditions.
func (s *statement) conditions(keyed []clause.Expression) (all []clause.Expression, ok bool) {
	for name, c := range s.Statement.Clauses {
		switch name {
		case "WHERE", "SET", "UPDATE", "DELETE", "RETURNING":
			continue
		case "FROM":
			if from, ok := c.Expression.(clause.From); ok && len(from.Tables)+len(from.Joins) == 0 {
				continue
			}
		}
		if slices.Contains(s.Statement.BuildClauses, name) {
			return nil, false
		}
	}
	if len(s.Statement.Joins) > 0 {
		return nil, false
	}
	if c, ok := s.Statement.Clauses["WHERE"]; ok {
		w, ok := c.Expression.(clause.Where)
		if !ok {
			return nil, false
		}
		all = slices.Clone(w.Exprs)
	}
	// Where a condition is joined by OR, what GORM adds to it depends on the order in which it does.
	or := slices.ContainsFunc(all, func(e clause.Expression) bool { _, or := e.(clause.OrConditions); return or })
	if or && len(keyed) > 0 {
		return nil, false
	}
	if !s.repeatable(all) {
		return nil, false
	}
	return append(all, keyed...), true
}

var selects = regexp.MustCompile(`(?i)\bselect\b`)

// repeatable reports whether conditions hold for the same rows when they are read and when they are written, as far as these are locked. A SELECT
// in them may then find other rows, but on SQLite, where nobody else writes meanwhile.
func (s *statement) repeatable(conditions []clause.Expression) bool {
	if len(conditions) == 0 || s.Dialector.Name() == "sqlite" {
		return true
	}
	probe := &gorm.Statement{DB: s.Session(&gorm.Session{NewDB: true}), Table: s.Statement.Table, Schema: s.schema, Context: s.Statement.Context, Clauses: map[string]clause.Clause{}}
	clause.Where{Exprs: slices.Clone(conditions)}.Build(probe)
	return !selects.MatchString(probe.SQL.String())
}
