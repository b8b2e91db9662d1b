package livebun

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/uptrace/bun"

	"github.com/swampline/live"
)

// ErrUnseen says that a row was to be written where nobody would learn whether it is committed. It was not written.
var ErrUnseen = errors.New("livebun: the end of this transaction would not be seen: begin it with RunInTx of the hook or with live.Tx, " +
	"give savepoints a ctx of it, or write with livebun.Skip")

// Hook publishes what is written through bun. Make it with New, give it to WithQueryHook of one or several DBs, and do not change it afterwards.
// Its methods may be called by any goroutine.
type Hook struct {
	// MaxRows is how many rows of a statement are published one by one; one that writes more is published as a change of any row. Zero
	// means 100.
	MaxRows int

	hub *live.Hub

	mu sync.Mutex
	// open are the transactions that RunInTx runs, by the address of their *sql.Tx.
	open map[uintptr]*transaction
}

var _ bun.QueryHook = (*Hook)(nil)

const defaultMaxRows = 100

// New returns a hook that publishes on the routers of hub, which may be registered later.
func New(hub *live.Hub) *Hook { return &Hook{hub: hub, open: map[uintptr]*transaction{}} }

// Init is called by WithQueryHook. It panics if the hook is of no use.
func (h *Hook) Init(db *bun.DB) {
	if h.hub == nil {
		panic("livebun: the hook has no hub: make it with livebun.New")
	}
	if h.MaxRows < 0 {
		panic("livebun: MaxRows is negative: say how many rows of a statement are published one by one, or leave it zero for 100")
	}
	for _, q := range []bun.Query{db.NewInsert(), db.NewUpdate(), db.NewDelete(), db.NewMerge(), db.NewTruncateTable()} {
		if _, ok := connOf(q); !ok {
			panic(fmt.Sprintf("livebun: in bun %s it cannot be seen on which connection a %T runs: use the version that is in livebun's go.mod", bun.Version(), q))
		}
	}
}

// connOf returns the connection on which a query runs: a nil one for the DB. Bun tells nobody, so its field is looked at; its value is never
// taken, only its type and address.
func connOf(q bun.Query) (reflect.Value, bool) {
	v := reflect.ValueOf(q)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}, false
	}
	conn := v.Elem().FieldByName("conn")
	return conn, conn.IsValid() && conn.Type() == reflect.TypeFor[bun.IConn]()
}

// setConn changes on which connection a query runs, and reports whether it is of a kind that writes rows.
func setConn(q bun.Query, to bun.IConn) bool {
	switch q := q.(type) {
	case *bun.InsertQuery:
		q.Conn(to)
	case *bun.UpdateQuery:
		q.Conn(to)
	case *bun.DeleteQuery:
		q.Conn(to)
	case *bun.MergeQuery:
		q.Conn(to)
	case *bun.TruncateTableQuery:
		q.Conn(to)
	default:
		return false
	}
	return true
}

type skipKey struct{}

// Skip returns a context with which the hook does not see what is written. It is for writes of many rows, of which the application tells
// the router itself, with ChangedWhere.
func Skip(ctx context.Context) context.Context { return context.WithValue(ctx, skipKey{}, true) }

// BeforeQuery is called by bun. It puts a connection of the hook's own in the place of that of a query which writes rows of a router: as bun
// asks for the connection after this, what is done around the statement can fail it.
func (h *Hook) BeforeQuery(ctx context.Context, event *bun.QueryEvent) context.Context {
	if event.IQuery == nil {
		return h.beforeRaw(ctx, event)
	}
	model, ok := event.Model.(bun.TableModel)
	if !ok || ctx.Value(skipKey{}) != nil || live.Suppressed(ctx) {
		return ctx
	}
	switch event.IQuery.(type) {
	case *bun.InsertQuery, *bun.UpdateQuery, *bun.DeleteQuery, *bun.MergeQuery, *bun.TruncateTableQuery:
	default:
		return ctx
	}
	router, ok := h.hub.Model(reflect.New(model.Table().Type).Interface())
	if !ok {
		return ctx
	}
	s := &statement{hook: h, db: event.DB, query: event.IQuery, value: model.Value(), table: model.Table(), model: router}
	if !s.parse(event.Query) {
		return ctx
	}
	if before, ours := h.place(ctx, s); !ours {
		event.Stash = stash(event.Stash, h, before)
	}
	return ctx
}

func stash(all map[any]any, key, value any) map[any]any {
	if all == nil {
		all = map[any]any{}
	}
	all[key] = value
	return all
}

// restore puts back the connection that a query had.
type restore func()

// place puts a connection in the place of that of a statement, unless one is there already, as when a DB has the hook twice.
func (h *Hook) place(ctx context.Context, s *statement) (restore, bool) {
	field, _ := connOf(s.query) // Init has looked
	if field.IsNil() {
		setConn(s.query, &conn{statement: s})
		return func() { setConn(s.query, nil) }, false
	}
	switch at := field.Elem(); at.Type() {
	case reflect.TypeFor[*conn](), reflect.TypeFor[refused]():
		return nil, true
	case reflect.TypeFor[*sql.DB]():
		if at.Pointer() == reflect.ValueOf(s.db.DB).Pointer() {
			setConn(s.query, &conn{statement: s})
			return func() { setConn(s.query, s.db.DB) }, false
		}
	case reflect.TypeFor[*sql.Tx]():
		if t := h.running(at.Pointer()); t != nil {
			setConn(s.query, &conn{statement: s, in: t, tx: t.tx.Tx})
			return func() { setConn(s.query, t.tx.Tx) }, false
		}
		if tx, ok := live.TxOf(ctx, s.db.DB); ok && reflect.ValueOf(tx).Pointer() == at.Pointer() {
			setConn(s.query, &conn{statement: s, tx: tx})
			return func() { setConn(s.query, tx) }, false
		}
	}
	// What was there cannot be put back, as it is not known: the query stays refused.
	setConn(s.query, refused{fmt.Errorf("%w (a query of %s on a connection of type %s)", ErrUnseen, s.table.Name, field.Elem().Type())})
	return nil, true
}

// running returns a transaction of RunInTx by the address of its *sql.Tx, nil if it is none.
func (h *Hook) running(address uintptr) *transaction {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open[address]
}

// AfterQuery is called by bun.
func (h *Hook) AfterQuery(ctx context.Context, event *bun.QueryEvent) {
	if event.IQuery == nil {
		h.afterRaw(ctx, event)
		return
	}
	if back, ok := event.Stash[h].(restore); ok {
		back()
	}
}

// refused is a connection that does nothing.
type refused struct{ err error }

func (r refused) ExecContext(context.Context, string, ...any) (sql.Result, error) { return nil, r.err }

func (r refused) QueryContext(context.Context, string, ...any) (*sql.Rows, error) { return nil, r.err }

// QueryRowContext is there for the interface: no query that writes uses it.
func (r refused) QueryRowContext(context.Context, string, ...any) *sql.Row { panic(r.err) }
