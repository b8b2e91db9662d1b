package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bouncer starts a PgBouncer before the server, with few connections to it, and returns its URL. The mode is "session" or "transaction". It is
// gone when the test is over; a server has one at most. Where there is no PgBouncer the test is skipped, and fails where CI is set.
func (s *Server) Bouncer(mode string) string {
	s.t.Helper()
	program, err := bouncer()
	if err != nil {
		if os.Getenv("CI") != "" {
			s.t.Fatal(err)
		}
		s.t.Skip(err)
	}
	config := fmt.Sprintf(`[databases]
postgres = host=%s dbname=postgres user=postgres

[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = %s
auth_type = any
pool_mode = %s
default_pool_size = 8
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
server_login_retry = 1
`, s.dir, s.dir, mode)
	file := filepath.Join(s.dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		s.t.Fatal(err)
	}
	b := &keeper{command: func() *exec.Cmd { return s.Command(program, file) }, ended: make(chan struct{})}
	started := make(chan error, 1)
	go b.keep(started)
	if err := <-started; err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		b.stop()
		if s.t.Failed() {
			s.t.Logf("PgBouncer said:\n%s", b.log.String())
		}
	})
	at := "postgres://postgres@/postgres?port=6432&host=" + url.QueryEscape(s.dir)
	s.answers(at, b.ended)
	return at
}

// keeper keeps a program running, as a machine's init does: a PgBouncer whose server goes away ends now and then ("FATAL server_proto: server in
// bad state", 1.18).
type keeper struct {
	command func() *exec.Cmd
	ended   chan struct{} // closed when it runs no more
	log     bytes.Buffer  // what it said, for who has waited for its end

	mu      sync.Mutex
	cmd     *exec.Cmd
	stopped bool
}

// mostStarts is how often it is started at most: one that cannot run would end again and again.
const mostStarts = 10

// keep runs the program until it is stopped, and sends whether it could be started.
func (k *keeper) keep(started chan<- error) {
	defer close(k.ended)
	runtime.LockOSThread() // it ends with this thread, so with a test that is killed
	defer runtime.UnlockOSThread()
	for n := range mostStarts {
		goesOn, err := k.start()
		if n == 0 {
			started <- err
		}
		if err != nil || !goesOn {
			return
		}
		fmt.Fprintf(&k.log, "it ends: %v\n", k.cmd.Wait())
	}
}

// start starts the program, unless it has been stopped.
func (k *keeper) start() (goesOn bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped {
		return false, nil
	}
	k.cmd = k.command()
	k.cmd.Stdout, k.cmd.Stderr = &k.log, &k.log
	return true, k.cmd.Start()
}

// stop ends the program for good, and waits until it has.
func (k *keeper) stop() {
	k.mu.Lock()
	k.stopped = true
	if k.cmd.Process != nil {
		_ = k.cmd.Process.Kill() // it has ended, if anything
	}
	k.mu.Unlock()
	<-k.ended
}

// bouncer finds the program, which Debian has where only root looks.
func bouncer() (string, error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
		_, err = os.Stat(program)
	}
	if err != nil {
		return "", errors.New("this test needs PgBouncer: install the package pgbouncer")
	}
	return program, nil
}

// answers waits until something takes connections, or has ended.
func (s *Server) answers(at string, ended <-chan struct{}) {
	s.t.Helper()
	for limit := time.Now().Add(time.Minute); ; {
		conn, err := pgx.Connect(s.t.Context(), at)
		if err == nil {
			_ = conn.Close(s.t.Context()) // it was only to see that it answers
			return
		}
		if time.Now().After(limit) {
			s.t.Fatalf("PgBouncer does not answer: %v", err)
		}
		select {
		case <-ended:
			s.t.Fatalf("PgBouncer has ended: %v", err)
		case <-time.After(2 * time.Millisecond): // nothing tells when it has come so far
		}
	}
}
