package livebun

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
)

// recorded are rows that a statement returned.
type recorded struct {
	columns []string
	types   []*sql.ColumnType
	rows    [][]any
}

// record reads all rows, and closes them.
func record(rows *sql.Rows) (_ *recorded, err error) {
	defer rows.Close()
	r := &recorded{}
	if r.columns, err = rows.Columns(); err != nil {
		return nil, err
	}
	if r.types, err = rows.ColumnTypes(); err != nil {
		return nil, err
	}
	for rows.Next() {
		values, into := make([]any, len(r.columns)), make([]any, len(r.columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		r.rows = append(r.rows, values)
	}
	return r, errors.Join(rows.Err(), rows.Close())
}

// replay returns the rows as if the database had just returned them. An *sql.Rows can only be made by database/sql, so there is a driver
// that knows one answer.
func (r *recorded) replay(ctx context.Context) (*sql.Rows, error) {
	db := sql.OpenDB(answer{r})
	defer db.Close() // what is being read can be read to its end
	return db.QueryContext(ctx, "")
}

// answer is a database in which each query returns the same rows.
type answer struct{ *recorded }

var (
	_ driver.Connector      = answer{}
	_ driver.QueryerContext = answer{}
)

var errAnswer = errors.New("livebun: these rows can only be read")

func (a answer) Connect(context.Context) (driver.Conn, error) { return a, nil }

func (a answer) Driver() driver.Driver { return a }

func (a answer) Open(string) (driver.Conn, error) { return a, nil }

func (a answer) Prepare(string) (driver.Stmt, error) { return nil, errAnswer }

func (a answer) Begin() (driver.Tx, error) { return nil, errAnswer }

func (a answer) Close() error { return nil }

func (a answer) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &replayed{recorded: a.recorded}, nil
}

// replayed are recorded rows, read up to some.
type replayed struct {
	*recorded
	next int
}

func (r *replayed) Columns() []string { return r.columns }

func (r *replayed) Close() error { return nil }

func (r *replayed) Next(into []driver.Value) error {
	if r.next == len(r.rows) {
		return io.EOF
	}
	for i, value := range r.rows[r.next] {
		into[i] = value
	}
	r.next++
	return nil
}

func (r *replayed) ColumnTypeDatabaseTypeName(i int) string { return r.types[i].DatabaseTypeName() }

func (r *replayed) ColumnTypeScanType(i int) reflect.Type { return r.types[i].ScanType() }

func (r *replayed) ColumnTypeNullable(i int) (nullable, ok bool) { return r.types[i].Nullable() }

func (r *replayed) ColumnTypeLength(i int) (length int64, ok bool) { return r.types[i].Length() }

func (r *replayed) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	return r.types[i].DecimalSize()
}
