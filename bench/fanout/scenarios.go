//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// fanout is one message to everybody: what coming costs, what staying costs, and what a delivery costs with 1 message in flight (w1), with 32 (w32),
// and at a fixed rate.
func (b *bench) fanout() {
	for _, transport := range b.transports() {
		for _, n := range b.clients {
			for _, s := range servers {
				if slices.Contains(s.Transports, transport) && (s.Name == raw || b.who.MatchString(s.Name)) {
					b.fanoutOf(s, figure{Scenario: "fanout", Transport: transport, Clients: n})
				}
			}
		}
	}
}

func (b *bench) fanoutOf(s spec, f figure) {
	b.with(s, f, 0, 0, nil, func(c *clients) error {
		if err := c.arrive(f.Clients); err != nil {
			return err
		}
		for _, w := range []struct {
			name  string
			width int
		}{{"w1", 1}, {"w32", 32}} {
			if err := c.profiled(f, s.Name, w.name, func() error { return c.window(w.name, w.width, *length) }); err != nil {
				return err
			}
		}
		if f.Clients == 1000 {
			if err := c.rate("fixed", 20, 0, 3*time.Second); err != nil {
				return err
			}
		}
		if c.ready.Again == nil || f.Clients < 1000 || f.Transport == "longpoll" { // each poll is one that comes again
			return nil
		}
		return c.comeAgain(f.Clients)
	})
}

// comeAgain has all clients leave and resume.
func (c *clients) comeAgain(n int) error {
	c.Keep = true
	if err := c.Ask(1, c.publish); err != nil {
		return err
	}
	c.Leave(0, n)
	if err := c.Ask(1, c.publish); err != nil { // a server that reads nothing notices that they left when it writes
		return err
	}
	if err := c.gone(); err != nil {
		return err
	}
	r, err := c.measure(func() error { return c.Connect(0, n, true) })
	if err != nil {
		return err
	}
	c.values["again_cpu"] = micros(r.CPU) / float64(n)
	return nil
}

// gone waits until the server has noticed that its clients left: until it does nothing any more, which a garbage collection is part of.
func (c *clients) gone() error {
	for range 30 {
		if _, err := c.memory(); err != nil {
			return err
		}
		r, err := c.measure(func() error { time.Sleep(200 * time.Millisecond); return nil })
		if err != nil || r.CPU < 2*time.Millisecond {
			return err
		}
	}
	return nil // it always has something to do
}

// own is a message for one client, whose filter is its own, among all others: limit-raw writes the same to the same clients.
func (b *bench) own() {
	for _, s := range []spec{named(raw), ofOwn} {
		f := figure{Scenario: "own", Transport: "websocket", Clients: *many}
		b.with(s, f, 0, *many, ownArgs(s), func(c *clients) error {
			if err := c.arrive(f.Clients); err != nil {
				return err
			}
			for _, w := range []struct {
				name  string
				width int
			}{{"w1", 1}, {"w32", 32}} {
				if err := c.profiled(f, s.Name, w.name, func() error { return c.window(w.name, w.width, *length) }); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func ownArgs(s spec) []string {
	if s.Name == raw {
		return nil
	}
	return []string{"-keys", fmt.Sprint(*many)}
}

// mixed is clients of which 1 % leave each second and come again at once, while 200 changes a second flow, each for ten of them.
func (b *bench) mixed() {
	lists := max(1, *many/10)
	for _, s := range []spec{ofOwn} {
		f := figure{Scenario: "mixed", Transport: "websocket", Clients: *many}
		b.with(s, f, 0, lists, []string{"-keys", fmt.Sprint(lists)}, func(c *clients) error {
			c.Keep = true
			if err := c.arrive(f.Clients); err != nil {
				return err
			}
			return c.rate("mixed", 200, max(1, *many/100), 10*time.Second)
		})
	}
}

// storm is all clients coming back at once, each with 100 changes to catch up.
func (b *bench) storm() {
	for _, s := range []spec{named(raw), named(batch), named(channel), named(shared)} {
		f := figure{Scenario: "storm", Transport: "websocket", Clients: *many}
		b.with(s, f, 0, 0, nil, func(c *clients) error { return c.missing(f.Clients, 100) })
	}
}

// resync is the same with a hub that has forgotten what they missed. A list takes the time of a database.
func (b *bench) resync() {
	f := figure{Scenario: "resync", Transport: "websocket", Clients: *many}
	b.with(named(shared), f, 0, 0, []string{"-history", "50", "-query", "20ms"}, func(c *clients) error { return c.missing(f.Clients, 100) })
}

// missing has all clients leave, miss messages, and come again.
func (c *clients) missing(n, messages int) error {
	c.Keep = true
	if err := c.arrive(n); err != nil {
		return err
	}
	if err := c.Ask(1, c.publish); err != nil {
		return err
	}
	c.Leave(0, n)
	if err := c.gone(); err != nil {
		return err
	}
	var before memory
	for range 10 {
		if err := c.Ask(messages/10, c.publish); err != nil {
			return err
		}
		var err error
		if before, err = c.memory(); err != nil { // and so it has done what was asked for
			return err
		}
	}
	r, err := c.measure(func() error {
		if err := c.Connect(0, n, true); err != nil {
			return err
		}
		return c.Settle(n)
	})
	if err != nil {
		return err
	}
	after, err := c.memory()
	if err != nil {
		return err
	}
	c.note("storm", r)
	c.values["client_cpu"] = micros(r.CPU) / float64(n)
	c.values["client_bytes"] = float64(r.Bytes) / float64(n)
	c.values["seconds"] = r.Took.Seconds()
	c.values["lists"] = float64(after.Lists - before.Lists)
	return nil
}

// overload is more than clients take: they do not read until everything was said, and half of it is forgotten then.
func (b *bench) overload() {
	const n, messages, bytes, history = 50, 20_000, 1000, 10_000
	for _, s := range []spec{named(channel), named(shared)} {
		f := figure{Scenario: "overload", Transport: "websocket", Clients: n}
		b.with(s, f, 0, 0, []string{"-size", fmt.Sprint(bytes), "-history", fmt.Sprint(history)}, func(c *clients) error {
			if err := c.arrive(n); err != nil {
				return err
			}
			if err := c.Ask(1, c.publish); err != nil {
				return err
			}
			r, err := c.measure(func() error {
				for range messages / history * 2 { // it is the clients who are to be overloaded, and not the hub, which follows the same log
					if err := c.Say(history/2, c.publish); err != nil {
						return err
					}
					if _, err := c.memory(); err != nil { // is answered when all is said, and followed
						return err
					}
				}
				return c.Settle(n)
			})
			c.note("overload", r)
			return err
		})
	}
}

// idle is what a connection costs that takes the path of TLS and other systems.
func (b *bench) idle() {
	for _, transport := range []string{"websocket", "sse"} {
		f := figure{Scenario: "idle", Transport: transport, Clients: *many}
		b.with(named(shared), f, 0, 0, []string{"-portable"}, func(c *clients) error { return c.arrive(f.Clients) })
	}
}

// filters is publishing to a hub that has so many subscriptions, each with a filter of its own, of which one matches. It runs without connections.
// They are those of a thousand sessions, which sleep until a change is theirs; a single one has a session that never sleeps. There are as many
// changes as the garbage collector needs to come round. It repeats itself, so one round of it is enough.
func (b *bench) filters() {
	if b.round > 1 {
		return
	}
	program, err := b.shop.build(spec{Dir: ".", Package: "./filters"})
	for _, n := range []int{1, 1000, 10_000, 100_000, 1_000_000} {
		f := figure{Scenario: "filters", Clients: n, Server: "live", Values: map[string]float64{}}
		if err == nil {
			var out []byte
			out, err = exec.Command(program[0], "-filters", fmt.Sprint(n), "-each", fmt.Sprint(max(1, n/1000)), "-publishes", fmt.Sprint(max(20_000, n/2))).Output()
			if err == nil {
				err = json.Unmarshal(out, &f.Values)
			}
		}
		b.add(f, err)
	}
}

func (b *bench) transports() (wanted []string) {
	for _, t := range transports {
		if slices.Contains(strings.Split(*over, ","), t) {
			wanted = append(wanted, t)
		}
	}
	return wanted
}
