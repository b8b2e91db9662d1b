//go:build unix

package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/swampline/live/where/wheretest/postgres"
)

// fileDB returns an empty SQLite database.
func fileDB(t testing.TB) *sql.DB {
	db := sql.OpenDB(fileConnector(fileSource(t)))
	t.Cleanup(func() { db.Close() })
	return db
}

func fileSource(t testing.TB) string {
	return "file:" + filepath.Join(t.TempDir(), "outbox.db") + "?_pragma=busy_timeout(20000)&_pragma=journal_mode(wal)&_pragma=synchronous(off)"
}

// BenchmarkRelay relays entries of 200 bytes to the memory broker, from a table in which so many wait already.
func BenchmarkRelay(b *testing.B) {
	for _, of := range []struct {
		dialect Dialect
		start   func(testing.TB) string
	}{{SQLite, fileSource}, {PostgreSQL, postgres.Start}, {MySQL, startMariaDB}} {
		for _, waiting := range []int{1_000, 100_000} {
			b.Run(fmt.Sprintf("%v/waiting=%d", of.dialect, waiting), func(b *testing.B) {
				connector, err := connect(of.dialect, of.start(b))
				if err != nil {
					b.Fatal(err)
				}
				db := sql.OpenDB(connector)
				defer db.Close()
				box := open(b, db, newLog(), Options{Dialect: of.dialect, Logger: quiet})
				r := &relay{Outbox: box, lease: lease{owner: "benchmark"}, limit: box.o.Batch}
				if held, err := r.acquire(b.Context()); err != nil || !held {
					b.Fatal(held, err)
				}
				if err := r.readBack(b.Context()); err != nil {
					b.Fatal(err)
				}
				ctx, n := context.Background(), 0
				for b.Loop() {
					if n <= 0 {
						b.StopTimer()
						fill(b, box, waiting)
						n = waiting - box.o.Batch // so that each look finds a full batch
						b.StartTimer()
					}
					found, err := r.look(ctx)
					if err != nil {
						b.Fatal(err)
					}
					n -= found
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(box.appended.Load()), "ns/entry")
			})
		}
	}
}

// fill adds rows.
func fill(b *testing.B, box *Outbox, rows int) {
	data := strings.Repeat("x", 200)
	for ; rows > 0; rows -= 1000 {
		values := make([]string, min(rows, 1000))
		for i := range values {
			values[i] = "('" + data + "', 1)"
		}
		execute(b, box, "", "INSERT INTO %s (data, written) VALUES "+strings.Join(values, ","))
	}
}
