package live_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/swampline/live/broker"
)

// ledger is a database for the tests of transactions: its rows are the words that were put into it, with "PUT word", and it knows savepoints.
// It is an outbox, too, whose entries go to relay after the commit.
type ledger struct {
	db  *sql.DB
	max int // how large an entry of the outbox may be

	mu       sync.Mutex
	rows     []string
	steps    []string // what was asked of it, but for PUT
	fail     func(statement string) error
	relay    func(data []byte)
	appended int
	wakes    int
}

func newLedger(t *testing.T) *ledger {
	l := &ledger{max: 1 << 20, fail: func(string) error { return nil }, relay: func([]byte) {}}
	l.db = sql.OpenDB(ledgerConnector{l})
	t.Cleanup(func() { l.db.Close() })
	return l
}

// AppendTx is that of broker.TxAppender.
func (l *ledger) AppendTx(ctx context.Context, tx broker.Execer, data []byte) error {
	if len(data) > l.max {
		return broker.ErrTooLarge
	}
	l.appended++
	_, err := tx.ExecContext(ctx, "OUTBOX", data)
	return err
}

// Wake is that of broker.Waker.
func (l *ledger) Wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakes++
}

// failing makes statements fail that begin with a text.
func (l *ledger) failing(prefix string, err error) {
	l.fail = func(statement string) error {
		if strings.HasPrefix(statement, prefix) {
			return err
		}
		return nil
	}
}

func (l *ledger) step(what string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !strings.HasPrefix(what, "PUT") {
		l.steps = append(l.steps, what)
	}
	return l.fail(what)
}

// holds are the rows that were committed, in order.
func (l *ledger) holds() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.rows, " ")
}

// put stores a row in a transaction.
func put(ctx context.Context, tx *sql.Tx, row string) error {
	_, err := tx.ExecContext(ctx, "PUT "+row)
	return err
}

type ledgerConnector struct{ *ledger }

func (c ledgerConnector) Connect(context.Context) (driver.Conn, error) {
	return &ledgerConn{ledger: c.ledger}, nil
}
func (c ledgerConnector) Driver() driver.Driver { return nil }

// ledgerConn is a connection: marks are the savepoints of its transaction, as what was written before them.
type ledgerConn struct {
	*ledger
	written []any // a row's word, or an entry's []byte
	marks   []ledgerMark
}

type ledgerMark struct {
	name    string
	written int
}

func (c *ledgerConn) Prepare(string) (driver.Stmt, error) {
	return nil, errors.New("there are no statements")
}
func (c *ledgerConn) Close() error { return nil }
func (c *ledgerConn) Begin() (driver.Tx, error) {
	c.written, c.marks = nil, nil
	return c, c.step("BEGIN")
}

func (c *ledgerConn) Commit() error {
	if err := c.step("COMMIT"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.written {
		switch w := w.(type) {
		case string:
			c.rows = append(c.rows, w)
		case []byte:
			c.relay(w)
		}
	}
	return nil
}

func (c *ledgerConn) Rollback() error { return c.step("ROLLBACK") }

func (c *ledgerConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.step(query); err != nil {
		return nil, err
	}
	words := strings.Fields(query)
	mark := slices.IndexFunc(c.marks, func(m ledgerMark) bool { return m.name == words[len(words)-1] })
	switch {
	case words[0] == "PUT":
		c.written = append(c.written, words[1])
	case words[0] == "OUTBOX":
		c.written = append(c.written, slices.Clone(args[0].Value.([]byte)))
	case words[0] == "SAVEPOINT":
		c.marks = append(c.marks, ledgerMark{words[1], len(c.written)})
	case mark < 0:
		return nil, fmt.Errorf("no such savepoint: %s", query)
	case words[0] == "RELEASE":
		c.marks = c.marks[:mark]
	case words[0] == "ROLLBACK":
		c.written, c.marks = c.written[:c.marks[mark].written], c.marks[:mark+1]
	}
	return driver.ResultNoRows, nil
}

var (
	_ driver.ExecerContext = (*ledgerConn)(nil)
	_ broker.TxAppender    = (*ledger)(nil)
)

func goexit() { runtime.Goexit() }
