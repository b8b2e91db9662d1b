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
	cmd := s.Command(program, file)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // it ends with this thread, so with a test that is killed
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if started <- err; err == nil {
			_ = cmd.Wait() // it is killed
		}
	}()
	if err := <-started; err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, if anything
		<-ended
		if s.t.Failed() {
			s.t.Logf("PgBouncer said:\n%s", log.String())
		}
	})
	at := "postgres://postgres@/postgres?port=6432&host=" + url.QueryEscape(s.dir)
	s.answers(at, ended)
	return at
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
