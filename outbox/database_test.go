//go:build unix

package outbox

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/where/wheretest/postgres"
	"modernc.org/sqlite"
)

// database is one that the tests of this package share; each takes tables of its own in it.
type database struct {
	dialect Dialect
	source  string
	db      *sql.DB
	tables  *atomic.Int32
}

// The suite runs on each kind of database.
func TestSQLite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "outbox.db")
	suite(t, SQLite, "file:"+file+"?_pragma=busy_timeout(20000)&_pragma=journal_mode(wal)&_pragma=synchronous(off)&_txlock=immediate")
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	suite(t, PostgreSQL, postgres.Start(t))
}

func TestMariaDB(t *testing.T) {
	t.Parallel()
	suite(t, MySQL, startMariaDB(t))
}

func suite(t *testing.T, dialect Dialect, source string) {
	d := database{dialect: dialect, source: source, tables: new(atomic.Int32)}
	d.db = sql.OpenDB(d.connector(t))
	t.Cleanup(func() { d.db.Close() })
	for _, test := range []struct {
		name string
		run  func(*testing.T, database)
	}{
		{"Relay", testRelay},
		{"Drain", testDrain},
		{"Rollback", testRollback},
		{"OpenTransaction", testOpenTransaction},
		{"TooLarge", testTooLarge},
		{"LargeRows", testLargeRows},
		{"BrokerAway", testBrokerAway},
		{"DatabaseAway", testDatabaseAway},
		{"AlikeRows", testAlikeRows},
		{"Expired", testExpired},
		{"Trimmed", testTrimmed},
		{"Lease", testLease},
		{"ClockSetBack", testClockSetBack},
		{"PausedRelay", testPausedRelay},
		{"Stats", testStats},
		{"MigrateAtOnce", testMigrateAtOnce},
		{"ManyRows", testManyRows},
		{"Random", testRandom},
		{"CrashAtEveryStep", testCrashAtEveryStep},
		{"KilledInTurn", testKilledInTurn},
		{"WriterKilled", testWriterKilled},
	} {
		if test.name == "OpenTransaction" && dialect == SQLite {
			continue // there is one writer
		}
		t.Run(test.name, func(t *testing.T) { test.run(t, d) })
	}
}

// connector opens connections to the database.
func (d database) connector(t testing.TB) driver.Connector {
	t.Helper()
	c, err := connect(d.dialect, d.source)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func connect(dialect Dialect, source string) (driver.Connector, error) {
	switch dialect {
	case SQLite:
		return fileConnector(source), nil
	case PostgreSQL:
		config, err := pgx.ParseConfig(source)
		if err != nil {
			return nil, err
		}
		return stdlib.GetConnector(*config), nil
	default:
		config, err := mysql.ParseDSN(source)
		if err != nil {
			return nil, err
		}
		return mysql.NewConnector(config)
	}
}

// fileConnector is the name of a SQLite file.
type fileConnector string

func (f fileConnector) Connect(context.Context) (driver.Conn, error) {
	return f.Driver().Open(string(f))
}
func (f fileConnector) Driver() driver.Driver { return &sqlite.Driver{} }

// options are those of an outbox with tables of its own that the tests wait for no longer than needed.
func (d database) options(t testing.TB) Options {
	return Options{
		Dialect: d.dialect, Table: fmt.Sprintf("box_%d", d.tables.Add(1)), Poll: 20 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(testLog{t}, nil)),
	}
}

// testLog shows what the relay logs when a test fails.
type testLog struct{ t testing.TB }

func (l testLog) Write(line []byte) (int, error) {
	if l.t.Context().Err() == nil { // not after the test
		l.t.Log(strings.TrimSpace(string(line)))
	}
	return len(line), nil
}

// quiet is for relays that fail a hundred times on purpose.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// open returns an outbox whose tables are there.
func open(t testing.TB, db *sql.DB, to broker.Broker, o Options) *Outbox {
	t.Helper()
	box := New(db, to, o)
	if err := box.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return box
}

// run starts a relay, and returns what stops it and waits for it.
func run(t testing.TB, box *Outbox) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := box.Run(ctx); err != context.Canceled {
			t.Errorf("Run = %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// write commits one transaction with some entries.
func write(t testing.TB, box *Outbox, entries ...string) {
	t.Helper()
	tx, err := box.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	appendTx(t, box, tx, entries...)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

func appendTx(t testing.TB, box *Outbox, tx broker.Execer, entries ...string) {
	t.Helper()
	for _, e := range entries {
		if err := box.AppendTx(t.Context(), tx, []byte(e)); err != nil {
			t.Fatal(err)
		}
	}
}

// newLog returns a broker that forgets nothing.
func newLog() *memory.Broker {
	return memory.New(memory.Options{MaxEntries: -1, MaxBytes: -1, MaxAge: -1})
}

// entries waits until the log has so many entries, and returns them all. More than these make the test fail only if they are there already.
func entries(t testing.TB, log broker.Broker, n int) []string {
	t.Helper()
	var all []string
	enough := fmt.Errorf("enough")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if n == 0 {
		head, err := log.Head(ctx)
		if err != nil || head.Major != 0 {
			t.Fatalf("the log's head is %v, %v, and it should have no entry", head, err)
		}
		return nil
	}
	err := log.Follow(ctx, broker.Position{}, func(batch []broker.Entry) error {
		for _, e := range batch {
			all = append(all, string(e.Data))
		}
		if len(all) >= n {
			return enough
		}
		return nil
	})
	if err != enough {
		t.Fatalf("the log has %d entries, want %d: %v", len(all), n, err)
	}
	return all
}

// idle waits until no row is left in the table.
func idle(t testing.TB, box *Outbox) {
	t.Helper()
	until(t, box, "no row is left", func() bool { return count(t, box, "") == 0 })
}

// until waits until something is so.
func until(t testing.TB, box *Outbox, what string, so func() bool) {
	t.Helper()
	for begun := time.Now(); !so(); {
		if time.Since(begun) > time.Minute {
			s, err := box.Stats(t.Context())
			t.Fatalf("after a minute it is not so that %s: %+v, %v", what, s, err)
		}
		pause(t.Context(), 5*time.Millisecond)
	}
}

// count returns how many rows one of the tables has.
func count(t testing.TB, box *Outbox, suffix string) (n int) {
	t.Helper()
	query := "SELECT COUNT(*) FROM " + box.o.Dialect.quote(box.o.Table, suffix)
	if err := box.db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// state reads a number of the row that holds the lease.
func state(t testing.TB, box *Outbox, column string) (n int64) {
	t.Helper()
	query := "SELECT " + column + " FROM " + box.o.Dialect.quote(box.o.Table, "_state")
	if err := box.db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// execute runs a statement on one of the tables, which stands for %s in it.
func execute(t testing.TB, box *Outbox, suffix, statement string) {
	t.Helper()
	if _, err := box.db.ExecContext(t.Context(), fmt.Sprintf(statement, box.o.Dialect.quote(box.o.Table, suffix))); err != nil {
		t.Fatal(err)
	}
}
