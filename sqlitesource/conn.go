package sqlitesource

import (
	"context"
	"database/sql/driver"
	"io"

	"modernc.org/sqlite"
)

// innerConn is what a connection of modernc.org/sqlite can do, also for those who ask for it with sql.Conn.Raw.
type innerConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	sqlite.HookRegisterer
	Serialize() ([]byte, error)
	Deserialize(buf []byte) error
	NewBackup(dstUri string) (*sqlite.Backup, error)
	NewRestore(srcUri string) (*sqlite.Backup, error)
}

// conn is a connection that notes what it changes. database/sql lets one goroutine use it at a time, and SQLite calls the hooks on
// that one.
type conn struct {
	innerConn
	source *Source
	// tables are those of the source, as it was when the last call began, and columns where they have their keys, with how many
	// columns they had when that was looked up.
	tables  *map[string]*table
	columns map[*table]place
	unknown map[*table]struct{} // tables that have to be looked at

	// open is what the open transaction has changed, and committing what SQLite said that it would commit.
	open, committing changes
	silent           bool // the statement that runs is published by somebody else
}

type place struct{ key, count int }

// listen registers the hooks. Those who register hooks of their own with sql.Conn.Raw take the connection from the source.
func (s *Source) listen(inner innerConn) *conn {
	c := &conn{innerConn: inner, source: s, tables: &map[string]*table{}, columns: map[*table]place{}, unknown: map[*table]struct{}{}, open: changes{}, committing: changes{}}
	inner.RegisterPreUpdateHook(c.changed)
	inner.RegisterCommitHook(func() int32 {
		c.committing.add(c.open, s.options.MaxRows)
		c.open = changes{}
		return 0
	})
	inner.RegisterRollbackHook(func() { c.open = changes{} })
	return c
}

// changed notes the keys of a row that is about to change. A hook must not run statements.
func (c *conn) changed(d sqlite.SQLitePreUpdateData) {
	if c.silent || d.DatabaseName != "main" {
		return
	}
	t := (*c.tables)[fold(d.TableName)]
	if t == nil {
		return
	}
	keys := c.open.of(t)
	if keys.all {
		return
	}
	at, known := c.columns[t]
	if !known || at.count != d.Count() {
		c.unknown[t] = struct{}{}
		keys.every()
		return
	}
	for _, read := range []func(...any) error{d.Old, d.New} {
		row := make([]any, at.key+1)
		if read(row...) != nil { // there is none: it is an insert or a delete
			continue
		}
		key, err := t.keyOf(row[at.key])
		if err != nil {
			keys.every()
			return
		}
		keys.add(key, c.source.options.MaxRows)
	}
}

// settle hands on what was committed, when a call of the driver has ended. After an error nobody knows whether the transaction is still
// open: its rows are read anew, and kept for when it ends.
func (c *conn) settle(err error) {
	if len(c.committing) > 0 {
		done := c.committing
		c.committing = changes{}
		if err != nil {
			c.open.add(done, c.source.options.MaxRows)
		}
		c.source.hand(done)
	}
	for t := range c.unknown {
		delete(c.unknown, t)
		c.look(t)
	}
}

// look finds a table's key. When it cannot, the table is looked at again at its next change.
func (c *conn) look(t *table) {
	rows, err := c.innerConn.QueryContext(context.Background(), "SELECT name FROM pragma_table_info(?, 'main')", []driver.NamedValue{{Ordinal: 1, Value: t.name}})
	if err != nil {
		return
	}
	defer rows.Close()
	at := place{key: -1}
	for row := make([]driver.Value, 1); rows.Next(row) == nil; at.count++ {
		if name, _ := row[0].(string); fold(name) == fold(t.column) {
			at.key = at.count
		}
	}
	if at.key >= 0 {
		c.columns[t] = at
	}
}

// begin looks where the tables that were added since the last call have their keys.
func (c *conn) begin() {
	tables := c.source.tables.Load()
	if tables == c.tables {
		return
	}
	c.tables = tables
	for _, t := range *tables {
		if _, known := c.columns[t]; !known {
			c.look(t)
		}
	}
}

// during runs a call of the driver with a statement's context.
func during[V any](c *conn, ctx context.Context, call func() (V, error)) (V, error) {
	c.begin()
	c.silent = published(ctx)
	v, err := call()
	c.silent = false
	c.settle(err)
	return v, err
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return during(c, ctx, func() (driver.Result, error) { return c.innerConn.ExecContext(ctx, query, args) })
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	r, err := during(c, ctx, func() (driver.Rows, error) { return c.innerConn.QueryContext(ctx, query, args) })
	return c.rows(ctx, r), err
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.innerConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &stmt{s.(innerStmt), c}, nil
}

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	t, err := c.innerConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return tx{t, c}, nil
}

func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// IsValid is called when the connection goes back to the pool.
func (c *conn) IsValid() bool {
	c.settle(nil)
	return c.innerConn.IsValid()
}

type tx struct {
	driver.Tx
	conn *conn
}

func (t tx) Commit() error {
	err := t.Tx.Commit()
	t.conn.settle(err)
	return err
}

func (t tx) Rollback() error {
	err := t.Tx.Rollback()
	t.conn.settle(err)
	return err
}

type innerStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type stmt struct {
	innerStmt
	conn *conn
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return during(s.conn, ctx, func() (driver.Result, error) { return s.innerStmt.ExecContext(ctx, args) })
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	r, err := during(s.conn, ctx, func() (driver.Rows, error) { return s.innerStmt.QueryContext(ctx, args) })
	return s.conn.rows(ctx, r), err
}

// innerRows is what rows of modernc.org/sqlite can do.
type innerRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// rows are those of a statement that may change rows as well, and that commits when it has been read or is closed.
type rows struct {
	innerRows
	conn *conn
	ctx  context.Context
}

func (c *conn) rows(ctx context.Context, r driver.Rows) driver.Rows {
	inner, ok := r.(innerRows)
	if !ok {
		return r
	}
	return &rows{inner, c, ctx}
}

func (r *rows) Next(dest []driver.Value) error {
	r.conn.begin()
	r.conn.silent = published(r.ctx)
	err := r.innerRows.Next(dest)
	r.conn.silent = false
	if err == io.EOF {
		r.conn.settle(nil)
	} else if err != nil {
		r.conn.settle(err)
	}
	return err
}

func (r *rows) Close() error {
	err := r.innerRows.Close()
	r.conn.settle(err)
	return err
}
