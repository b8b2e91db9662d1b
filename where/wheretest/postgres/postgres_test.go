package postgres_test

import (
	"testing"
	"time"

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

// TestServerKeepsWhatWasCommitted ends a server in every way.
func TestServerKeepsWhatWasCommitted(t *testing.T) {
	s := postgres.New(t)
	connect := func() *pgx.Conn {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), s.URL())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	conn := connect()
	if _, err := conn.Exec(t.Context(), "CREATE TABLE mine (id bigint)"); err != nil {
		t.Fatal(err)
	}
	for i, end := range []func(){s.Kill, s.Stop, s.Kill} {
		if _, err := conn.Exec(t.Context(), "INSERT INTO mine VALUES ($1)", i); err != nil {
			t.Fatal(err)
		}
		end()
		if err := conn.Ping(t.Context()); err == nil {
			t.Errorf("end %d, and the server answers", i)
		}
		s.Start()
		conn = connect()
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM mine").Scan(&n); err != nil || n != i+1 {
			t.Errorf("after end %d there are %d rows, %v; want %d", i, n, err, i+1)
		}
	}
	conn.Close(t.Context())
}

// TestServerPauses asks a server that stands still: it answers when it is resumed, on the same connection.
func TestServerPauses(t *testing.T) {
	s := postgres.New(t)
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	s.Pause()
	answered := make(chan error, 1)
	go func() { answered <- conn.Ping(t.Context()) }()
	select {
	case err := <-answered:
		t.Errorf("a paused server answered: %v", err)
	case <-time.After(50 * time.Millisecond): // an answer that comes later would not be found: this cannot fail wrongly
	}
	s.Resume()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}
