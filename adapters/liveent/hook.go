package liveent

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// probe finds out in which transaction a client is: it is in the context of its statements, and the transaction answers.
type probe struct {
	tx *tx
	// inserts is set when a statement was an INSERT, upsert when it may write rows which are there.
	inserts, upsert bool
}

type probeKey struct{ driver *Driver }

// sees answers a probe.
func (t *tx) sees(ctx context.Context, query string) {
	inserts := strings.HasPrefix(query, "INSERT ")
	upsert := inserts && (strings.Contains(query, " ON CONFLICT") || strings.Contains(query, " ON DUPLICATE KEY"))
	if upsert {
		t.driver.upserts.Add(1)
	}
	if p, ok := ctx.Value(probeKey{t.driver}).(*probe); ok {
		p.tx, p.inserts, p.upsert = t, p.inserts || inserts, p.upsert || upsert
	}
}

// Hook returns the hook for the generated client: client.Use(driver.Hook()).
func (d *Driver) Hook() ent.Hook {
	return func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (value ent.Value, err error) {
			if ctx.Value(skipKey{}) != nil || live.Suppressed(ctx) {
				return next.Mutate(ctx, m)
			}
			mu, routed, err := d.mutation(m)
			if err != nil {
				return nil, err
			}
			if !routed {
				return next.Mutate(ctx, m)
			}
			if mu.inTx() || d.runningIn(ctx) != nil {
				return mu.run(ctx, next)
			}
			r := &running{driver: d, ctx: ctx}
			err = r.end(func() error {
				value, err = mu.run(r.in(ctx), next)
				return err
			})
			if err != nil {
				return nil, err
			}
			return value, nil
		})
	}
}

type skipKey struct{}

// Skip returns a context with which the hook does not see what is written. It is for writes of many rows, of which the application tells
// the router itself, with ChangedWhere.
func Skip(ctx context.Context) context.Context { return context.WithValue(ctx, skipKey{}, true) }

// mutation is one of a type that has a router. Its methods are those of generated code, whose types this cannot know.
type mutation struct {
	ent.Mutation
	driver *Driver
	self   reflect.Value
	// nodes is the client of the type, as in client.Todo.
	nodes reflect.Value
	model live.Model
}

// mutation returns a mutation, false if its type has no router.
func (d *Driver) mutation(m ent.Mutation) (mu *mutation, routed bool, err error) {
	mu = &mutation{Mutation: m, driver: d, self: reflect.ValueOf(m)}
	defer func() {
		if p := recover(); p != nil { // of reflect: something is not there, or of another form
			err = fmt.Errorf("liveent: the generated code for %s is not as ent v0.14 generates it: %v", m.Type(), p)
		}
	}()
	client := mu.self.MethodByName("Client").Call(nil)[0]
	mu.nodes = client.Elem().FieldByName(m.Type())
	list := mu.nodes.MethodByName("Query").Type().Out(0)
	all, ok := list.MethodByName("All")
	if !ok {
		return nil, false, fmt.Errorf("liveent: the generated query of %s has no All", m.Type())
	}
	mu.model, routed = d.hub.Model(reflect.Zero(all.Type.Out(0).Elem()).Interface())
	return mu, routed, nil
}

// inTx reports whether it is of a client of client.Tx.
func (m *mutation) inTx() bool { return m.self.MethodByName("Tx").Call(nil)[1].IsNil() }

// run does the mutation with what is read before and after it, and publishes what it wrote.
func (m *mutation) run(ctx context.Context, next ent.Mutator) (ent.Value, error) {
	p := &probe{}
	ctx = context.WithValue(ctx, probeKey{m.driver}, p)
	var was rows
	exact := true
	if !m.Op().Is(ent.OpCreate) {
		var err error
		if was, exact, err = m.before(ctx); err != nil {
			return nil, err
		}
		if p.tx == nil {
			return nil, ErrUnseen
		}
	}
	upserts := m.driver.upserts.Load()
	value, err := next.Mutate(ctx, m.Mutation)
	if err != nil {
		return value, err
	}
	if m.Op().Is(ent.OpCreate) {
		was = rows{ids: []any{id(reflect.ValueOf(value))}}
		// Of several rows at once the statement has the context of the last. The id of a row that was there is not always known.
		upsert := p.upsert || !p.inserts && m.driver.upserts.Load() != upserts
		exact = !upsert
	}
	if n, ok := value.(int); ok && exact {
		if n == 0 {
			return value, nil
		}
		exact = n == len(was.ids)
	}
	now, err := m.read(ctx, was.ids, "") // in any case: that is how the transaction is found
	if err != nil {
		return nil, err
	}
	if p.tx == nil {
		return nil, ErrUnseen
	}
	if !exact {
		return value, m.any(p.tx.in(ctx))
	}
	if err := m.tell(p.tx.in(ctx), was, now); err != nil {
		return nil, err
	}
	return value, nil
}

// any publishes that any row may have changed.
func (m *mutation) any(ctx context.Context) error { return m.model.ChangedWhere(ctx, where.Where{}) }

// tell publishes what became of rows.
func (m *mutation) tell(ctx context.Context, was, now rows) error {
	for _, id := range was.ids {
		before, after := was.byID[text(id)], now.byID[text(id)]
		var err error
		switch {
		case before != nil && after != nil:
			err = m.model.Updated(ctx, before, after)
		case before != nil:
			err = m.model.Deleted(ctx, before)
		case after != nil:
			err = m.model.Created(ctx, after)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// before reads the rows that it will write. It is not exact if there are too many, or if they are not for sure those that it will find.
func (m *mutation) before(ctx context.Context) (was rows, exact bool, err error) {
	ids, err := m.ids(ctx)
	if err != nil || len(ids) > cmp.Or(m.driver.MaxRows, defaultMaxRows) {
		return rows{}, false, err
	}
	if was, err = m.read(ctx, ids, m.driver.Dialect()); err != nil {
		return rows{}, false, err
	}
	if m.Op().Is(ent.OpUpdateOne|ent.OpDeleteOne) || m.driver.Dialect() == dialect.SQLite {
		return was, true, nil
	}
	// They are locked now. Those that match still are what it finds, and more that come to match show in their number.
	again, err := m.ids(ctx)
	return was, len(again) == len(was.ids) && slices.EqualFunc(sorted(again), sorted(was.ids), func(a, b any) bool { return text(a) == text(b) }), err
}

func sorted(ids []any) []any {
	return slices.SortedFunc(slices.Values(ids), func(a, b any) int { return cmp.Compare(text(a), text(b)) })
}

// ids asks which rows it will write.
func (m *mutation) ids(ctx context.Context) (ids []any, err error) {
	answer := m.self.MethodByName("IDs").Call([]reflect.Value{reflect.ValueOf(ctx)})
	if err, _ := answer[1].Interface().(error); err != nil {
		return nil, err
	}
	for i := range answer[0].Len() {
		ids = append(ids, answer[0].Index(i).Interface())
	}
	return ids, nil
}

// rows are nodes, as pointers, by the text of their ids.
type rows struct {
	ids  []any // in the order in which they were read
	byID map[string]any
}

func text(id any) string { return fmt.Sprint(id) }

// id returns the id of a node.
func id(node reflect.Value) any { return node.Elem().FieldByName("ID").Interface() }

// read reads rows as the application does, with its interceptors; lock is the dialect of which they are to be locked.
func (m *mutation) read(ctx context.Context, ids []any, lock string) (read rows, err error) {
	read.byID = map[string]any{}
	if len(ids) == 0 {
		// It asks all the same: that is how the transaction is found.
		ids = []any{}
	}
	column := cmp.Or(m.driver.IDColumns[m.Type()], "id")
	query := m.nodes.MethodByName("Query").Call(nil)[0]
	condition := query.MethodByName("Where").Type().In(0).Elem()
	query.MethodByName("Where").Call([]reflect.Value{reflect.ValueOf(func(s *sql.Selector) {
		s.Where(sql.In(s.C(column), ids...))
		s.OrderBy(s.C(column))
		if lock == dialect.Postgres || lock == dialect.MySQL {
			s.ForUpdate()
		}
	}).Convert(condition)})
	answer := query.MethodByName("All").Call([]reflect.Value{reflect.ValueOf(ctx)})
	if err, _ := answer[1].Interface().(error); err != nil {
		return rows{}, fmt.Errorf("liveent: reading the rows of %s to publish: %w", m.Type(), err)
	}
	for i := range answer[0].Len() {
		node := answer[0].Index(i)
		key := id(node)
		read.ids = append(read.ids, key)
		read.byID[text(key)] = node.Interface()
	}
	return read, nil
}
