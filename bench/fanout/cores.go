//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/swampline/live/bench/internal/load"
	"github.com/swampline/live/bench/internal/server"
)

// ofCores is where the figures of one core and two are.
var ofCores = place{"cores", "websocket", 1000}

func withCores(server string, cores int) string { return fmt.Sprintf("%s, %d core", server, cores) }

// cores is the same server with one core and with two. Nothing else may bound it: it publishes by itself, the next message when the last is written, and
// the system throws away what the clients are sent.
func (b *bench) cores() {
	for _, s := range []spec{named(raw), named(shared)} {
		for _, cores := range []int{1, 2} {
			one := s
			one.Name = withCores(s.Name, cores)
			f := figure{Scenario: ofCores.scenario, Transport: ofCores.transport, Clients: ofCores.clients}
			b.with(one, f, cores, 0, flowArgs(s), func(c *clients) error {
				c.Gulps = true
				if err := c.arrive(f.Clients); err != nil {
					return err
				}
				if err := c.flow("flow", *length/6); err != nil { // a start that does not count
					return err
				}
				return c.profiled(f, one.Name, "flow", func() error { return c.flow("flow", *length) })
			})
		}
	}
}

func flowArgs(s spec) []string {
	if s.Name == raw {
		return nil
	}
	return []string{"-flow"}
}

// elsewhere is more than a server writes to others than its clients meanwhile, in bytes: answers to commands, and to itself, to wake up.
const elsewhere = 4 << 10

// flow measures a server that publishes by itself. What it says that it delivered, and what it wrote, must have come.
func (c *clients) flow(name string, d time.Duration) error {
	came := c.Bytes
	if err := c.Ask(1, c.publish); err != nil {
		return err
	}
	each := (c.Bytes - came) / int64(c.Following()) // numbers only become longer
	wrote, calls, err := load.Written(c.pid())
	if err != nil {
		return err
	}
	var did server.Flowed
	command := fmt.Sprintf("flow %d %d %d", c.Newest()+1, c.Following(), d.Milliseconds())
	r, err := c.measure(func() error {
		return c.Discard(func() (int, error) {
			err := c.ask(command, &did)
			return did.Messages, err
		})
	})
	if err == nil && did.Error != "" {
		err = errors.New(did.Error)
	}
	if err != nil {
		return err
	}
	wroteAfter, callsAfter, err := load.Written(c.pid())
	if err != nil {
		return err
	}
	r.Took, r.Deliveries = time.Duration(did.Seconds*float64(time.Second)), did.Deliveries // the clients look a little longer
	c.Lost += max(0, max(did.Deliveries*each, wroteAfter-wrote-elsewhere)-r.Bytes) / each
	c.note(name, r)
	c.values[name+"_clients"] = float64(r.Own) / float64(r.Took)
	c.values[name+"_writes"] = float64(callsAfter-calls) / float64(max(1, did.Deliveries))
	return c.Ask(1, c.publish)
}

// The machine was the server's while it was at least so busy, of each of its cores, and the clients at most so much.
const (
	busyEnough  = 0.9
	clientsMost = 0.1
	coresGoal   = 1.7
)

// disturbed says why the figures of one core and two tell nothing of the server, if they do not. Two cores that had not enough to do are at least as good as
// what was found.
func (all figures) disturbed() string {
	for cores := 1; cores <= 2; cores++ {
		name := withCores(shared, cores)
		if clients, _ := all.median(ofCores, name, "flow_clients"); clients > clientsMost {
			return fmt.Sprintf("the clients used %.2f", clients)
		}
		ratio, _ := all.ratio(ofCores, withCores(shared, 2), withCores(shared, 1), "flow_rate")
		if busy, _ := all.median(ofCores, name, "flow_busy"); busy < busyEnough*float64(cores) && (cores == 1 || ratio < coresGoal) {
			return fmt.Sprintf("the server used %.2f of %d", busy, cores)
		}
	}
	return ""
}
