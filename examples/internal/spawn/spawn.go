// Package spawn builds and runs the examples as processes, for tests that kill them.
package spawn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"testing"
)

// Process is a command that a test runs. It is told to end with the thread that started it, so that thread is kept for it: a test
// that is killed leaves none behind.
type Process struct {
	// Done is closed when it has ended, with Err.
	Done chan struct{}
	// Err is what came of waiting for it; nil when it exited with 0.
	Err error

	cmd *exec.Cmd
}

// Start starts a command, whose SysProcAttr it sets. The error is that of cmd.Start.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, Done: make(chan struct{})}
	cmd.SysProcAttr = dieWithParent()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.Done)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.Err = cmd.Wait()
		}
	}()
	return p, <-started
}

// Kill ends it without a word, and returns when it has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // the only error is that it has ended already
	<-p.Done
}

// Build builds an example, by its name, for a test in the folder of any example, and returns the binary. It reads the sources, so that go
// test does not take the result of another binary out of its cache; for the same end the test's package imports what they do.
func Build(t *testing.T, name string) string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join("..", name, "*.go"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("examples/%s has the sources %v (%v)", name, sources, err)
	}
	for _, source := range sources {
		if _, err := os.ReadFile(source); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(t.TempDir(), name)
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if said, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/swampline/live/examples/"+name).CombinedOutput(); err != nil {
		t.Fatalf("building examples/%s: %v\n%s", name, err, said)
	}
	return binary
}

// Node is one process of an example that serves, and those that come after it in its place. Start and Kill are for one goroutine at a
// time; Address and Log may be called by any.
type Node struct {
	// Binary is what runs, as Build returned it, with Args.
	Binary string
	Args   []string
	// Log is what it wrote to its standard error.
	Log Log

	mu   sync.Mutex
	addr string // where it listens now, or did last
	run  *Process
}

// said finds what a node says of itself when it listens.
var said = regexp.MustCompile(`http://(\S+)`)

// Start starts the process and returns when it listens.
func (n *Node) Start() error {
	cmd := exec.Command(n.Binary, n.Args...)
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, &n.Log
	p, err := Start(cmd)
	if err != nil {
		return err
	}
	go func() { <-p.Done; in.Close() }()
	line := make([]byte, 1<<10) // it writes one, at once
	length, err := out.Read(line)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	found := said.FindSubmatch(line[:length])
	if found == nil {
		p.Kill()
		return errors.Join(fmt.Errorf("it says %q", line[:length]), err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.run, n.addr = p, string(found[1])
	return nil
}

// Kill ends the process as a crash does.
func (n *Node) Kill() {
	n.mu.Lock()
	p := n.run
	n.mu.Unlock()
	if p != nil {
		p.Kill()
	}
}

// Address returns where it listens, if it does.
func (n *Node) Address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr
}

// Log is text for one who writes while another reads. The zero Log is empty.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds to it.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
