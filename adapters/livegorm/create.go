package livegorm

import (
	"context"
	"reflect"

	"github.com/swampline/live/where"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// any says that any row of the model may have changed.
func (s *statement) any(ctx context.Context) error { return s.model.ChangedWhere(ctx, where.Where{}) }

// planCreate publishes rows that are inserted.
func planCreate(s *statement) (func(ctx context.Context) error, error) {
	given, ok := s.given(s.Statement.ReflectValue)
	if !ok || len(s.schema.PrimaryFields) == 0 {
		return s.any, nil // of maps nobody knows the keys
	}
	if c, ok := s.Statement.Clauses["ON CONFLICT"]; ok {
		conflict, _ := c.Expression.(clause.OnConflict)
		return s.planUpsert(given, conflict)
	}
	return func(ctx context.Context) error {
		keys := s.keysOf(given, s.schema.PrimaryFields)
		if len(keys) < len(given) {
			return s.any(ctx) // the database did not say under which
		}
		now, err := s.readKeys(s.schema.PrimaryFields, keys, query{})
		if err != nil {
			return err
		}
		for _, key := range now.inOrder(keys) {
			if err := s.model.Created(ctx, now.get(key)); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// upsert is an INSERT that may find rows that are there.
type upsert struct {
	*statement
	given []reflect.Value
	// target are the fields by which it finds them.
	target []*schema.Field
	// onKey says that these are the primary key.
	onKey bool
	// fresh are the given rows that had no key: they cannot be there, as far as the key is concerned.
	fresh map[int]bool
	// was are those that were there, before are those of them that were not deleted softly.
	was, before rows
	// nothing says that rows that are there stay as they are.
	nothing bool
}

func (s *statement) planUpsert(given []reflect.Value, conflict clause.OnConflict) (func(ctx context.Context) error, error) {
	u := &upsert{statement: s, given: given, fresh: map[int]bool{}, nothing: conflict.DoNothing}
	if conflict.OnConstraint != "" && !conflict.DoNothing {
		return s.any, nil // which columns it has only the database knows
	}
	u.target, u.onKey = s.schema.PrimaryFields, true
	if len(conflict.Columns) > 0 && !conflict.DoNothing {
		u.target = nil
		for _, column := range conflict.Columns {
			f := s.schema.LookUpField(column.Name)
			if f == nil {
				return s.any, nil
			}
			u.target = append(u.target, f)
			u.onKey = u.onKey && f.PrimaryKey
		}
	}
	for i, row := range given {
		if _, ok := s.key(row, s.schema.PrimaryFields); !ok {
			u.fresh[i] = true
		}
	}
	var err error
	if u.was, err = s.readKeys(u.target, u.targets(), query{unscoped: true, lock: s.lock("NO KEY UPDATE")}); err != nil {
		return nil, err
	}
	u.before, err = s.visible(u.was)
	return u.tell, err
}

// targets returns the values by which rows are found that may be there.
func (u *upsert) targets() [][]any {
	if u.onKey {
		return u.keysOf(u.given, u.target)
	}
	keys := make([][]any, len(u.given))
	for i, row := range u.given {
		keys[i], _ = u.key(row, u.target) // an empty value is one, too
	}
	return keys
}

// tell publishes the rows as they are now. Of one that was not there it cannot be known whether somebody else has inserted it meanwhile, unless the
// database has given it its key.
func (u *upsert) tell(ctx context.Context) error {
	if _, returning := u.Statement.Clauses["RETURNING"]; len(u.fresh) > 0 && !returning {
		return u.any(ctx) // what the database says of the last key is not of these rows
	}
	now, err := u.readKeys(u.target, u.targets(), query{})
	if err != nil {
		return err
	}
	if !u.onKey { // what finds them may be what it sets
		after, err := u.readKeys(u.schema.PrimaryFields, u.was.ids, query{})
		if err != nil {
			return err
		}
		now.add(after)
	}
	inserted := map[string]bool{}
	for i := range u.fresh {
		if key, ok := u.key(u.given[i], u.schema.PrimaryFields); ok && (u.onKey || u.nothing) {
			inserted[keyText(key)] = true
		}
	}
	for _, key := range u.was.keys {
		if err := u.changed(ctx, u.before.get(key), now.get(key)); err != nil {
			return err
		}
	}
	for _, key := range now.keys {
		if u.was.get(key) != nil {
			continue
		}
		tell := u.model.Changed
		if inserted[key] {
			tell = u.model.Created
		}
		if err := tell(ctx, now.get(key)); err != nil {
			return err
		}
	}
	return nil
}
