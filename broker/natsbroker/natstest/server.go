// Package natstest gives tests NATS servers with JetStream: in the test's process, or in processes of their own that can be
// killed, on free ports of the loopback, with their files in temporary directories. They can be stopped and started again at
// the same port, with their data, without, or with those of an earlier moment.
package natstest

import (
	"cmp"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patience is how long a server may take to be ready. It is reached only by one that never will be.
const patience = time.Minute

// Server is a NATS server, in this process or in one of its own. Its methods are for one goroutine at a time.
type Server struct {
	opts server.Options
	dir  string // holds the servers' data, one directory for each time that it began empty

	began int // how often it began with other data

	process bool // of its own; then s is nil, and otherwise cmd
	s       *server.Server
	cmd     *exec.Cmd
	stdin   io.WriteCloser // of the process, which ends with it
}

// Start starts a server, which is stopped when the test is over.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartWith(t, server.Options{})
}

// StartWith is Start with options: MaxPayload, SyncInterval and the like. Where it listens and stores is not theirs to say.
func StartWith(t testing.TB, o server.Options) *Server {
	t.Helper()
	s := prepare(t, o)
	s.Start(t)
	return s
}

func prepare(t testing.TB, o server.Options) *Server {
	o.Host, o.Port = "127.0.0.1", cmp.Or(o.Port, server.RANDOM_PORT)
	o.JetStream, o.NoSigs, o.NoLog = true, true, true
	s := &Server{opts: o, dir: directory(t)}
	s.opts.StoreDir = filepath.Join(s.dir, "0")
	t.Cleanup(s.Stop)
	return s
}

// directory returns a temporary one that is removed when the test is over, as far as it can be: a server that was stopped may
// still be writing a last file, which must not fail the test.
func directory(t testing.TB) string {
	dir, err := os.MkdirTemp("", "natstest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// URL returns where clients reach the server, running or not.
func (s *Server) URL() string { return "nats://127.0.0.1:" + strconv.Itoa(s.opts.Port) }

// Start starts the server again with the data that it had, and waits until it serves.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.launch(t)
	s.ready(t)
}

// launch starts the server and does not wait.
func (s *Server) launch(t testing.TB) {
	t.Helper()
	if s.process {
		s.exec(t)
		return
	}
	o := s.opts // the server changes what it is given
	srv, err := server.NewServer(&o)
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	s.s = srv
	srv.Start()
}

// ready waits until the server serves.
func (s *Server) ready(t testing.TB) {
	t.Helper()
	if s.process {
		s.listening(t)
		return
	}
	if !s.s.ReadyForConnections(patience) {
		t.Fatalf("natstest: the server at %s is not ready after %v", s.URL(), patience)
	}
	s.opts.Port = s.s.Addr().(*net.TCPAddr).Port
}

// StartEmpty starts the server again as one that lost its disk.
func (s *Server) StartEmpty(t testing.TB) {
	t.Helper()
	s.began++
	s.opts.StoreDir = filepath.Join(s.dir, strconv.Itoa(s.began))
	s.Start(t)
}

// StartFrom starts the server again with the data that Copy returned, as one does that had not synced, or was restored.
func (s *Server) StartFrom(t testing.TB, data string) {
	t.Helper()
	s.began++
	s.opts.StoreDir = filepath.Join(s.dir, strconv.Itoa(s.began))
	if err := os.CopyFS(s.opts.StoreDir, os.DirFS(data)); err != nil {
		t.Fatalf("natstest: %v", err)
	}
	s.Start(t)
}

// Copy returns a directory with a copy of the server's data. The server must be stopped.
func (s *Server) Copy(t testing.TB) string {
	t.Helper()
	dir := directory(t)
	if err := os.CopyFS(dir, os.DirFS(s.opts.StoreDir)); err != nil {
		t.Fatalf("natstest: %v", err)
	}
	return dir
}

// Stop stops the server at once, if it runs. In this process it hands over what it leads before; a process of its own is killed.
func (s *Server) Stop() {
	switch {
	case s.cmd != nil:
		s.kill()
	case s.s != nil:
		s.s.Shutdown()
		s.s.WaitForShutdown()
		s.s = nil
	}
}

// Connect returns a connection to one of the servers that reconnects for ever and soon. The servers need not be there. It is
// closed when the test is over.
func Connect(t testing.TB, urls ...string) jetstream.JetStream {
	t.Helper()
	o := nats.GetDefaultOptions()
	o.Servers, o.NoRandomize = urls, true
	o.MaxReconnect, o.RetryOnFailedConnect, o.IgnoreAuthErrorAbort = -1, true, true
	o.ReconnectWait, o.ReconnectJitter = 10*time.Millisecond, 5*time.Millisecond
	o.AsyncErrorCB = func(*nats.Conn, *nats.Subscription, error) {} // printed otherwise
	nc, err := o.Connect()
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	return js
}

// URL returns LIVE_TEST_NATS_URL, for tests that need no server of their own, or else starts a server.
func URL(t testing.TB) string {
	t.Helper()
	if given := os.Getenv("LIVE_TEST_NATS_URL"); given != "" {
		return given
	}
	return Start(t).URL()
}
