// Package redistest starts Redis servers for tests, which may kill, pause and restart them.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// URL returns the URL of a server for a test that needs no power over it: that in LIVE_TEST_REDIS_URL, or one of its own. Tests
// that share a server tell their keys apart by a name of their own.
func URL(t testing.TB) string {
	t.Helper()
	if given := os.Getenv("LIVE_TEST_REDIS_URL"); given != "" {
		return given
	}
	return Start(t).URL()
}

// Server is a Redis server on a free port of this machine, with its files in a temporary directory. It writes every command to its
// append-only file before it answers, so that it loses nothing when it is killed. A server that is started again has the same
// URL. Its methods are called from the goroutine of its test, which they end when they fail, except as said.
type Server struct {
	t    testing.TB
	dir  string
	port int
	args []string // besides those that every server has
	run  *process // nil while it is down
}

// Start starts a server that ends with the test, from the redis-server in PATH. Args are further ones, as "--maxmemory", "1mb". Without
// redis-server the test is skipped, and fails where CI is set.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		const missing = "this test needs Redis: install its server (the package redis-server)"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	s := &Server{t: t, dir: t.TempDir(), args: args}
	t.Cleanup(s.Kill)
	// Below the ports that systems hand out by themselves, so that nobody takes it while the server is down.
	var err error
	for range 20 {
		s.port = 20_000 + rand.IntN(12_000)
		if err = s.start(); err == nil {
			return s
		}
	}
	t.Fatalf("starting redis-server: %v", err)
	return nil
}

// Addr returns the host and port of the server.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns the server's URL, as redis.ParseURL takes it.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Client returns a client of the server, which is closed when the test is over.
func (s *Server) Client() *redis.Client { return Client(s.t, s.URL()) }

// Client returns a client of the server at a URL, which is closed when the test is over. It has room for the many followers of a test,
// and waits 30 seconds for an answer, as a busy machine may need.
func Client(t testing.TB, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.PoolSize, o.ReadTimeout, o.WriteTimeout = 500, 30*time.Second, 30*time.Second
	c := redis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}

// Do runs a command on the server and returns its answer.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 10*time.Second)
	defer cancel()
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), ContextTimeoutEnabled: true})
	defer c.Close()
	answer, err := c.Do(ctx, args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatalf("redis: %v: %v", args, err)
	}
	return answer
}

// Kill ends the server at once, as a power cut does. A server that is down stays so.
func (s *Server) Kill() {
	if s.run != nil {
		s.run.kill()
		s.run = nil
	}
}

// Restart kills the server and starts it again with its data.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		s.t.Fatalf("starting redis-server again: %v", err)
	}
}

// RestartEmpty kills the server and starts it again without its data.
func (s *Server) RestartEmpty() {
	s.t.Helper()
	s.Kill()
	for _, data := range []string{"appendonlydir", "dump.rdb"} {
		if err := os.RemoveAll(filepath.Join(s.dir, data)); err != nil {
			s.t.Fatal(err)
		}
	}
	s.Restart()
}

// Pause freezes the server: its connections stay, and it answers nothing until Resume.
func (s *Server) Pause() {
	s.t.Helper()
	if err := pause(s.run.cmd.Process); err != nil {
		s.t.Fatal(err)
	}
}

// Resume lets a server go on that was paused.
func (s *Server) Resume() {
	s.t.Helper()
	if err := resume(s.run.cmd.Process); err != nil {
		s.t.Fatal(err)
	}
}

// Replica starts a server that copies this one, and returns it when it has caught up.
func (s *Server) Replica() *Server {
	s.t.Helper()
	r := Start(s.t, "--replicaof", "127.0.0.1 "+strconv.Itoa(s.port))
	for !strings.Contains(fmt.Sprint(r.Do("INFO", "replication")), "master_link_status:up") {
		if s.t.Context().Err() != nil {
			s.t.Fatal("the replica did not catch up until the test ended")
		}
	}
	s.t.Log("redis: the replica at", r.Addr(), "has caught up")
	return r
}

// Cut ends the copying, as a broken link does: the replica stays one, and gets nothing more.
func (s *Server) Cut() {
	s.t.Helper()
	s.Do("REPLICAOF", "127.0.0.1", "1") // where nobody is
}

// Promote makes a replica a primary.
func (s *Server) Promote() {
	s.t.Helper()
	s.Do("REPLICAOF", "NO", "ONE")
}

// start starts the process and returns when it answers.
func (s *Server) start() error {
	args := append([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--daemonize", "no", "--logfile", "",
		"--save", "", "--appendonly", "yes", "--appendfsync", "no", // no: the file survives a kill all the same
		"--repl-diskless-sync-delay", "0",
	}, s.args...)
	p := &process{cmd: exec.Command("redis-server", args...), done: make(chan struct{})}
	configure(p.cmd)
	if err := p.start(); err != nil {
		return err
	}
	s.run = p
	return nil
}

// process is a redis-server that runs.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start starts the process and returns when it is ready, or why it is not.
func (p *process) start() error {
	log, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	ready := make(chan error, 1)
	go p.watch(log, ready)
	return <-ready
}

// watch starts the server and stays until it has ended. It keeps its thread, because the server is told to end with the thread
// that started it: so a test that is killed leaves no server behind.
func (p *process) watch(log io.Reader, ready chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	if err := p.cmd.Start(); err != nil {
		ready <- err
		return
	}
	var tail []string
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			select {
			case ready <- nil:
			default:
			}
		}
		tail = append(tail, lines.Text())
		tail = tail[max(0, len(tail)-20):]
	}
	err := p.cmd.Wait()
	select {
	case ready <- fmt.Errorf("it ended: %v\n%s", err, strings.Join(tail, "\n")):
	default: // it was ready once
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // the only error is that it has ended already
	<-p.done
}
