package pgbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/swampline/live/broker"
)

// unbounded are options that never trim.
var unbounded = Options{MaxAge: -1, MaxEntries: -1, MaxBytes: -1, Logger: slog.New(slog.DiscardHandler)}

// tables numbers the logs of one server.
var tables atomic.Int64

// ownLog returns options for a log of its own.
func ownLog(o Options) Options {
	o.Table = fmt.Sprintf(`log's "%d"`, tables.Add(1)) // a name that must be quoted
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// newPool returns a pool on a server, closed with the test.
func newPool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// execute runs SQL with the names of the log of b in it.
func execute(t testing.TB, b *Broker, sql string, args ...any) {
	t.Helper()
	if _, err := b.pool.Exec(t.Context(), b.names.fill(sql), args...); err != nil {
		t.Fatal(err)
	}
}

// begin begins a transaction, which ends with the test at the latest.
func begin(t testing.TB, pool *pgxpool.Pool) pgx.Tx {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) }) // it may have ended
	return tx
}

// appended appends entries, each in a transaction of its own.
func appended(t testing.TB, b *Broker, data ...string) (at []broker.Position) {
	t.Helper()
	for _, d := range data {
		p, err := b.Append(t.Context(), []byte(d))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, p)
	}
	return at
}

// head returns the head of the log.
func head(t testing.TB, b *Broker) broker.Position {
	t.Helper()
	p, err := b.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// reader is a Follow that runs beside the test.
type reader struct {
	t    testing.TB
	news chan string
	done chan error
	stop context.CancelFunc
}

// follow starts a reader, which is stopped with the test.
func follow(t testing.TB, b *Broker, after broker.Position) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{t: t, news: make(chan string), done: make(chan error, 1), stop: cancel}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.done <- b.Follow(ctx, after, func(batch []broker.Entry) error {
			for _, e := range batch {
				select {
				case r.news <- string(e.Data):
				case <-ctx.Done():
				}
			}
			return nil
		})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return r
}

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// gets waits for entries, in this order and no others between them.
func (r *reader) gets(want ...string) {
	r.t.Helper()
	for i, w := range want {
		select {
		case got := <-r.news:
			if got != w {
				r.t.Fatalf("entry %d of %q is %q", i+1, want, got)
			}
		case err := <-r.done:
			r.t.Fatalf("before entry %d of %q Follow returned %v", i+1, want, err)
		case <-time.After(patience):
			r.t.Fatalf("entry %d of %q does not come", i+1, want)
		}
	}
}

// expires waits for Follow to return ErrExpired, without another entry.
func (r *reader) expires() {
	r.t.Helper()
	select {
	case got := <-r.news:
		r.t.Fatalf("%q came, and the log does not go on", got)
	case err := <-r.done:
		if !errors.Is(err, broker.ErrExpired) {
			r.t.Fatalf("Follow returned %v, want ErrExpired", err)
		}
	case <-time.After(patience):
		r.t.Fatal("Follow goes on, and the log does not")
	}
}

// errEnough ends the Follow of held.
var errEnough = errors.New("enough")

// held returns all that can be read now: an entry at the end tells where that is.
func held(t testing.TB, b *Broker) (data []string) {
	t.Helper()
	const end = "the end"
	appended(t, b, end)
	err := b.Follow(t.Context(), broker.Position{}, func(batch []broker.Entry) error {
		for _, e := range batch {
			if data = append(data, string(e.Data)); data[len(data)-1] == end {
				return errEnough
			}
		}
		return nil
	})
	if err != errEnough {
		t.Fatal(err)
	}
	data = data[:len(data)-1]
	return slices.DeleteFunc(data, func(d string) bool { return d == end })
}

// eventually waits until ok reports true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !ok(); {
		if time.Now().After(limit) {
			t.Fatalf("%v went by, and still not: %s", patience, what)
		}
		<-time.After(2 * time.Millisecond) // nothing tells when a server has come so far
	}
}
