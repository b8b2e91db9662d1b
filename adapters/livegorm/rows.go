package livegorm

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// rows are rows of the model, as pointers to its type, by the text of their primary keys.
type rows struct {
	keys  []string // in the order in which they were read
	ids   [][]any  // the same as values
	byKey map[string]any
}

// get returns a row, nil if it was not read.
func (r *rows) get(key string) any { return r.byKey[key] }

// add adds rows.
func (r *rows) add(more rows) {
	for i, key := range more.keys {
		r.put(more.ids[i], more.byKey[key])
	}
}

func (r *rows) put(id []any, row any) {
	if r.byKey == nil {
		r.byKey = map[string]any{}
	}
	key := keyText(id)
	if r.byKey[key] == nil {
		r.keys, r.ids = append(r.keys, key), append(r.ids, id)
	}
	r.byKey[key] = row
}

// inOrder returns the keys in the order in which they were given, and then those that the database words otherwise.
func (r *rows) inOrder(given [][]any) []string {
	var all []string
	seen := map[string]bool{}
	add := func(key string) {
		if r.byKey[key] != nil && !seen[key] {
			seen[key] = true
			all = append(all, key)
		}
	}
	for _, key := range given {
		add(keyText(key))
	}
	for _, key := range r.keys {
		add(key)
	}
	return all
}

// query says which rows are read.
type query struct {
	where []clause.Expression
	// unscoped is true for those, too, that are deleted softly.
	unscoped bool
	// lock is the lock that is taken, in the database's words; empty for none.
	lock string
	// limit is how many are read; zero means all.
	limit int
}

// atOnce is how many rows are asked for in one SELECT: databases bound the placeholders of a statement.
const atOnce = 500

// read reads rows of the model as a List of the application would, in the order of their keys, so that those who lock them do not wait for each other.
func (s *statement) read(q query) (rows, error) {
	db := s.Session(&gorm.Session{NewDB: true}).Model(reflect.New(s.schema.ModelType).Interface())
	stmt := db.Statement
	stmt.SkipHooks, stmt.Unscoped = false, q.unscoped
	stmt.Table, stmt.TableExpr = s.Statement.Table, s.Statement.TableExpr
	if len(q.where) > 0 {
		db = db.Clauses(clause.Where{Exprs: slices.Clone(q.where)}) // building it changes its order
	}
	if q.lock != "" {
		db = db.Clauses(clause.Locking{Strength: q.lock})
	}
	if q.limit > 0 {
		db = db.Limit(q.limit)
	}
	for _, f := range s.schema.PrimaryFields {
		db = db.Order(clause.OrderByColumn{Column: s.column(f)})
	}
	found := reflect.New(reflect.SliceOf(reflect.PointerTo(s.schema.ModelType)))
	if err := db.Find(found.Interface()).Error; err != nil {
		return rows{}, fmt.Errorf("livegorm: reading the rows of %s to publish: %w", s.schema.Table, err)
	}
	var read rows
	for i := range found.Elem().Len() {
		row := found.Elem().Index(i)
		id, _ := s.key(row.Elem(), s.schema.PrimaryFields)
		read.put(id, row.Interface())
	}
	return read, nil
}

// readKeys reads rows by the values of fields.
func (s *statement) readKeys(fields []*schema.Field, keys [][]any, q query) (rows, error) {
	var all rows
	for some := range slices.Chunk(keys, atOnce/len(fields)) {
		q.where = []clause.Expression{s.keyed(fields, some)}
		read, err := s.read(q)
		if err != nil {
			return rows{}, err
		}
		all.add(read)
	}
	return all, nil
}

// keyed matches rows by the values of fields. Not every database compares tuples.
func (s *statement) keyed(fields []*schema.Field, keys [][]any) clause.Expression {
	if len(fields) == 1 {
		values := make([]any, len(keys))
		for i, key := range keys {
			values[i] = key[0]
		}
		return clause.IN{Column: s.column(fields[0]), Values: values}
	}
	each := make([]clause.Expression, len(keys))
	for i, key := range keys {
		parts := make([]clause.Expression, len(fields))
		for j, f := range fields {
			parts[j] = clause.Eq{Column: s.column(f), Value: key[j]}
		}
		each[i] = clause.And(parts...)
	}
	return clause.And(clause.Or(each...))
}

func (s *statement) column(f *schema.Field) clause.Column {
	return clause.Column{Table: clause.CurrentTable, Name: f.DBName}
}

// key returns the values of fields in a row; it is false if all of them are zero.
func (s *statement) key(row reflect.Value, fields []*schema.Field) (key []any, ok bool) {
	for _, f := range fields {
		value, zero := f.ValueOf(s.Statement.Context, row)
		key = append(key, value)
		ok = ok || !zero
	}
	return key, ok && len(key) > 0
}

// keyText tells keys apart.
func keyText(key []any) string {
	text := ""
	for _, value := range key {
		if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer && !v.IsNil() {
			value = v.Elem().Interface()
		}
		text += fmt.Sprintf("%q", fmt.Sprint(value))
	}
	return text
}

// given returns the rows that a statement was given as Go values, each as a struct, and false if some were not.
func (s *statement) given(v reflect.Value) (given []reflect.Value, ok bool) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil, false
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			more, ok := s.given(v.Index(i))
			if !ok {
				return nil, false
			}
			given = append(given, more...)
		}
		return given, true
	case reflect.Struct:
		return []reflect.Value{v}, v.Type() == s.schema.ModelType
	}
	return nil, false
}

// keysOf returns the primary keys of the given rows that have one.
func (s *statement) keysOf(given []reflect.Value, fields []*schema.Field) (keys [][]any) {
	for _, row := range given {
		if key, ok := s.key(row, fields); ok {
			keys = append(keys, key)
		}
	}
	return keys
}
