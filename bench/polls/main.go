// Polls measures long-polls that wait, over real connections on loopback: what one costs, and what happens when a change wakes all of them.
//
//	go run ./bench/polls -clients 10000
//
// The server is a process of its own, and so is what is measured of it: its memory after a collection, its resident set, its CPU time. It
// serves the hub (live) or a net/http handler that only waits for a channel (bare), which is what waiting costs anybody. A client costs an
// open file in each process: raise the limit (ulimit -n) for many.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"
)

var (
	clients = flag.Int("clients", 10_000, "polls that wait")
	changes = flag.Int("changes", 5, "how often all of them are woken")
	runs    = flag.Int("runs", 3, "how often everything is measured, interleaved")
	kinds   = flag.String("servers", "live,bare", "what is measured, separated by commas")
	serve   = flag.String("serve", "", "be the server of this kind: for the command itself")
	heap    = flag.String("heap", "", "file for a heap profile of the server while all wait; GODEBUG=memprofilerate=512 makes it exact")
	profile = flag.String("profile", "", "file for a CPU profile of the server, from the first change to the last; one run of one server")
)

func main() {
	flag.Parse()
	err := error(nil)
	if *serve != "" {
		err = beServer(*serve)
	} else {
		err = run()
	}
	if err != nil {
		log.Fatal(err)
	}
}

// figures are what was measured of one server.
type figures struct {
	// Heap and Resident are bytes for each poll that waits: what the Go runtime uses after a collection, and what the kernel says of the process.
	// Goroutines are for each poll, too.
	Heap, Stack, Objects, Resident, Goroutines float64
	// Of one poll that is woken, answered and asked anew: CPU time of the server in µs, allocations and bytes.
	CPU, Allocs, Bytes float64
	// When a change wakes all: until the first has its answer, the median, the last, and until all wait again; the longest that somebody else
	// waited for a 304 meanwhile. In milliseconds.
	First, Median, Last, Again, Bystander float64
	// Peak is by how much the heap grew over what it was before the change, at most, in bytes for each poll.
	Peak float64
}

func run() error {
	all := map[string][]figures{}
	for n := range *runs {
		for kind := range strings.SplitSeq(*kinds, ",") {
			f, err := measure(kind)
			if err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			all[kind] = append(all[kind], f)
			text, err := json.Marshal(f)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "run %d %s %s\n", n+1, kind, text)
		}
	}
	fmt.Printf("%d polls, %d changes, medians of %d runs, %s\n\n", *clients, *changes, *runs, time.Now().UTC().Format(time.DateOnly))
	fmt.Println("| server | heap B/poll | resident B/poll | goroutines | CPU µs/round | allocs/round | B/round | first ms | median | last | all wait again | a bystander's longest | heap growth B/poll |")
	fmt.Println("| --- |" + strings.Repeat(" ---: |", 12))
	for kind := range strings.SplitSeq(*kinds, ",") {
		m := func(of func(figures) float64) float64 { return median(all[kind], of) }
		fmt.Printf("| %s | %.0f | %.0f | %.1f | %.1f | %.0f | %.0f | %.1f | %.1f | %.1f | %.1f | %.1f | %.0f |\n", kind,
			m(func(f figures) float64 { return f.Heap }), m(func(f figures) float64 { return f.Resident }), m(func(f figures) float64 { return f.Goroutines }),
			m(func(f figures) float64 { return f.CPU }), m(func(f figures) float64 { return f.Allocs }), m(func(f figures) float64 { return f.Bytes }),
			m(func(f figures) float64 { return f.First }), m(func(f figures) float64 { return f.Median }), m(func(f figures) float64 { return f.Last }),
			m(func(f figures) float64 { return f.Again }), m(func(f figures) float64 { return f.Bystander }), m(func(f figures) float64 { return f.Peak }))
	}
	return nil
}

// median is the middle of one of the figures of several runs, or changes.
func median[T any](of []T, figure func(T) float64) float64 {
	values := make([]float64, len(of))
	for i, f := range of {
		values[i] = figure(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
