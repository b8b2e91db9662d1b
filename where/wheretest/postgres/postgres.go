// Package postgres gives a test a PostgreSQL database of its own.
package postgres

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
	bin, err := binaries()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s := &server{bin: bin}
	if err := s.start(t.Context()); err != nil {
		s.stop()
		t.Fatalf("starting PostgreSQL from %s: %v", bin, err)
	}
	t.Cleanup(s.stop)
	return s.url()
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

// server is one PostgreSQL server with all its files in one temporary directory.
type server struct {
	bin  string
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the server has ended
}

func (s *server) start(ctx context.Context) (err error) {
	// Not t.TempDir: its path may be too long for a Unix socket, and only its owner can look into it.
	if s.dir, err = os.MkdirTemp("", "live-pg-"); err != nil {
		return err
	}
	if err := giveAway(s.dir); err != nil {
		return err
	}
	if err := s.initdb(ctx); err != nil {
		return err
	}
	s.cmd = s.command(context.WithoutCancel(ctx), "postgres", "-D", s.data(), "-F", // -F: no fsync
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+s.dir, "-c", "max_connections=200",
		"-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	log, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	s.done = make(chan struct{})
	ready := make(chan error, 1)
	go s.run(log, started, ready)
	if err := <-started; err != nil {
		return err
	}
	return <-ready
}

// run starts the server and stays until it has ended. It keeps its thread, because the server is told to end with the
// thread that started it: so a test that is killed leaves no server behind.
func (s *server) run(log io.Reader, started, ready chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.done)
	err := s.cmd.Start()
	if err != nil {
		s.cmd = nil
	}
	if started <- err; err != nil {
		return
	}
	var tail []string
	for lines, err := bufio.NewReader(log), error(nil); err == nil; { // a Scanner would give up on a long statement
		var line string
		line, err = lines.ReadString('\n')
		if strings.Contains(line, "database system is ready to accept connections") {
			ready <- nil
		}
		tail = append(tail, line)
		tail = tail[max(0, len(tail)-20):]
	}
	err = s.cmd.Wait()
	select {
	case ready <- fmt.Errorf("it ended: %v\n%s", err, strings.Join(tail, "")):
	default: // it was ready once
	}
}

// initdb makes the database files. Not every server has ICU, and not every machine every locale; what the code under
// test does must not depend on it.
func (s *server) initdb(ctx context.Context) error {
	var failures []error
	for _, locale := range [][]string{
		{"--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8"},
		{"--locale=C.UTF-8"},
		{"--locale=C"},
	} {
		args := append([]string{
			"-D", s.data(), "-U", "postgres", "-A", "trust", "--no-sync", "--encoding=UTF8", "--lc-messages=C",
		}, locale...)
		out, err := s.command(ctx, "initdb", args...).CombinedOutput()
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("initdb %s: %w\n%s", strings.Join(locale, " "), err, out))
	}
	return errors.Join(failures...)
}

func (s *server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	configure(cmd)
	return cmd
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) url() string {
	return "postgres://postgres@/postgres?host=" + url.QueryEscape(s.dir)
}

func (s *server) stop() {
	if s.cmd != nil {
		shutDown(s.cmd.Process)
	}
	if s.done != nil {
		<-s.done
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
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
