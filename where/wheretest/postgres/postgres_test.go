package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/swampline/live/where/wheretest/postgres"
)

// TestStart uses a server of its own, and that server as one that somebody else runs.
func TestStart(t *testing.T) {
	first := postgres.Start(t)
	t.Setenv("LIVE_TEST_POSTGRES_URL", first)
	for _, url := range []string{first, postgres.Start(t), postgres.Start(t)} {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		// The table must not be there yet: each database is its own.
		if _, err := conn.Exec(t.Context(), "CREATE TABLE mine (id bigint)"); err != nil {
			t.Error(err)
		}
		var encoding string
		if err := conn.QueryRow(t.Context(), "SHOW server_encoding").Scan(&encoding); err != nil || encoding != "UTF8" {
			t.Errorf("the encoding is %s, %v", encoding, err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
