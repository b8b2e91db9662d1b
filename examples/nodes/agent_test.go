package nodes

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/swampline/live/examples/internal/spawn"
)

// agent is a Node process in which TypeScript clients live: that of the checker, where stands what is said to it and what it says.
type agent struct {
	t  *testing.T
	in io.WriteCloser

	mu     sync.Mutex
	feeds  map[string]*feed       // by client and subscription
	away   map[string]int         // how often each client was told that its node has lost the log
	bad    []string               // what no client may say
	owed   map[string]chan<- line // by tag
	tags   int
	moved  chan struct{} // closed, and another one, when something was said
	closed bool
}

// feed is what one subscription was told.
type feed struct {
	router string
	ready  bool
	told   []line // the calls of its handlers: snapshot, resync and change
	again  bool   // there was a resync among them
	shown  *line  // what it showed when it was asked last
}

// line is one of the agent's.
type line struct {
	Client        string
	Sub           int
	Event, Detail string
	State         string // of a status
	Degraded      bool   // of a client's status
	Tag, Outcome  string // of a write

	Op, Key, Cursor, Reason string
	Row                     row
	Rows                    []row
}

// startAgent starts Node. Without it the test is skipped, and fails where CI is set.
func startAgent(t *testing.T) *agent {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		const missing = "this test needs Node 20 or newer, for the TypeScript client"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	a := &agent{t: t, feeds: map[string]*feed{}, away: map[string]int{}, owed: map[string]chan<- line{}, moved: make(chan struct{})}
	cmd := exec.Command(node, "--experimental-websocket", "--no-warnings", filepath.Join("..", "..", "internal", "checker", "agent", "agent.mjs"))
	cmd.Stderr = os.Stderr
	if a.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	cmd.Stdout = in
	p, err := spawn.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			a.hear(lines.Bytes())
		}
	}()
	t.Cleanup(func() {
		a.close()
		<-p.Done // it closes its clients and ends
		in.Close()
		<-heard
		if p.Err != nil {
			t.Errorf("the agent ended with %v", p.Err)
		}
	})
	return a
}

// close tells it to end. Writes that are under way have no answer.
func (a *agent) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.closed = true
		a.in.Close()
	}
}

// do tells it something.
func (a *agent) do(command map[string]any) {
	text, err := json.Marshal(command)
	if err != nil {
		panic(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		_, _ = a.in.Write(append(text, '\n'))
	}
}

// open opens a client that uses these transports.
func (a *agent) open(client, url string, transports ...string) {
	a.do(map[string]any{"do": "open", "client": client, "url": url + "/live/", "transports": transports, "pollInterval": 100, "wait": 2})
}

// subscribe makes a subscription of a client, of what more says.
func (a *agent) subscribe(client string, sub int, router string, more map[string]any) {
	a.mu.Lock()
	a.feeds[client+"/"+strconv.Itoa(sub)] = &feed{router: router}
	a.mu.Unlock()
	command := map[string]any{"do": "subscribe", "client": client, "sub": sub, "router": router}
	for name, value := range more {
		command[name] = value
	}
	a.do(command)
}

// write writes with a subscription, and waits for the outcome, which is empty if ctx ends before.
func (a *agent) write(ctx context.Context, client string, sub int, more map[string]any) line {
	outcome := make(chan line, 1)
	a.mu.Lock()
	a.tags++
	tag := strconv.Itoa(a.tags)
	a.owed[tag] = outcome
	a.mu.Unlock()
	command := map[string]any{"do": "write", "client": client, "sub": sub, "tag": tag}
	for name, value := range more {
		command[name] = value
	}
	a.do(command)
	select {
	case got := <-outcome:
		return got
	case <-ctx.Done():
		return line{}
	}
}

// hear takes a line.
func (a *agent) hear(text []byte) {
	var l line
	err := json.Unmarshal(text, &l)
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() {
		close(a.moved)
		a.moved = make(chan struct{})
	}()
	feed := a.feeds[l.Client+"/"+strconv.Itoa(l.Sub)]
	switch {
	case err != nil, l.Event == "bad", l.Event == "uncaught", l.Event == "status" && l.State == "closed":
		a.bad = append(a.bad, string(text))
	case l.Event == "status" && l.Sub == 0 && l.Degraded:
		a.away[l.Client]++
	case l.Event == "written":
		a.owed[l.Tag] <- l
		delete(a.owed, l.Tag)
	case feed == nil:
	case l.Event == "ready":
		feed.ready = true
	case l.Event == "dump":
		feed.shown = &l
	case l.Event == "change", l.Event == "snapshot", l.Event == "resync":
		feed.told = append(feed.told, l)
		feed.again = feed.again || l.Event == "resync"
	}
}

// await waits until what is asked for is so, as it is looked at whenever the agent has said something.
func (a *agent) await(ctx context.Context, what string, so func() bool) {
	a.t.Helper()
	for {
		a.mu.Lock()
		yes, moved, bad := so(), a.moved, a.bad
		a.mu.Unlock()
		if len(bad) > 0 {
			a.t.Fatalf("%s: the agent says %s", what, bad)
		}
		if yes {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			a.t.Fatalf("%s: not so until %v", what, ctx.Err())
		}
	}
}
