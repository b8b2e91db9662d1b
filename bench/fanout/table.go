//go:build linux

package main

import (
	"fmt"
	"strings"
)

// column is one of a table: a value, or what it is compared to that of limit-raw.
type column struct {
	title, value string
	ratio        bool
	form         string
}

// transportNames are those of the tables' titles.
var transportNames = map[string]string{"websocket": "WebSocket", "sse": "Server-Sent Events", "longpoll": "Long-poll"}

// markdown is the report as a page shows it.
func (r report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, commit %s. `%s`, %d rounds in %s.\n", r.Date, r.Machine, r.Commit, r.Command, r.Rounds, r.Took)
	r.verdicts(&b)
	for _, at := range r.Figures.places("fanout") {
		fmt.Fprintf(&b, "\n### %s, %s clients\n\n", transportNames[at.transport], thousands(at.clients))
		r.base(&b, at)
		r.table(&b, at, []column{
			{"w1 CPU", "w1_cpu", true, "%.2f"}, {"w1 deliveries/s", "w1_rate", true, "%.2f"},
			{"w32 CPU", "w32_cpu", true, "%.2f"}, {"w32 deliveries/s", "w32_rate", true, "%.2f"},
			{"set-up CPU", "setup_cpu", true, "%.2f"}, {"resume CPU", "again_cpu", true, "%.2f"},
			{"idle bytes", "live_memory", false, "%.0f"}, {"in spans", "memory", false, "%.0f"}, {"resident", "resident", false, "%.0f"}, {"goroutines", "goroutines", false, "%.0f"}, {"bytes a delivery", "w1_bytes", false, "%.0f"},
			{"lost", "lost", false, "%.0f"},
		})
	}
	r.latencies(&b)
	r.rest(&b)
	r.problems(&b)
	return b.String()
}

func (r report) verdicts(b *strings.Builder) {
	b.WriteString("\n### Goals\n\n| what | goal | found | |\n| --- | --- | ---: | --- |\n")
	for _, g := range r.Goals {
		found := "–"
		if g.Known {
			found = amount(g.Found, "")
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", g.What, g.Goal, found, g.verdict())
	}
}

// base says what the ratios are of.
func (r report) base(b *strings.Builder, at place) {
	get := func(name string) float64 { v, _ := r.Figures.median(at, raw, name); return v }
	fmt.Fprintf(b, "Ratios to limit-raw, which takes %.2f µs of CPU a delivery and makes %s deliveries/s (w1); %.2f µs and %s (w32); %.0f µs of CPU for a client that comes, at %s a second.\n\n",
		get("w1_cpu"), thousands(int(get("w1_rate"))), get("w32_cpu"), thousands(int(get("w32_rate"))), get("setup_cpu"), thousands(int(get("setup_rate"))))
}

// table is one of all servers at a place.
func (r report) table(b *strings.Builder, at place, columns []column) {
	b.WriteString("| |")
	for _, c := range columns {
		b.WriteString(" " + c.title + " |")
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(columns)) + "\n")
	for _, name := range r.Figures.at(at) {
		fmt.Fprintf(b, "| %s |", bold(name))
		for _, c := range columns {
			v, known := r.Figures.median(at, name, c.value)
			if c.ratio {
				v, known = r.Figures.ratio(at, name, raw, c.value)
			}
			if known {
				fmt.Fprintf(b, " "+c.form+" |", v)
			} else {
				b.WriteString(" – |")
			}
		}
		b.WriteString("\n")
	}
}

// byNumber is one table of a scenario without connections: a line for each number of subscriptions.
func (r report) byNumber(b *strings.Builder, scenario string, columns []column) {
	b.WriteString("\n| subscriptions |")
	for _, c := range columns {
		b.WriteString(" " + c.title + " |")
	}
	b.WriteString("\n|" + strings.Repeat(" ---: |", len(columns)+1) + "\n")
	for _, at := range r.Figures.places(scenario) {
		fmt.Fprintf(b, "| %s |", thousands(at.clients))
		for _, name := range r.Figures.at(at) {
			for _, c := range columns {
				if v, known := r.Figures.median(at, name, c.value); known {
					fmt.Fprintf(b, " "+c.form+" |", v)
				} else {
					b.WriteString(" – |")
				}
			}
		}
		b.WriteString("\n")
	}
}

func bold(name string) string {
	if strings.HasPrefix(name, "live") {
		return "**" + name + "**"
	}
	return name
}

// latencies are those at a fixed rate.
func (r report) latencies(b *strings.Builder) {
	for _, at := range r.Figures.places("fanout") {
		p99, known := r.Figures.median(at, raw, "fixed_p99")
		if !known {
			continue
		}
		p50, _ := r.Figures.median(at, raw, "fixed_p50")
		p999, _ := r.Figures.median(at, raw, "fixed_p999")
		fmt.Fprintf(b, "\n### Latency, %s, %s clients × 20 messages a second\n\n", transportNames[at.transport], thousands(at.clients))
		fmt.Fprintf(b, "From the publisher's request to the client's read. Ratios to limit-raw: p50 %.0f µs, p99 %.0f µs, p999 %.0f µs.\n\n", p50, p99, p999)
		r.table(b, at, []column{
			{"p50", "fixed_p50", true, "%.2f"}, {"p99", "fixed_p99", true, "%.2f"}, {"p999", "fixed_p999", true, "%.2f"}, {"CPU a delivery", "fixed_cpu", true, "%.2f"},
		})
	}
}

// rest are the tables of the other scenarios.
func (r report) rest(b *strings.Builder) {
	for _, s := range []struct {
		scenario, title string
		columns         []column
	}{
		{"own", "A filter of its own for each client, each change concerns one", []column{
			{"w1 CPU × raw", "w1_cpu", true, "%.2f"}, {"w32 CPU × raw", "w32_cpu", true, "%.2f"}, {"w32 deliveries/s × raw", "w32_rate", true, "%.2f"},
			{"w32 CPU, µs", "w32_cpu", false, "%.2f"}, {"idle bytes", "live_memory", false, "%.0f"}}},
		{"mixed", "1 % of the clients reconnect each second, 200 changes a second, each for ten clients", []column{
			{"p50, µs", "mixed_p50", false, "%.0f"}, {"p99, µs", "mixed_p99", false, "%.0f"}, {"p999, µs", "mixed_p999", false, "%.0f"},
			{"cores busy", "mixed_busy", false, "%.2f"}, {"lost", "lost", false, "%.0f"}, {"doubled", "double", false, "%.0f"}}},
		{"storm", "All clients come back at once, each missed 100 changes", []column{
			{"CPU × raw", "client_cpu", true, "%.2f"}, {"CPU a client, µs", "client_cpu", false, "%.0f"}, {"bytes a client", "client_bytes", false, "%.0f"},
			{"seconds", "seconds", false, "%.2f"}, {"lists read", "lists", false, "%.0f"}, {"lost", "lost", false, "%.0f"}}},
		{"resync", "The same, and the hub has forgotten what they missed", []column{
			{"CPU a client, µs", "client_cpu", false, "%.0f"}, {"seconds", "seconds", false, "%.2f"}, {"lists read", "lists", false, "%.0f"},
			{"resyncs", "told", false, "%.0f"}, {"lost", "lost", false, "%.0f"}}},
		{"overload", "20,000 messages of 1 kB to clients that do not read meanwhile, of which the hub keeps 10,000", []column{
			{"resyncs", "told", false, "%.0f"}, {"cut off", "closed", false, "%.0f"}, {"lost in silence", "lost", false, "%.0f"}, {"doubled", "double", false, "%.0f"}}},
		{"cores", "One core and two: the server publishes by itself, and the clients throw away what comes", []column{
			{"deliveries/s", "flow_rate", false, "%.0f"}, {"cores busy", "flow_busy", false, "%.2f"}, {"the clients' cores busy", "flow_clients", false, "%.2f"},
			{"CPU a delivery, µs", "flow_cpu", false, "%.2f"}, {"writes a delivery", "flow_writes", false, "%.2f"}, {"lost", "lost", false, "%.0f"}}},
		{"idle", "Idle connections on the portable path", []column{
			{"idle bytes", "live_memory", false, "%.0f"}, {"in spans", "memory", false, "%.0f"}, {"resident", "resident", false, "%.0f"}, {"goroutines", "goroutines", false, "%.0f"}}},
		{"filters", "Publishing against subscriptions with a filter of their own, of which one matches (no connections)", []column{
			{"CPU a publish, µs", "publish_cpu", false, "%.2f"}, {"time, µs", "publish_us", false, "%.2f"}, {"subscribe, µs", "subscribe_us", false, "%.1f"},
			{"unsubscribe, µs", "unsubscribe_us", false, "%.1f"}, {"bytes a subscription", "subscription_bytes", false, "%.0f"}}},
	} {
		for i, at := range r.Figures.places(s.scenario) {
			if i == 0 {
				fmt.Fprintf(b, "\n### %s\n", s.title)
			}
			if at.transport != "" {
				fmt.Fprintf(b, "\n%s clients, %s\n\n", thousands(at.clients), transportNames[at.transport])
				r.table(b, at, s.columns)
			} else if i == 0 {
				r.byNumber(b, s.scenario, s.columns)
			}
		}
	}
}

func (r report) problems(b *strings.Builder) {
	first := true
	for _, f := range r.Figures {
		if f.Problem == "" {
			continue
		}
		if first {
			b.WriteString("\n### What could not be measured\n\n")
			first = false
		}
		line, _, _ := strings.Cut(f.Problem, "\n")
		fmt.Fprintf(b, "- %s %s %d, %s, round %d: %s\n", f.Scenario, f.Transport, f.Clients, f.Server, f.Round, line)
	}
}

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
