// Package outbox lets what is published commit with the application's rows when the log is not in the application's database: with
// Redis, NATS or the memory broker. Entries are written to a table in the application's own transaction, and a relay appends
// them to the broker after the commit.
//
//	box := outbox.New(db, broker, outbox.Options{Dialect: outbox.PostgreSQL})
//	err := box.Migrate(ctx)                                           // or run what outbox.Migration prints
//	hub := live.New(live.Options{Broker: broker, Outbox: box})
//	go box.Run(ctx)                                                   // in every process, or only in some
//
// # What it promises
//
// An entry that was written by a transaction that committed is appended to the broker, however often processes, the database and the
// broker go away, and an entry of a transaction (or of a savepoint) that was rolled back is not.
//
// Entries come to the log in an order that commits explain: those of one transaction as they were written; those of a transaction that
// began when another had committed after those of the other; and those of two transactions that wrote the same row, each before it
// wrote its entry, in the order in which they wrote the row. Concurrent transactions have no other order. Transactions do
// not wait for each other: one that is left open for an hour holds back its own entries and no others.
//
// An entry is on the log once, but for these copies, which hubs skip by the id that each entry carries: one for an Append whose outcome
// was not told and that took effect only after the relay had read the log back; one for a relay that was paused for longer than its lease
// just before it appended; and up to Options.Batch entries where a relay crashed and nobody could take over until the broker's history
// no longer reached back to that crash, or the broker began a new epoch.
//
// # How
//
// The table's ids are given out when rows are written, and rows may become visible in another order. The relay therefore never asks for what
// follows the last id: it takes the first rows by id that there are, appends them one after the other and deletes them. A
// row that commits late is found by the next look, whatever its id. This keeps the order that is promised: when a second transaction
// writes its entry after a first one has committed, its id is greater, as counters only count up; and no look sees the second one's row
// without the first one's, as that was committed before. What is seen first is appended first, what is seen at once in the order of ids. A
// transaction that waits for another's lock on a row goes on after the other has committed, so what it writes then is such a second
// entry, though it began earlier. (The order of transaction ids would not do here, and to wait until all transactions that began earlier
// have ended, as a log with positions must, is not needed where rows are deleted.) SQLite has one writer at a time.
//
// One relay of all that run is at work: the one that holds the lease, a row of the database that is taken by compare-and-set and measured
// by the database's clock, so that it works behind a pool that hands out another connection for each transaction. Rows are deleted only in a
// transaction that finds the lease still held. That transaction also stores the position of the newest entry that was appended. After a crash,
// or any error, the relay reads the log back from that position to its head, and does not append again what it finds there.
//
// # Limits
//
// Causal order needs ids that count up: a cluster in which several servers take writes at once, each with ids of its own (Galera with writes on
// several nodes, group replication with several primaries), keeps the rest of what is promised but not the order between transactions on
// different servers. In PostgreSQL and InnoDB a transaction that is left open for hours keeps deleted rows from being cleaned up, so that each
// look takes longer the more entries were relayed meanwhile. A relay appends one entry after the other, so it carries one entry each round trip
// to the broker.
package outbox

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/swampline/live/broker"
)

// Options say where the outbox is. Only Dialect must be given.
type Options struct {
	// Dialect is the kind of the database.
	Dialect Dialect
	// Table is the name of the table, with or without a schema ("app.outbox"); the default is live_outbox. Two more tables stand beside
	// it, whose names end in _state and _refused. Outboxes for several brokers in one database need several tables.
	Table string
	// MaxEntryBytes bounds the size of an entry, in bytes. It should be the broker's limit, so that what the broker would refuse is refused in the
	// transaction already. The default is 1 MiB; a negative value means no bound.
	MaxEntryBytes int
	// Poll is the longest time between two looks at the table; the default is 200 ms. After something was written in this process, or
	// Wake was called, the relay looks at once and then ever less often, so Poll matters for what other processes write.
	Poll time.Duration
	// Batch bounds the rows that are read, and deleted, at once; the default is 256.
	Batch int
	// Lease is how long after its last sign of life a relay that died keeps others from taking over; the default is 15 s. One that
	// ends with its context gives the lease back at once. A third of it bounds each call of the broker and of the database.
	Lease time.Duration
	// Logger gets what fails and what the broker refuses; the default is slog.Default().
	Logger *slog.Logger
}

// Outbox is a broker.TxAppender that writes to a table, and the relay from there to a broker. Make one with New; the zero Outbox is not
// usable. Its methods may be called from several goroutines at once.
type Outbox struct {
	db  *sql.DB
	to  broker.Broker
	o   Options
	sql statements

	// wake holds a token when something may be there to relay.
	wake chan struct{}

	relaying, appended, found, refused atomic.Int64
}

var (
	_ broker.TxAppender = (*Outbox)(nil)
	_ broker.Waker      = (*Outbox)(nil)
)

// New returns the outbox in db for a broker. It neither opens a connection nor starts a goroutine: Migrate makes the tables, and Run relays.
// It panics when the options cannot work, as they are part of the program.
func New(db *sql.DB, to broker.Broker, o Options) *Outbox {
	if db == nil || to == nil {
		panic("outbox: New needs a database and a broker.")
	}
	o.Table = cmp.Or(o.Table, defaultTable)
	if err := check(o.Dialect, o.Table); err != nil {
		panic("outbox: " + err.Error() + ".")
	}
	if o.MaxEntryBytes < 0 {
		o.MaxEntryBytes = math.MaxInt
	}
	o.MaxEntryBytes = cmp.Or(o.MaxEntryBytes, 1<<20)
	o.Poll = cmp.Or(max(o.Poll, 0), 200*time.Millisecond)
	o.Batch = cmp.Or(max(o.Batch, 0), 256)
	o.Lease = cmp.Or(max(o.Lease, 0), 15*time.Second)
	if o.Lease < 30*time.Millisecond {
		panic(fmt.Sprintf("outbox: Options.Lease is %v, which is too short for a call of the database: use 1 s or more.", o.Lease))
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Outbox{db: db, to: to, o: o, sql: prepare(o.Dialect, o.Table), wake: make(chan struct{}, 1)}
}

// AppendTx writes data to the table in the application's transaction: it is appended to the broker after that has committed. Data should be
// unlike any other, as hubs' entries are by their random id: it is by its bytes that a relay knows after a crash what is on the log already.
// Data larger than Options.MaxEntryBytes is refused with an error that wraps broker.ErrTooLarge.
func (o *Outbox) AppendTx(ctx context.Context, tx broker.Execer, data []byte) error {
	if len(data) > o.o.MaxEntryBytes {
		return fmt.Errorf("%w: %d bytes, and the outbox takes %d", broker.ErrTooLarge, len(data), o.o.MaxEntryBytes)
	}
	if data == nil {
		data = []byte{} // nil would be NULL
	}
	if _, err := tx.ExecContext(ctx, o.sql.insert, data); err != nil {
		return fmt.Errorf("outbox: writing an entry: %w", err)
	}
	o.Wake()
	return nil
}

// Wake makes a relay that runs in this process look at the table now. live.Tx calls it after a commit; other transactions may:
// AppendTx cannot know when that is. Without it such an entry is found a few milliseconds later. It never blocks.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default: // it will look anyway
	}
}
