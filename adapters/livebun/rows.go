package livebun

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

// rows are rows of the type, as pointers to it, by the text of their primary keys.
type rows struct {
	keys  []string // in the order in which they were read
	byKey map[string]reflect.Value
}

func (r *rows) row(key string) (reflect.Value, bool) {
	row, ok := r.byKey[key]
	return row, ok
}

func (r *rows) put(key string, row reflect.Value) {
	if r.byKey == nil {
		r.byKey = map[string]reflect.Value{}
	}
	if _, twice := r.byKey[key]; !twice {
		r.keys = append(r.keys, key)
	}
	r.byKey[key] = row
}

// structs returns the rows, for their keys.
func (r *rows) structs() (all []reflect.Value) {
	for _, key := range r.keys {
		all = append(all, r.byKey[key])
	}
	return all
}

// text tells the keys of rows apart.
func (s *statement) text(row reflect.Value) (text string) {
	for _, pk := range s.table.PKs {
		value := pk.Value(row.Elem())
		for value.Kind() == reflect.Pointer && !value.IsNil() {
			value = value.Elem()
		}
		text += fmt.Sprintf("%q", fmt.Sprint(value.Interface()))
	}
	return text
}

// read reads rows of the type as a List of the application would, but those that are deleted softly, too, in the order of their keys, so that those
// who lock them do not wait for each other.
func (s *statement) read(ctx context.Context, limit int, lock bool, which func(*bun.SelectQuery)) (read rows, err error) {
	found := reflect.New(reflect.SliceOf(reflect.PointerTo(s.table.Type)))
	q := s.db.NewSelect().Conn(s.tx).Model(found.Interface())
	which(q)
	if s.table.SoftDeleteField != nil {
		q.WhereAllWithDeleted()
	}
	for _, pk := range s.table.PKs {
		q.OrderExpr("?TableAlias.?", bun.Ident(pk.Name))
	}
	if limit > 0 {
		q.Limit(int64(limit))
	}
	if lock && s.db.Dialect().Name() == dialect.PG {
		if s.kind == deletes {
			q.For("UPDATE")
		} else {
			q.For("NO KEY UPDATE")
		}
	}
	if err := q.Scan(ctx); err != nil {
		return rows{}, fmt.Errorf("livebun: reading the rows of %s to publish: %w", s.table.Name, err)
	}
	for i := range found.Elem().Len() {
		row := found.Elem().Index(i)
		read.put(s.text(row), row)
	}
	return read, nil
}

// atOnce is how many rows are asked for in one SELECT.
const atOnce = 500

// readKeys reads rows by the primary keys of some.
func (s *statement) readKeys(ctx context.Context, keys []reflect.Value, lock bool) (all rows, err error) {
	for some := range slices.Chunk(keys, atOnce) {
		read, err := s.read(ctx, 0, lock, func(q *bun.SelectQuery) {
			q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
				for _, row := range some {
					q.WhereGroup(" OR ", func(q *bun.SelectQuery) *bun.SelectQuery {
						for _, pk := range s.table.PKs {
							q.Where("?TableAlias.? = ?", bun.Ident(pk.Name), pk.Value(row.Elem()).Interface())
						}
						return q
					})
				}
				return q
			})
		})
		if err != nil {
			return rows{}, err
		}
		for _, key := range read.keys {
			all.put(key, read.byKey[key])
		}
	}
	return all, nil
}

// structs returns the rows that the query was given, as pointers. It is false if it was given something else, or one has no primary key.
func (s *statement) structs() (all []reflect.Value, ok bool) {
	all, ok = s.collect(nil, reflect.ValueOf(s.value))
	for _, row := range all {
		for _, pk := range s.table.PKs {
			ok = ok && (len(s.table.PKs) > 1 || !pk.HasZeroValue(row.Elem()))
		}
	}
	return all, ok && len(all) > 0
}

func (s *statement) collect(all []reflect.Value, v reflect.Value) ([]reflect.Value, bool) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil, false
		}
		v = v.Elem()
	}
	switch {
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			var ok bool
			if all, ok = s.collect(all, v.Index(i)); !ok {
				return nil, false
			}
		}
		return all, true
	case v.Type() == s.table.Type && v.CanAddr():
		return append(all, v.Addr()), true
	}
	return nil, false
}

// returned returns rows of which the primary keys alone are set, as a statement returned them. It is false if it did not.
func (s *statement) returned(r *recorded) (all []reflect.Value, ok bool) {
	if r == nil {
		return nil, false
	}
	columns := make([]int, len(s.table.PKs))
	for i, pk := range s.table.PKs {
		if columns[i] = slices.Index(r.columns, pk.Name); columns[i] < 0 {
			return nil, false
		}
	}
	for _, values := range r.rows {
		row := reflect.New(s.table.Type)
		for i, pk := range s.table.PKs {
			if err := pk.ScanValue(row.Elem(), values[columns[i]]); err != nil {
				return nil, false
			}
		}
		all = append(all, row)
	}
	return all, true
}
