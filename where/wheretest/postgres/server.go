package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Server is a PostgreSQL server with all its files in one temporary directory, which a test may kill, pause and start again.
// Its methods must not be called by two goroutines at once; what fails ends the test.
type Server struct {
	t        testing.TB
	bin      string
	dir      string
	settings []string
	cmd      *exec.Cmd     // nil unless the server runs
	done     chan struct{} // closed when the server has ended
	paused   []int
}

// New starts a server that no other test uses, and that is gone when the test is over. It does what Start says of a server
// that is missing, but never uses LIVE_TEST_POSTGRES_URL: nobody may kill the server of somebody else. The server flushes nothing
// to the disk, and yet keeps what was committed when it is killed, as the machine does not fall with it. It does not vacuum by itself.
func New(t testing.TB) *Server {
	t.Helper()
	return NewWith(t)
}

// NewWith is New with further settings, such as "fsync=on", which go before its own.
func NewWith(t testing.TB, settings ...string) *Server {
	t.Helper()
	return launch(t, append([]string{"synchronous_commit=on", "autovacuum=off", "max_prepared_transactions=10"}, settings...)...)
}

// launch starts a server with settings.
func launch(t testing.TB, settings ...string) *Server {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s := &Server{t: t, bin: bin, settings: settings}
	t.Cleanup(s.remove)
	if err := s.create(t.Context()); err != nil {
		t.Fatalf("making the files of a PostgreSQL server with %s: %v", bin, err)
	}
	s.Start()
	return s
}

// URL returns where the server's database postgres is, to be used as the user postgres. It stays the same after a Restart.
func (s *Server) URL() string {
	return "postgres://postgres@/postgres?host=" + url.QueryEscape(s.dir)
}

// Dir returns the directory of the server's socket, which is also the place for the files of what a test puts before it. The
// server's user owns it.
func (s *Server) Dir() string { return s.dir }

// Start starts the server again, with its data, after Kill or Stop, and returns when it takes connections.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.run(); err != nil {
		s.t.Fatalf("starting PostgreSQL from %s: %v", s.bin, err)
	}
}

// Kill ends the server as a crash does: its processes end at once, and the next Start recovers what was committed.
func (s *Server) Kill() { s.end(shutDown) }

// Stop ends the server in order: it cuts off its clients and writes its files.
func (s *Server) Stop() { s.end(interrupt) }

// Restart is Stop and Start.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.Start()
}

// Pause makes the server stand still: its connections stay, and nothing is answered until Resume. The test is skipped where the
// system cannot do that.
func (s *Server) Pause() {
	s.t.Helper()
	var err error
	if s.paused, err = pause(s.cmd.Process.Pid); err != nil {
		s.t.Skipf("pausing PostgreSQL: %v", err)
	}
}

// Resume ends a Pause.
func (s *Server) Resume() {
	resume(s.paused)
	s.paused = nil
}

// end tells the server to end, and waits until it has.
func (s *Server) end(tell func(*os.Process)) {
	s.Resume()
	if s.cmd == nil {
		return
	}
	tell(s.cmd.Process)
	<-s.done
	s.cmd = nil
}

func (s *Server) remove() {
	s.end(shutDown)
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// create makes the directory and the files of the server.
func (s *Server) create(ctx context.Context) (err error) {
	// Not t.TempDir: its path may be too long for a Unix socket, and only its owner can look into it.
	if s.dir, err = os.MkdirTemp("", "live-pg-"); err != nil {
		return err
	}
	if err := giveAway(s.dir); err != nil {
		return err
	}
	return s.initdb(ctx)
}

// run starts the server, and returns when it is ready.
func (s *Server) run() error {
	args := []string{"-D", s.data(), "-F", // -F: no fsync
		"-c", "listen_addresses=", "-c", "unix_socket_directories=" + s.dir, "-c", "max_connections=200"}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	cmd := s.command(context.Background(), filepath.Join(s.bin, "postgres"), args...)
	log, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	started, ready := make(chan error, 1), make(chan error, 1)
	s.done = make(chan struct{})
	go watch(cmd, log, started, ready, s.done)
	if err := <-started; err != nil {
		return err
	}
	s.cmd = cmd
	return <-ready
}

// watch starts a server and stays until it has ended. It keeps its thread, because the server is told to end with the
// thread that started it: so a test that is killed leaves no server behind.
func watch(cmd *exec.Cmd, log io.Reader, started, ready chan<- error, done chan<- struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(done)
	err := cmd.Start()
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
	err = cmd.Wait()
	select {
	case ready <- fmt.Errorf("it ended: %v\n%s", err, strings.Join(tail, "")):
	default: // it was ready once
	}
}

// initdb makes the database files. Not every server has ICU, and not every machine every locale; what the code under
// test does must not depend on it.
func (s *Server) initdb(ctx context.Context) error {
	var failures []error
	for _, locale := range [][]string{
		{"--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8"},
		{"--locale=C.UTF-8"},
		{"--locale=C"},
	} {
		args := append([]string{
			"-D", s.data(), "-U", "postgres", "-A", "trust", "--no-sync", "--encoding=UTF8", "--lc-messages=C",
		}, locale...)
		out, err := s.command(ctx, filepath.Join(s.bin, "initdb"), args...).CombinedOutput()
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("initdb %s: %w\n%s", strings.Join(locale, " "), err, out))
	}
	return errors.Join(failures...)
}

// Command returns a command that runs as the server's user, in Dir: for what is to work beside the server, such as PgBouncer. Where the
// system can do that, it ends with the thread that starts it, which the caller locks.
func (s *Server) Command(program string, args ...string) *exec.Cmd {
	return s.command(context.Background(), program, args...)
}

func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	configure(cmd)
	return cmd
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }
