package brokers

import (
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

func testDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestAWrongBrokerIsRefusedWithTheFormsThatAreKnown(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	for _, address := range []string{"localhost:6379", "kafka://secret@localhost", "redis", "://"} {
		_, err := Open(t.Context(), address, "test", testDB(t), logger)
		if err == nil || !strings.Contains(err.Error(), Forms) || strings.Contains(err.Error(), "secret") {
			t.Errorf("-broker %s: %v, want the forms that are known", address, err)
		}
	}
	for _, address := range []string{"redis://localhost:port", "nats://localhost:port", "postgres://localhost:port"} {
		if _, err := Open(t.Context(), address, "test", testDB(t), logger); err == nil || !strings.HasPrefix(err.Error(), "-broker: ") {
			t.Errorf("-broker %s: %v, want an error of -broker", address, err)
		}
	}
}

// Nobody need be there when the process starts: the page is served, and what is written waits in the outbox.
func TestABrokerThatIsAwayIsNoErrorAtTheStart(t *testing.T) {
	for _, address := range []string{"redis://127.0.0.1:1", "rediss://127.0.0.1:1", "nats://127.0.0.1:1", "postgres://127.0.0.1:1/todo", "postgresql://127.0.0.1:1/todo"} {
		log, err := Open(t.Context(), address, "test", testDB(t), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Errorf("-broker %s: %v", address, err)
			continue
		}
		if log.Broker == nil || log.Outbox == nil {
			t.Errorf("-broker %s gave %+v, want a broker and an outbox", address, log)
		}
		log.Close()
	}
}
