//go:build linux

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/swampline/live/bench/internal/load"
)

// scenarios are what is measured, in this order in each round.
var scenarios = []scenario{
	{"fanout", (*bench).fanout},
	{"own", (*bench).own},
	{"mixed", (*bench).mixed},
	{"storm", (*bench).storm},
	{"resync", (*bench).resync},
	{"overload", (*bench).overload},
	{"cores", (*bench).cores},
	{"idle", (*bench).idle},
	{"filters", (*bench).filters},
}

type scenario struct {
	name string
	run  func(b *bench)
}

func scenarioNames() []string {
	return []string{"fanout", "own", "mixed", "storm", "resync", "overload", "cores", "idle", "filters"}
}

// clients are the clients of a server that runs.
type clients struct {
	*process
	*load.Group
	values map[string]float64
}

// with runs a server with clients that are not connected yet, does something, and keeps the figures that it leaves in values.
func (b *bench) with(s spec, f figure, cores, keys int, args []string, do func(c *clients) error) {
	f.Server, f.Values = s.Name, map[string]float64{}
	b.add(f, func() error {
		p, err := b.shop.start(s, f.Transport, cores, slices.Concat([]string{"-size", fmt.Sprint(*size)}, args)...)
		if err != nil {
			return err
		}
		defer p.stop()
		p.keys = keys
		g, err := load.NewGroup(p.ready, f.Transport, f.Clients, keys)
		if err != nil {
			return err
		}
		defer g.Close()
		c := &clients{p, g, f.Values}
		if err := do(c); err != nil {
			return err
		}
		c.values["lost"], c.values["double"], c.values["told"], c.values["closed"] = float64(g.Lost), float64(g.Double), float64(g.Told), float64(g.Closed)
		m, err := p.memory()
		if err == nil && m.Error != "" {
			err = fmt.Errorf("the server says: %s", m.Error)
		}
		return err
	}())
}

// arrive connects all clients and notes what that and they cost.
func (c *clients) arrive(n int) error {
	before, err := c.memory()
	if err != nil {
		return err
	}
	r, err := c.measure(func() error { return c.Connect(0, n, false) })
	if err != nil {
		return err
	}
	c.values["setup_cpu"] = micros(r.CPU) / float64(n)
	c.values["setup_rate"] = float64(n) / r.Took.Seconds()
	after, err := c.memory()
	if err != nil {
		return err
	}
	each := func(a, b float64) float64 { return (a - b) / float64(n) }
	c.values["memory"] = each(float64(after.Memory), float64(before.Memory))
	c.values["live_memory"] = each(float64(after.Live), float64(before.Live))
	c.values["resident"] = each(float64(after.resident), float64(before.resident))
	c.values["goroutines"] = each(float64(after.Goroutines), float64(before.Goroutines))
	return nil
}

func (c *clients) measure(do func() error) (load.Result, error) {
	return c.Measure(c.pid(), os.Getpid(), do)
}

// window measures with so many messages in flight, after a start that does not count.
func (c *clients) window(name string, width int, d time.Duration) error {
	if err := c.Window(width, d/6, c.publish); err != nil {
		return err
	}
	before, err := c.memory()
	if err != nil {
		return err
	}
	r, err := c.measure(func() error { return c.Window(width, d, c.publish) })
	if err != nil {
		return err
	}
	after, err := c.memory()
	if err != nil {
		return err
	}
	c.note(name, r)
	if after.Allocations > 0 {
		c.values[name+"_allocations"] = float64(after.Allocations-before.Allocations) / float64(max(1, r.Deliveries))
	}
	return nil
}

// note keeps what a measurement of deliveries found.
func (c *clients) note(name string, r load.Result) {
	deliveries := float64(max(1, r.Deliveries))
	c.values[name+"_cpu"] = micros(r.CPU) / deliveries
	c.values[name+"_rate"] = deliveries / r.Took.Seconds()
	c.values[name+"_bytes"] = float64(r.Bytes) / deliveries
	c.values[name+"_own"] = micros(r.Own) / deliveries
	c.values[name+"_busy"] = float64(r.CPU) / float64(r.Took)
}

// rate measures messages that come one by one.
func (c *clients) rate(name string, perSecond, leaving int, d time.Duration) error {
	var latency []time.Duration
	r, err := c.measure(func() (err error) {
		latency, err = c.Rate(perSecond, leaving, d, c.publish)
		return err
	})
	if err != nil {
		return err
	}
	r.Latency = latency
	c.note(name, r)
	for part, is := range map[string]float64{"p50": 0.5, "p99": 0.99, "p999": 0.999} {
		c.values[name+"_"+part] = micros(r.Percentile(is))
	}
	return nil
}

// profiled runs do with a CPU profile, and leaves a heap profile, if that is wanted.
func (c *clients) profiled(f figure, server, name string, do func() error) error {
	if *profiles == "" {
		return do()
	}
	dir, err := filepath.Abs(*profiles)
	if err == nil {
		err = os.MkdirAll(dir, 0o777)
	}
	if err != nil {
		return err
	}
	file := filepath.Join(dir, strings.ReplaceAll(fmt.Sprintf("%s-%s-%d-%s", server, f.Transport, f.Clients, name), " ", "-"))
	if err := c.profile("cpu " + file + ".cpu.prof"); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if err := c.profile("off"); err != nil {
		return err
	}
	return c.profile("heap " + file + ".heap.prof")
}

// line is the figure for who watches.
func (f figure) line() string {
	if f.Problem != "" {
		return "PROBLEM: " + f.Problem
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(f.Values)) {
		if v := f.Values[name]; v != 0 {
			words = append(words, fmt.Sprintf("%s=%.4g", name, v))
		}
	}
	return strings.Join(words, " ")
}
