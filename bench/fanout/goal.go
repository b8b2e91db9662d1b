//go:build linux

package main

import (
	"fmt"
	"strings"
)

// goal is one that the library is held to.
type goal struct {
	what  string
	unit  string // of the bound and of what was found: "×", "B", …
	bound float64
	least bool // the bound is the least that is wanted, else the most
	found func(all figures) (float64, bool)
	// unfit says why the machine could not measure it, if it could not; nil if every machine can.
	unfit func(all figures) string
}

// judged is how a goal was met.
type judged struct {
	What  string  `json:"what"`
	Goal  string  `json:"goal"`
	Found float64 `json:"found"`
	Known bool    `json:"known"`
	Met   bool    `json:"met"`
	Unfit string  `json:"unfit,omitempty"`
	unit  string
}

// judge says of each goal whether it was met.
func judge(all figures) (found []judged) {
	for _, g := range goals() {
		j := judged{What: g.what, unit: g.unit}
		sign := "≤"
		if g.least {
			sign = "≥"
		}
		j.Goal = sign + " " + amount(g.bound, g.unit)
		if j.Found, j.Known = g.found(all); j.Known {
			j.Met = j.Found <= g.bound
			if g.least {
				j.Met = j.Found >= g.bound
			}
			if g.unfit != nil {
				j.Unfit = g.unfit(all)
			}
		}
		found = append(found, j)
	}
	return found
}

func amount(v float64, unit string) string {
	text := fmt.Sprintf("%.2f", v)
	if v >= 100 || v == float64(int(v)) {
		text = fmt.Sprintf("%.0f", v)
	}
	return strings.TrimSpace(text + " " + unit)
}

// verdict is met, missed, or why nobody knows.
func (j judged) verdict() string {
	switch {
	case !j.Known:
		return "not measured"
	case j.Unfit != "":
		return "this machine could not measure it: " + j.Unfit
	case j.Met:
		return "met"
	}
	return "**missed**"
}

// of returns the ratio of a value of one server to that of another, at one place of fanout.
func of(transport string, clients int, server, to, value string) func(figures) (float64, bool) {
	return func(all figures) (float64, bool) {
		return all.ratio(place{"fanout", transport, clients}, server, to, value)
	}
}

// single returns a value itself.
func single(scenario, transport string, clients int, server, value string) func(figures) (float64, bool) {
	return func(all figures) (float64, bool) {
		return all.median(place{scenario, transport, clients}, server, value)
	}
}

func goals() (list []goal) {
	for _, transport := range []string{"websocket", "sse"} {
		list = append(list, delivery(transport)...)
	}
	list = append(list,
		goal{what: "p99 of 1,000 clients × 20/s, websocket", unit: "× raw", bound: 1.15, found: of("websocket", 1000, shared, raw, "fixed_p99")},
		goal{what: "one distinct filter for each client, each change concerns one: CPU a delivery, w32", unit: "× raw", bound: 1.5, found: ratioOf("own", own, raw, "w32_cpu")},
		goal{what: "allocations for each of 10,000 subscribers", bound: 0.05, found: single("fanout", "websocket", 10_000, shared, "w1_allocations")},
	)
	list = append(list, memories()...)
	list = append(list, protocols()...)
	for _, v := range []struct{ what, value string }{{"first", "setup_cpu"}, {"with a cursor", "again_cpu"}} {
		list = append(list, goal{what: "set-up CPU, 10,000 clients, " + v.what, unit: "× raw", bound: 3.5, found: of("websocket", 10_000, shared, raw, v.value)})
	}
	return append(list, others()...)
}

// delivery are the goals of fanout over a transport.
func delivery(transport string) (list []goal) {
	for _, n := range []int{100, 1000, 10_000} {
		most := 1.1
		if n == 100 {
			most = 1.15
		}
		at := fmt.Sprintf(", %d clients, %s", n, transport)
		list = append(list,
			goal{what: "CPU a delivery, w1" + at, unit: "× raw", bound: most, found: of(transport, n, shared, raw, "w1_cpu")},
			goal{what: "deliveries/s, w1" + at, unit: "× raw", bound: 0.9, least: true, found: of(transport, n, shared, raw, "w1_rate")})
		if n == 100 {
			continue
		}
		list = append(list,
			goal{what: "deliveries/s, w32" + at, unit: "× raw", bound: 6, least: true, found: of(transport, n, shared, raw, "w32_rate")},
			goal{what: "deliveries/s, w32" + at, unit: "× batch", bound: 0.6, least: true, found: of(transport, n, shared, batch, "w32_rate")},
			goal{what: "CPU a delivery, w32" + at, unit: "× raw", bound: 0.15, found: of(transport, n, shared, raw, "w32_cpu")},
			goal{what: "a router's filter, CPU a delivery, w1" + at, unit: "× channel", bound: 1.15, found: of(transport, n, shared, channel, "w1_cpu")},
			goal{what: "a router's filter, CPU a delivery, w32" + at, unit: "× channel", bound: 1.15, found: of(transport, n, shared, channel, "w32_cpu")})
	}
	return list
}

// memories are the goals of idle connections.
func memories() (list []goal) {
	for _, m := range []struct {
		scenario, transport, path string
		most                      float64
	}{
		{"fanout", "websocket", "plain TCP", 5000}, {"idle", "websocket", "portable", 9500},
		{"fanout", "sse", "plain TCP", 3000}, {"idle", "sse", "portable", 5500},
	} {
		list = append(list, goal{
			what: fmt.Sprintf("idle, with one subscription, %s, %s", m.transport, m.path), unit: "bytes", bound: m.most,
			found: single(m.scenario, m.transport, 10_000, shared, "live_memory"),
		})
	}
	return list
}

// protocols are the goals of a channel whose clients speak Pusher's protocol, beside one whose clients speak the module's own.
func protocols() (list []goal) {
	for _, n := range []int{1000, 10_000} {
		for _, w := range []string{"w1", "w32"} {
			list = append(list, goal{
				what: fmt.Sprintf("Pusher's protocol, CPU a delivery, %s, %d clients", w, n), unit: "× channel", bound: 1.15,
				found: of("websocket", n, foreign, channel, w+"_cpu"),
			})
		}
	}
	return append(list, goal{what: "Pusher's protocol, idle, with one subscription, plain TCP", unit: "× channel", bound: 1.25, found: of("websocket", 10_000, foreign, channel, "live_memory")})
}

// others are the goals of the other scenarios.
func others() []goal {
	filters := func(clients int) place { return place{"filters", "", clients} }
	return []goal{
		{what: "publish against 10⁶ distinct filters, beyond what it costs against 1, whose session never sleeps", unit: "µs", bound: 2, found: func(all figures) (float64, bool) {
			most, known := all.median(filters(1_000_000), "live", "publish_cpu")
			least, both := all.median(filters(1), "live", "publish_cpu")
			return most - least, known && both
		}},
		{what: "publish against 10⁶ distinct filters, beyond what it costs against 10³, in as many sessions", unit: "µs", bound: 2, found: func(all figures) (float64, bool) {
			most, known := all.median(filters(1_000_000), "live", "publish_cpu")
			least, both := all.median(filters(1000), "live", "publish_cpu")
			return most - least, known && both
		}},
		{what: "publish against 10⁶ distinct filters", unit: "× 10³ filters", bound: 2, found: func(all figures) (float64, bool) {
			return all.across(filters(1_000_000), "live", "publish_cpu", filters(1000), "live", "publish_cpu")
		}},
		{what: "resume storm, CPU a client", unit: "× raw", bound: 2, found: ratioOf("storm", shared, raw, "client_cpu")},
		{what: "list queries of a storm that needs a resync", bound: 1, found: single("resync", "websocket", 10_000, shared, "lists")},
		{what: "two cores", unit: "× one", bound: coresGoal, least: true, unfit: figures.disturbed, found: func(all figures) (float64, bool) {
			return all.ratio(ofCores, withCores(shared, 2), withCores(shared, 1), "flow_rate")
		}},
		{what: "lost or doubled, all scenarios", bound: 0, found: func(all figures) (float64, bool) {
			mine := func(f figure) bool { return strings.HasPrefix(f.Server, "live") }
			return all.sum("lost", mine) + all.sum("double", mine), len(all) > 0
		}},
		{what: "measurements of live that failed", bound: 0, found: func(all figures) (n float64, known bool) {
			for _, f := range all {
				if strings.HasPrefix(f.Server, "live") && f.Problem != "" {
					n++
				}
			}
			return n, len(all) > 0
		}},
	}
}

func ratioOf(scenario, server, to, value string) func(figures) (float64, bool) {
	return func(all figures) (float64, bool) {
		return all.ratio(place{scenario, "websocket", 10_000}, server, to, value)
	}
}
