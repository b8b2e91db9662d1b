//go:build linux

package main

import (
	"testing"
	"time"
)

// coresAre are figures of one core and two, so busy and so fast.
func coresAre(busy [2]float64, clients float64, rates ...float64) (all figures) {
	for i, rate := range rates {
		all = append(all, figure{Scenario: ofCores.scenario, Transport: ofCores.transport, Clients: ofCores.clients, Server: withCores(shared, i+1), Round: 1,
			Values: map[string]float64{"flow_rate": rate, "flow_busy": busy[i], "flow_clients": clients}})
	}
	return all
}

func TestTwoCoresAreJudgedOnlyByAnIdleMachine(t *testing.T) {
	for _, test := range []struct {
		all  figures
		want string
	}{
		{coresAre([2]float64{0.95, 1.85}, 0.05, 100, 190), "met"},
		{coresAre([2]float64{0.85, 1.85}, 0.05, 100, 190), "this machine could not measure it: the server used 0.85 of 1"},
		{coresAre([2]float64{0.95, 1.75}, 0.05, 100, 190), "met"},
		{coresAre([2]float64{0.95, 1.75}, 0.05, 100, 160), "this machine could not measure it: the server used 1.75 of 2"},
		{coresAre([2]float64{0.95, 1.85}, 0.05, 100, 160), "**missed**"},
		{coresAre([2]float64{0.95, 1.85}, 0.15, 100, 190), "this machine could not measure it: the clients used 0.15"},
		{nil, "not measured"},
	} {
		for _, j := range judge(test.all) {
			if j.What == "two cores" && j.verdict() != test.want {
				t.Errorf("%+v: %q, want %q", test.all, j.verdict(), test.want)
			}
		}
	}
}

// TestAServerFlows starts a server that publishes by itself: each delivery is a write, and all of them come.
func TestAServerFlows(t *testing.T) {
	dir := t.TempDir()
	t.Chdir("..") // programs are built from there
	b := &bench{shop: &workshop{dir: dir, built: map[string]built{}}, round: 1}
	s := named(shared) // its clients know when they are subscribed
	b.with(s, figure{Scenario: "cores", Transport: "websocket", Clients: 20}, 2, 0, flowArgs(s), func(c *clients) error {
		c.Gulps = true
		if err := c.Connect(0, 20, false); err != nil {
			return err
		}
		return c.flow("flow", 50*time.Millisecond)
	})
	f := b.found[0]
	v := f.Values
	if f.Problem != "" || v["flow_rate"] <= 0 || v["flow_writes"] < 0.99 || v["lost"]+v["double"]+v["closed"] != 0 {
		t.Errorf("%s: %v %s", f.Server, v, f.Problem)
	}
}
