//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/swampline/live/bench/internal/load"
	"github.com/swampline/live/bench/internal/server"
)

// loaded is a server with its clients.
type loaded struct {
	*process
	*load.Group
	target
	o      options
	before server.Stats // before anybody came; only of memory
}

// begin starts a server for clients that are not connected yet.
func begin(o options, binary string, t target, variables ...string) (*loaded, error) {
	keys := 0
	if t.source == "own" {
		keys = o.clients
	}
	p, err := start(binary, variables, "-transport", t.transport, "-source", t.source, "-keys", strconv.Itoa(o.clients),
		"-portable="+strconv.FormatBool(o.portable))
	if err != nil {
		return nil, err
	}
	g, err := load.NewGroup(p.ready, t.transport, o.clients, keys)
	if err != nil {
		_ = p.end()
		return nil, err
	}
	return &loaded{process: p, Group: g, target: t, o: o}, nil
}

// end says what must not have happened.
func (l *loaded) end() error {
	c := l.Counts
	l.Group.Close()
	if err := l.process.end(); err != nil {
		return err
	}
	if c.Lost+c.Double+c.Closed > 0 {
		return fmt.Errorf("%d messages were lost, %d came again, and the server ended %d connections", c.Lost, c.Double, c.Closed)
	}
	return nil
}

func (l *loaded) publish(first, count int) error {
	if l.source == "own" {
		return l.tell("publish", first, count, l.o.clients)
	}
	return l.tell("publish", first, count)
}

// times writes the CPU profiles of a target.
func times(o options, binary string, t target) error {
	l, err := begin(o, binary, t)
	if err != nil {
		return err
	}
	for _, of := range []struct {
		name string
		do   func() error
	}{
		{"connect", l.connect},
		{"w1", func() error { return l.Window(1, o.lasts, l.publish) }},
		{"w32", func() error { return l.Window(32, o.lasts, l.publish) }},
	} {
		if err := l.time(of.name, of.do); err != nil {
			_ = l.end()
			return fmt.Errorf("%s: %w", of.name, err)
		}
	}
	return l.end()
}

// connect has all clients come for the first time, and then leave and come again with what they have until the time is over. Those that poll come
// for the first time each time: a poll with what they have would wait, as there is nothing new.
func (l *loaded) connect() error {
	again := false
	for end := time.Now().Add(l.o.lasts); ; again = l.transport != "longpoll" {
		if err := l.Connect(0, l.o.clients, again); err != nil {
			return err
		}
		if time.Now().After(end) {
			return nil
		}
		l.Leave(0, l.o.clients)
	}
}

// time writes a CPU profile of what do makes the server do, and prints what took most of it.
func (l *loaded) time(name string, do func() error) error {
	file := l.o.file(l.target, name, "cpu")
	if err := l.profile("cpu", file); err != nil {
		return err
	}
	result, err := l.Measure(l.cmd.Process.Pid, os.Getpid(), do)
	if err != nil {
		return err
	}
	if err := l.profile("off"); err != nil {
		return err
	}
	cost := ""
	if result.Deliveries > 0 {
		cost = fmt.Sprintf(", %.2f µs for each of %d deliveries", result.CPU.Seconds()*1e6/float64(result.Deliveries), result.Deliveries)
	}
	fmt.Fprintf(l.o.out, "\n%v-%s: %v of CPU in %v%s\n", l.target, name, result.CPU.Round(time.Millisecond), result.Took.Round(time.Millisecond), cost)
	if err := l.o.show(file); err != nil {
		return err
	}
	labels, err := pprof("-tags", file)
	fmt.Fprint(l.o.out, labels)
	return err
}

// every is how many bytes are allocated, on average, from one that the heap profile knows to the next: few, as a connection has only
// thousands of them. It makes allocating slower, which is why CPU profiles are taken of another process.
const every = 512

// ours is what allocates in the server for these profiles.
const ours = `bench/internal/server\.(heap|measure|say)$`

// memory writes the heap profiles of a target.
func memory(o options, binary string, t target) error {
	l, err := begin(o, binary, t, fmt.Sprintf("GODEBUG=memprofilerate=%d", every))
	if err != nil {
		return err
	}
	err = l.ask(&l.before, "stats")
	if err == nil {
		err = l.Connect(0, o.clients, false)
	}
	if err == nil {
		err = l.heap("idle")
	}
	if err == nil {
		err = l.Window(1, o.lasts, l.publish)
	}
	if err == nil {
		err = l.heap("w1", "-sample_index=alloc_space", "-base="+l.o.file(l.target, "idle", "heap"), "-ignore="+ours)
	}
	if err != nil {
		_ = l.end()
		return err
	}
	return l.end()
}

// heap writes a heap profile and prints what has most of it.
func (l *loaded) heap(name string, flags ...string) error {
	var s server.Stats
	if err := l.ask(&s, "stats"); err != nil {
		return err
	}
	file := l.o.file(l.target, name, "heap")
	if err := l.profile("heap", file); err != nil {
		return err
	}
	n := l.Following()
	each := (int64(s.Live) - int64(l.before.Live)) / int64(max(1, n))
	fmt.Fprintf(l.o.out, "\n%v-%s: %d clients, %d goroutines, %d bytes of heap and stacks a client\n", l.target, name, n, s.Goroutines, each)
	return l.o.show(file, flags...)
}
