//go:build unix

package outbox

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/swampline/live/broker"
)

// taskEnv tells this binary that it is not to test but to do something until it is killed, and what.
const taskEnv = "LIVE_OUTBOX_TEST_TASK"

// task is what taskEnv says: to relay to the log of a socket, or to write when there is none.
type task struct {
	Dialect       Dialect
	Source, Table string
	Socket        string // of the log
	Name          string // of what is written
}

func TestMain(m *testing.M) {
	given := os.Getenv(taskEnv)
	if given == "" {
		os.Exit(m.Run())
	}
	var of task
	err := json.Unmarshal([]byte(given), &of)
	switch {
	case err != nil:
	case of.Socket != "":
		err = relayUntilKilled(of)
	default:
		err = writeUntilKilled(of)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// killLease and killBatch are those of processes that are killed.
const (
	killLease = 900 * time.Millisecond
	killBatch = 8
)

// relayUntilKilled is the main function of a process that relays.
func relayUntilKilled(of task) error {
	connector, err := connect(of.Dialect, of.Source)
	if err != nil {
		return err
	}
	log, err := rpc.Dial("unix", of.Socket)
	if err != nil {
		return err
	}
	box := New(sql.OpenDB(connector), remoteLog{log}, Options{
		Dialect: of.Dialect, Table: of.Table, Poll: 10 * time.Millisecond, Batch: killBatch, Lease: killLease,
	})
	return box.Run(context.Background())
}

// testKilledInTurn has three processes that relay, of which the one at work is killed (kill -9) again and again: just before an entry is on the log,
// or after it is and before the process knows. Meanwhile others write.
func testKilledInTurn(t *testing.T, d database) {
	log := newLog()
	o := d.options(t)
	box := open(t, d.db, log, o)
	server := serveLog(t, log)
	of := task{Dialect: d.dialect, Source: d.source, Table: o.Table, Socket: server.socket}
	for range 3 {
		startProcess(t, of)
	}
	w := newWorkload(t, box, 9)
	w.pace = 10 * time.Millisecond
	for range 3 {
		w.start(1 << 30)
	}
	const kills = 4
	for i := range kills {
		killed := server.kill(5+7*i, i%2 == 0)
		select {
		case <-killed:
		case <-time.After(time.Minute):
			t.Fatal("no relay has appended anything for a minute")
		}
		startProcess(t, of)
	}
	w.stopped.Store(true)
	w.wait()
	idle(t, box)
	// Each that lost its lease may have added one: those that were killed, and those that a slow machine paused.
	w.check(log, int(state(t, box, "term"))+d.copies(killBatch))
}

// process is one that does a task until it is killed.
type process struct {
	in   io.WriteCloser
	out  *bufio.Scanner
	kill func() // returns when it has ended
}

// startProcess starts a process that does a task until the test is over or the process is killed.
func startProcess(t *testing.T, of task) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	given, err := json.Marshal(of)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), taskEnv+"="+string(given))
	cmd.Stderr = testLog{t}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	dieWithParent(cmd.SysProcAttr)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started, over, ended := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() { // it keeps its thread: with that the process would end
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		if started <- err; err != nil {
			return
		}
		<-over
		cmd.Process.Kill()
		cmd.Wait() // it was killed, and says so
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	p := &process{in: in, out: bufio.NewScanner(out)}
	p.kill = sync.OnceFunc(func() {
		close(over)
		<-ended
	})
	t.Cleanup(p.kill)
	return p
}

// logServer is a log for other processes, which it kills at the entry it was told.
type logServer struct {
	log    broker.Broker
	socket string

	mu     sync.Mutex
	left   int // entries until somebody is killed; negative when nobody is to be
	before bool
	killed chan struct{}
}

func serveLog(t *testing.T, log broker.Broker) *logServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "live-log-")
	if err != nil {
		t.Fatal(err)
	}
	s := &logServer{log: log, socket: filepath.Join(dir, "socket"), left: -1}
	listener, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Log", &logCalls{s}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		listener.Close()
		os.RemoveAll(dir)
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(conn)
		}
	}()
	return s
}

// kill kills the process that appends the nth entry from now, before it is on the log or after. The channel is closed then.
func (s *logServer) kill(n int, before bool) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.before, s.killed = n, before, make(chan struct{})
	return s.killed
}

// append appends an entry for a process, and kills that if it is its time.
func (s *logServer) append(pid int, data []byte) (broker.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left--
	if s.left != 0 {
		return s.log.Append(context.Background(), data)
	}
	defer close(s.killed)
	if s.before {
		return broker.Position{}, syscall.Kill(pid, syscall.SIGKILL)
	}
	p, err := s.log.Append(context.Background(), data)
	return p, errors.Join(err, syscall.Kill(pid, syscall.SIGKILL))
}

// logCalls is what other processes may call.
type logCalls struct{ s *logServer }

// AppendCall is what Append is given: an entry, and who appends it.
type AppendCall struct {
	Pid  int
	Data []byte
}

func (c *logCalls) Append(call AppendCall, p *broker.Position) (err error) {
	*p, err = c.s.append(call.Pid, call.Data)
	return err
}

func (c *logCalls) Head(_ struct{}, p *broker.Position) (err error) {
	*p, err = c.s.log.Head(context.Background())
	return err
}

// Read waits for the first entries after a position.
func (c *logCalls) Read(after broker.Position, batch *[]broker.Entry) error {
	enough := errors.New("enough")
	err := c.s.log.Follow(context.Background(), after, func(entries []broker.Entry) error {
		*batch = append(*batch, entries...)
		return enough
	})
	if err == enough {
		return nil
	}
	return err
}

// remoteLog is the log of another process.
type remoteLog struct{ client *rpc.Client }

func (l remoteLog) call(ctx context.Context, method string, args, reply any) error {
	call := l.client.Go("Log."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-call.Done:
	}
	if call.Error != nil && strings.HasPrefix(call.Error.Error(), broker.ErrExpired.Error()) {
		return broker.ErrExpired
	}
	return call.Error
}

func (l remoteLog) Append(ctx context.Context, data []byte) (broker.Position, error) {
	p := new(broker.Position)
	if err := l.call(ctx, "Append", AppendCall{os.Getpid(), data}, p); err != nil {
		return broker.Position{}, err // p may still be written to
	}
	return *p, nil
}

func (l remoteLog) Head(ctx context.Context) (broker.Position, error) {
	p := new(broker.Position)
	if err := l.call(ctx, "Head", struct{}{}, p); err != nil {
		return broker.Position{}, err
	}
	return *p, nil
}

func (l remoteLog) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	for {
		batch := new([]broker.Entry)
		if err := l.call(ctx, "Read", after, batch); err != nil {
			return err
		}
		if err := deliver(*batch); err != nil {
			return err
		}
		after = (*batch)[len(*batch)-1].Position
	}
}
