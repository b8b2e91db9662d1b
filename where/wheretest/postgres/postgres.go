// Package postgres gives a test a PostgreSQL database of its own.
package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Start returns the URL of an empty database that no other test uses, and that is gone when the test is over. It starts a
// PostgreSQL server for it, on a socket in a temporary directory, from the binaries in PATH or in
// /usr/lib/postgresql/*/bin. When LIVE_TEST_POSTGRES_URL is set, it makes the database on that server instead. Without
// either, the test is skipped, and fails where CI is set. The database is UTF-8, and where the server can, of a linguistic
// collation, so that code that relies on the order of bytes must say so.
func Start(t testing.TB) string {
	t.Helper()
	if given := os.Getenv("LIVE_TEST_POSTGRES_URL"); given != "" {
		return createDatabase(t, given)
	}
	// What is lost when the server is killed does not matter: nobody kills it but the end of the test.
	return launch(t, "synchronous_commit=off", "full_page_writes=off").URL()
}

// binaries returns the directory of initdb and postgres. A server's version is what comes with it, so both are taken
// from one place.
func binaries() (string, error) {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the only error is a malformed pattern
	slices.Reverse(installed)                                  // the newest first, as far as names tell
	for _, dir := range append(dirs, installed...) {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", errors.New("this test needs PostgreSQL: install its server (the package postgresql), or set LIVE_TEST_POSTGRES_URL")
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

// createDatabase makes a database on a server that somebody else runs, and drops it after the test.
func createDatabase(t testing.TB, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("LIVE_TEST_POSTGRES_URL: %v", err)
	}
	name := "live_test_" + strings.ToLower(rand.Text())
	execute := func(sql string) {
		ctx := context.WithoutCancel(t.Context()) // the test's own context has ended when it is cleaned up
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			t.Fatalf("LIVE_TEST_POSTGRES_URL: %v", err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("LIVE_TEST_POSTGRES_URL: %s: %v", sql, err)
		}
	}
	execute("CREATE DATABASE " + name + " TEMPLATE template0 ENCODING 'UTF8'")
	t.Cleanup(func() { execute("DROP DATABASE " + name + " WITH (FORCE)") })
	u.Path = "/" + name
	return u.String()
}
