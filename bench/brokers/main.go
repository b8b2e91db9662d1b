// Brokers measures the engines that can carry the log, side by side: entries appended and followed a second, the delay that they add, and the
// delay from a publish on one node to a subscriber on another.
//
//	go run ./brokers                                              # in the folder bench; starts the servers that it needs
//	go run ./brokers -engines redis,postgres -redis redis://localhost:6379 -postgres postgres://localhost/bench
//
// The servers that it starts are processes of their own on this machine, configured as one would for production: Redis with an append-only
// file that is synced each second, NATS as it comes, PostgreSQL with fsync. In each round every engine has its turn; rates are
// the medians of the rounds, percentiles are of all samples together.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/swampline/live/broker/natsbroker/natstest"
)

var (
	engines = flag.String("engines", "memory,redis,nats,nats3,postgres", "what to measure; nats3 is a cluster of three servers with three replicas")
	rounds  = flag.Int("rounds", 3, "rounds")
	seconds = flag.Float64("seconds", 2, "length of a measurement; delays take twice as long")

	redisURL    = flag.String("redis", "", "a server that runs, instead of one of our own")
	natsURL     = flag.String("nats", "", "the same")
	postgresURL = flag.String("postgres", "", "the same")
)

func main() {
	natstest.Serve()
	flag.Parse()
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	servers := newServers(ctx)
	defer servers.close()
	var all []*engine
	for name := range strings.SplitSeq(*engines, ",") {
		e, err := servers.engine(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, e)
	}
	for round := range *rounds {
		for _, e := range all {
			began := time.Now()
			for i, m := range measurements {
				if err := m.run(ctx, e, &e.results[i]); err != nil {
					return fmt.Errorf("%s: %s: %w", e.name, m.name, err)
				}
			}
			fmt.Fprintf(os.Stderr, "round %d, %s: %v\n", round+1, e.name, time.Since(began).Round(time.Second))
		}
	}
	print(all)
	return nil
}

// result is what the rounds of one measurement came to: rates of each, or the samples of all.
type result struct {
	rates  []float64
	delays []time.Duration
}

func (r *result) String() string {
	if len(r.rates) > 0 {
		slices.Sort(r.rates)
		return thousands(r.rates[len(r.rates)/2])
	}
	if len(r.delays) == 0 {
		return "–"
	}
	slices.Sort(r.delays)
	return fmt.Sprintf("%s / %s", millis(at(r.delays, 50)), millis(at(r.delays, 99)))
}

// at is a percentile of sorted samples.
func at(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)-1)*percent/100]
}

func millis(d time.Duration) string {
	ms := float64(d) / 1e6
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	case ms >= 1:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.2f", ms)
}

// thousands prints three digits that count.
func thousands(v float64) string {
	unit := 1.0
	for v >= 1000*unit {
		unit *= 10
	}
	text := fmt.Sprintf("%.0f", float64(int(v/unit+0.5))*unit)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// print prints the table.
func print(all []*engine) {
	fmt.Printf("%s/%s, %d processors, %s; %s\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), time.Now().Format(time.DateOnly))
	fmt.Print("| |")
	for _, e := range all {
		fmt.Printf(" %s |", e.title)
	}
	fmt.Print("\n| --- |" + strings.Repeat(" ---: |", len(all)) + "\n")
	for i, m := range measurements {
		fmt.Printf("| %s |", m.name)
		for _, e := range all {
			fmt.Printf(" %v |", &e.results[i])
		}
		fmt.Println()
	}
}
