package pgbroker

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options say where the log is and bound it. In MaxAge, MaxEntries, MaxBytes and MaxEntryBytes zero means the default and a negative
// value means no bound. All instances of an application should have the same: the tightest bound holds for all.
type Options struct {
	// Table is the name of the log's table; the default is live_log. Its meta table is called the same with _meta, its sequence with _seq,
	// its trigger function with _forget.
	Table string
	// Schema is the schema of the table, which must exist; the default is the first of the role's search_path.
	Schema string
	// NoCreate leaves it to the application to run Migration: no DDL is run. Otherwise the first call that misses the table creates
	// it; two instances may do so at once.
	NoCreate bool

	// Listen is how the connection for LISTEN is made, there is one while a Follow waits: parse a URL with pgx.ParseConfig. Nil takes a
	// connection out of the pool, which must not lead through PgBouncer in transaction mode then.
	Listen *pgx.ConnConfig
	// NoNotify uses neither NOTIFY nor LISTEN: entries of other instances arrive by Poll alone. All instances must have the same.
	NoNotify bool
	// Poll is the longest time between two looks of a follower that waits, and so about the longest that an entry is late when its
	// notification got lost; the default is 250 ms.
	Poll time.Duration

	// MaxAge bounds how long after its Append an entry is held; the default is one hour. An entry that is too old is
	// handed out until it was trimmed.
	MaxAge time.Duration
	// MaxEntries bounds the number of entries that are held; the default is 100,000. The log may be longer by a sixteenth, and more
	// while writers outrun who trims.
	MaxEntries int
	// MaxBytes bounds the sum of the sizes of the entries that are held, in bytes; the default is 256 MiB, and may be exceeded as
	// MaxEntries may. The newest entry is held whatever its size.
	MaxBytes int
	// MaxEntryBytes bounds the size of one entry, in bytes; the default is 1 MiB.
	MaxEntryBytes int

	// Timeout bounds one answer of the server; the default is 5 s. An Append whose context has a deadline has
	// until then instead.
	Timeout time.Duration
	// Logger is told when listening and trimming fail, which no caller is told; nil means slog.Default().
	Logger *slog.Logger
}

// withDefaults returns o with every zero replaced by what it means.
func (o Options) withDefaults() Options {
	o.Table = cmp.Or(o.Table, "live_log")
	o.Poll = positive(o.Poll, 250*time.Millisecond)
	o.MaxAge = bound(o.MaxAge, time.Hour, math.MaxInt64)
	o.MaxEntries = bound(o.MaxEntries, 100_000, math.MaxInt)
	o.MaxBytes = bound(o.MaxBytes, 256<<20, math.MaxInt)
	o.MaxEntryBytes = bound(o.MaxEntryBytes, 1<<20, math.MaxInt)
	o.Timeout = positive(o.Timeout, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// check returns what is wrong with the names; every call of a broker with such options fails with it.
func (o Options) check() error {
	// PostgreSQL cuts names at 63 bytes without an error, and _forget comes behind this one.
	if len(o.Table) > 50 || strings.ContainsAny(o.Table, "$\x00") {
		return fmt.Errorf("pgbroker: Options.Table is %q: use at most 50 bytes, without $", o.Table)
	}
	if len(o.Schema) > 63 || strings.ContainsAny(o.Schema, "$\x00") {
		return fmt.Errorf("pgbroker: Options.Schema is %q: use at most 63 bytes, without $", o.Schema)
	}
	return nil
}

// bound returns what an option means: its default for zero, the most there is for "no bound".
func bound[T int | time.Duration](v, def, most T) T {
	if v < 0 {
		return most
	}
	return cmp.Or(v, def)
}

// positive returns v, or the default for what is not positive.
func positive(v, def time.Duration) time.Duration {
	if v <= 0 {
		return def
	}
	return v
}
