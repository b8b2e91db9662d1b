package sqlitesource

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// Captured is a router with the table that its rows are in. Table makes one.
type Captured interface {
	prepare() (*table, error)
}

// Table says that the rows of a router are those of a table of the main database, with their keys in the column of the key field's name.
// The router must be registered.
func Table[T any](r *live.Router[T], name string) Captured { return captured[T]{r, name, ""} }

// TableKey is Table for keys in a column of another name.
func TableKey[T any](r *live.Router[T], name, keyColumn string) Captured {
	return captured[T]{r, name, keyColumn}
}

type captured[T any] struct {
	router       *live.Router[T]
	name, column string
}

// table is what a source does with one router.
type table struct {
	router string
	hub    *live.Hub
	name   string
	column string       // the key's
	key    reflect.Type // of the field

	changedID func(ctx context.Context, keys []live.Key) error
	bulk      func(ctx context.Context) error
}

// fold is how SQLite compares names.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

func (t *table) folded() string { return fold(t.name) }

func (c captured[T]) prepare() (*table, error) {
	if c.router == nil {
		return nil, fmt.Errorf("the table %q has no router", c.name)
	}
	t := &table{router: c.router.Name, hub: c.router.Hub(), name: c.name, column: c.column}
	if t.hub == nil {
		return nil, fmt.Errorf("router %s: it is not registered: call hub.Register before", t.router)
	}
	for _, f := range c.router.StoredFields() {
		if f.Key {
			t.key = f.Type
			if t.column == "" {
				t.column = f.Name
			}
		}
	}
	t.changedID = func(ctx context.Context, keys []live.Key) error { return c.router.ChangedID(ctx, keys...) }
	t.bulk = func(ctx context.Context) error { return c.router.ChangedWhere(ctx, where.Where{}) }
	return t, nil
}

// check looks whether the table has the key's column.
func (t *table) check(ctx context.Context, conn *sql.Conn) error {
	rows, err := conn.QueryContext(ctx, "SELECT name FROM pragma_table_info(?, 'main')", t.name)
	if err != nil {
		return err
	}
	defer rows.Close()
	var there bool
	var columns int
	for ; rows.Next(); columns++ {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		there = there || fold(name) == fold(t.column)
	}
	switch err := rows.Err(); {
	case err != nil:
		return err
	case columns == 0:
		return fmt.Errorf("there is no table %q", t.name)
	case !there:
		return fmt.Errorf("the table %q lacks the column %q of the key: name it with sqlitesource.TableKey", t.name, t.column)
	}
	return nil
}

// keyOf makes a key of a column's value, by the field's type where that reads values itself.
func (t *table) keyOf(value any) (live.Key, error) {
	field := reflect.New(t.key)
	if scanner, ok := field.Interface().(sql.Scanner); ok {
		if err := scanner.Scan(value); err != nil {
			return "", err
		}
		data, err := json.Marshal(field.Interface())
		if err != nil {
			return "", err
		}
		var text string
		if json.Unmarshal(data, &text) != nil {
			text = string(data)
		}
		return live.Key(text), nil
	}
	switch v := value.(type) {
	case int64:
		return live.Key(strconv.FormatInt(v, 10)), nil
	case string:
		return live.Key(v), nil
	case []byte:
		return live.Key(v), nil
	}
	return "", fmt.Errorf("its key is %v, a %T", value, value)
}

// changes are the rows that were changed, by table.
type changes map[*table]*keys

// keys are the rows of one table: all of them, or those named, each once.
type keys struct {
	all   bool
	order []live.Key
	there map[live.Key]struct{}
}

// of returns a table's keys, to be added to.
func (c changes) of(t *table) *keys {
	k := c[t]
	if k == nil {
		k = &keys{there: map[live.Key]struct{}{}}
		c[t] = k
	}
	return k
}

func (k *keys) add(key live.Key, most int) {
	if _, twice := k.there[key]; twice || k.all {
		return
	}
	if len(k.order) == most {
		k.every()
		return
	}
	k.there[key] = struct{}{}
	k.order = append(k.order, key)
}

// every says that any row may have changed.
func (k *keys) every() { *k = keys{all: true} }

// add adds what another transaction changed.
func (c changes) add(more changes, most int) {
	for t, k := range more {
		into := c.of(t)
		if k.all {
			into.every()
		}
		for _, key := range k.order {
			into.add(key, most)
		}
	}
}

// guard makes a panic of the application's funcs an error.
func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}
