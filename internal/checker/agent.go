package checker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/mirror"
)

// agent is a Node process in which TypeScript clients live. See agent/agent.mjs for what is said to it and what it says.
type agent struct {
	world   *world
	command *exec.Cmd
	in      io.WriteCloser
	said    sync.WaitGroup

	mu      sync.Mutex
	clients map[string]*scripted
}

// scripted is one TypeScript client.
type scripted struct {
	agent     *agent
	name, who string
	rnd       *rand.Rand
	proxy     *proxy
	node      *node
	transport string

	mu   sync.Mutex
	subs map[int]*heard
	next int
}

// heard is what a handler was told.
type heard struct {
	interest
	client *scripted
	sub    int
	at     broker.Position
	known  bool
	rest   []said // messages of an entry that has been told in part
	ended  bool
	dump   chan dumped
}

// dumped is what a subscription of the agent shows.
type dumped struct {
	State string
	Rows  []map[string]json.RawMessage
	Keys  []string
	Count *int64
}

// line is one of the agent's.
type line struct {
	Client, Event, Op, Key, Reason, State, Code, Cursor, Detail, Tag string
	Sub                                                              int
	Row                                                              map[string]json.RawMessage
	Rows                                                             []map[string]json.RawMessage
	Keys                                                             []string
	Data                                                             json.RawMessage
	Count                                                            *int64
}

// errNoNode says that there is no Node to run the TypeScript client in.
var errNoNode = errors.New("node is not installed")

// agentScript is where the agent stands in the source tree.
func agentScript() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "agent", "agent.mjs")
}

// startAgent starts Node.
func startAgent(w *world) (*agent, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, errNoNode
	}
	a := &agent{world: w, clients: map[string]*scripted{}}
	a.command = exec.Command(node, "--experimental-websocket", "--no-warnings", agentScript())
	a.command.Stderr = os.Stderr
	if a.in, err = a.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := a.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := a.command.Start(); err != nil {
		return nil, err
	}
	a.said.Go(func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			a.hear(lines.Bytes())
		}
	})
	return a, nil
}

// all returns the clients in their order.
func (a *agent) all() []*scripted {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]*scripted, len(a.clients))
	for i := range all {
		all[i] = a.clients["a"+strconv.Itoa(i)]
	}
	return all
}

// do tells the agent something.
func (a *agent) do(command map[string]any) {
	text, _ := json.Marshal(command)
	a.mu.Lock()
	defer a.mu.Unlock()
	_, _ = a.in.Write(append(text, '\n'))
}

// close ends the process.
func (a *agent) close() {
	_ = a.in.Close()
	stop := time.AfterFunc(20*time.Second, func() { _ = a.command.Process.Kill() })
	a.said.Wait()
	if err := a.command.Wait(); err != nil {
		a.world.tally.Find(Protocol, "the agent ends: %v", err)
	}
	stop.Stop()
	for _, c := range a.all() {
		c.proxy.close()
	}
}

// hear takes a line.
func (a *agent) hear(text []byte) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		a.world.tally.Find(Protocol, "the agent says %q: %v", text, err)
		return
	}
	if l.Event == "bad" || l.Event == "uncaught" {
		a.world.tally.Find(Protocol, "the agent says %s", text)
		return
	}
	a.mu.Lock()
	c := a.clients[l.Client]
	a.mu.Unlock()
	if c == nil {
		return
	}
	c.audit(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.subs[l.Sub]; h != nil {
		h.take(l, text)
	}
}

// audit looks for secrets of others.
func (c *scripted) audit(text []byte) {
	(&client{world: c.agent.world, name: c.name, who: c.who}).audit(text)
}

// open adds a client.
func (a *agent) open(index int, who string, interests []interest) *scripted {
	seed := a.world.config.Seed
	c := &scripted{
		agent: a, name: "a" + strconv.Itoa(index), who: who, subs: map[int]*heard{},
		rnd: rand.New(rand.NewPCG(seed, uint64(30_000+index))),
	}
	draws := rand.New(rand.NewPCG(seed, uint64(40_000+index)))
	var mu sync.Mutex
	c.node = a.world.nodes[c.rnd.IntN(len(a.world.nodes))]
	c.proxy = newProxy(a.world.tally, func(n int) int { mu.Lock(); defer mu.Unlock(); return draws.IntN(n) }, c.node.address)
	a.mu.Lock()
	a.clients[c.name] = c
	a.mu.Unlock()
	c.transport = Transports[index%len(Transports)]
	transports := []string{c.transport}
	if index >= len(Transports) {
		transports = Transports // falls back by itself
	}
	a.do(map[string]any{
		"do": "open", "client": c.name, "url": "http://" + c.proxy.front.Addr().String() + "/as/" + who + "/live/",
		"transports": transports, "pollInterval": 50, "wait": 1, "seed": index,
	})
	for _, i := range interests {
		c.subscribe(i)
	}
	return c
}

func (c *scripted) subscribe(i interest) {
	c.mu.Lock()
	c.next++
	h := &heard{interest: i, client: c, sub: c.next, dump: make(chan dumped, 1)}
	c.subs[h.sub] = h
	c.mu.Unlock()
	m := i.message(0)
	delete(m, "type")
	delete(m, "id")
	m["do"], m["client"], m["sub"] = "subscribe", c.name, h.sub
	c.agent.do(m)
}

// behave has the client's subscriptions come and go, and its handlers throw, until ctx ends.
func (c *scripted) behave(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-time.After(time.Duration(50+c.rnd.IntN(400)) * time.Millisecond):
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		sub := 1 + c.rnd.IntN(c.next)
		h := c.subs[sub]
		c.mu.Unlock()
		switch n := c.rnd.IntN(6); {
		case n == 0:
			if to := c.agent.world.nodes[c.rnd.IntN(len(c.agent.world.nodes))]; to != c.node {
				c.node = to
				c.proxy.to(to.address)
				c.agent.world.tally.Fault(OtherHub)
			}
		case h == nil:
		case n < 4:
			c.agent.world.tally.Fault(Throws)
			c.agent.do(map[string]any{"do": "throw", "client": c.name, "sub": sub})
		default:
			c.agent.world.tally.Fault(Storm)
			c.mu.Lock()
			delete(c.subs, sub)
			c.mu.Unlock()
			c.agent.do(map[string]any{"do": "unsubscribe", "client": c.name, "sub": sub})
			c.subscribe(h.interest)
		}
	}
}

// find notes a finding. The lock is held.
func (h *heard) find(i Invariant, format string, args ...any) {
	args = append([]any{h.client.name, h.client.who, h.client.transport, h.interest.String(), h.at.Major}, args...)
	h.client.agent.world.tally.Find(i, "TypeScript %s (%s, %s), %s, at %d: "+format, args...)
}

// take judges what a handler was told. The client's lock is held.
func (h *heard) take(l line, text []byte) {
	w := h.client.agent.world
	switch l.Event {
	case "dump":
		h.dump <- dumped{l.State, l.Rows, l.Keys, l.Count}
	case "change":
		h.move(l.Cursor, false)
		w.tally.Deliveries.Add(1)
		if l.Op != "leave" && l.Op != "delete" {
			h.fits(l.Key, l.Row)
		}
	case "snapshot", "resync":
		if l.Event == "resync" {
			w.tally.Resync(l.Reason)
		}
		h.rest, h.known = nil, true
		if p, err := broker.ParsePosition(l.Cursor); err == nil {
			h.at = p
		}
		for i, row := range l.Rows {
			h.fits(l.Keys[i], row)
		}
	case "message":
		w.tally.Deliveries.Add(1)
		h.message(l)
	case "count":
		w.tally.Deliveries.Add(1)
	case "status":
		h.ended = l.State == "closed"
		if h.ended && !(h.kind == channel && l.Code == "not_found") {
			h.find(Refused, "%s", text)
		}
	}
}

// move takes a cursor, which must be after the one before, or the same when an entry changes several rows.
func (h *heard) move(cursor string, strictly bool) {
	p, err := broker.ParsePosition(cursor)
	switch {
	case err != nil:
		h.find(Protocol, "the cursor %q: %v", cursor, err)
	case h.known && (p.Epoch != h.at.Epoch || h.at.After(p) && h.kind != window || strictly && !p.After(h.at)):
		h.find(Inversion, "it is told of %v", p)
	}
	h.at, h.known = p, true
}

// message checks that messages are those of the log, each once.
func (h *heard) message(l line) {
	p, err := broker.ParsePosition(l.Cursor)
	if err != nil {
		h.find(Protocol, "the cursor %q: %v", l.Cursor, err)
		return
	}
	if len(h.rest) == 0 {
		if h.known {
			h.rest = h.client.agent.world.oracle.spoken(h.channel, h.at, p)
		} else {
			h.rest = h.client.agent.world.oracle.spokenAt(h.channel, p)
		}
	}
	if len(h.rest) == 0 {
		h.find(Duplicate, "message %s of %v", l.Data, p)
		return
	}
	if h.rest[0].data != string(l.Data) || h.rest[0].at != p {
		h.find(Gap, "it is told %s of %v, and %s of %v is next", l.Data, p, h.rest[0].data, h.rest[0].at)
		h.rest = nil
	} else {
		h.rest = h.rest[1:]
	}
	h.at, h.known = p, true
}

// fits checks that a row is one that the database has had.
func (h *heard) fits(key string, fields map[string]json.RawMessage) {
	(&client{world: h.client.agent.world, name: "TypeScript " + h.client.name, who: h.client.who}).
		fits(&link{transport: h.client.transport}, &subscription{interest: h.interest, mask: everything, at: h.at},
			mirror.Row{Key: key, Version: fields["version"], Fields: fields})
}

// settle waits until all clients show what they must, and judges what they show if they do not.
func (a *agent) settle(ctx context.Context) {
	for _, c := range a.all() {
		c.mu.Lock()
		var all []*heard
		for _, h := range c.subs {
			all = append(all, h)
		}
		c.mu.Unlock()
		for _, h := range all {
			c.compare(ctx, h)
		}
	}
}

func (c *scripted) compare(ctx context.Context, h *heard) {
	w := c.agent.world
	mask, _ := w.rights.of(c.who)
	if owner, ok := chatOwner(h.channel); ok && mask&(1<<owner) == 0 || h.kind == channel {
		return // a channel shows nothing; what it was told was judged as it came
	}
	want, got := w.truth(h.interest, mask), ""
	for ctx.Err() == nil {
		c.agent.do(map[string]any{"do": "dump", "client": c.name, "sub": h.sub})
		select {
		case d := <-h.dump:
			if got = h.shown(d); got == want {
				w.tally.Compared.Add(1)
				return
			}
		case <-ctx.Done():
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	h.find(WrongRows, "it shows%s, and the database has%s", got, want)
}

// shown is what a user would see.
func (h *heard) shown(d dumped) string {
	if h.kind == count {
		if d.Count == nil {
			return "no number"
		}
		return fmt.Sprint(*d.Count)
	}
	rows := &mirror.Feed{Rows: map[string]mirror.Row{}}
	var b strings.Builder
	for i, row := range d.Rows {
		if h.kind == window {
			fmt.Fprintf(&b, " %s@%s", d.Keys[i], row["version"])
		}
		rows.Rows[d.Keys[i]] = mirror.Row{Key: d.Keys[i], Version: row["version"], Fields: row}
	}
	if h.kind == window {
		return b.String()
	}
	for _, r := range rows.Shown() {
		fmt.Fprintf(&b, " %s@%s", r.Key, r.Version)
	}
	return b.String()
}
