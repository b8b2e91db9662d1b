// Command checker runs the checker of the delivery contract and prints what came of it as a table: see docs/reliability.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/swampline/live/internal/checker"
)

func main() {
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "the seed of all decisions; the n-th round has seed + n - 1")
	rounds := flag.Int("rounds", 1, "how many rounds")
	short := flag.Bool("short", false, "rounds as in make test, and no measurements")
	length := flag.Duration("length", 0, "how long each round's faults go on")
	deliveries := flag.Int64("deliveries", 0, "go on with rounds until so many deliveries were made")
	limit := flag.Duration("limit", 0, "begin no round after so long, however few the deliveries are; zero for no limit")
	times := flag.Int("times", 200, "how many times each catching up is measured")
	typescript := flag.Int("typescript", -1, "how many TypeScript clients there are; negative for as many as there should be")
	debug := flag.Bool("debug", false, "print what clients do, and keep what they were told")
	until := flag.String("until", "", "end when one of these invariants is found broken")
	flag.Parse()

	tally := checker.NewTally()
	checker.Warm()
	begin, before, first := time.Now(), checker.Held(), checker.Resources{}
	var ends []checker.Invariant
	for name := range strings.SplitSeq(*until, ",") {
		if name != "" {
			ends = append(ends, checker.Invariant(name))
		}
	}
	n, told := 0, 0
	for ; (n < *rounds || tally.Deliveries.Load() < *deliveries) && !tally.Any(ends) && (*limit == 0 || time.Since(begin) < *limit); n++ {
		c := checker.Long(*seed + uint64(n))
		if *short {
			c = checker.Short(*seed + uint64(n))
		}
		if *typescript >= 0 {
			c.TypeScript = *typescript
		}
		c.Until = ends
		if c.Debug = *debug; *length > 0 {
			c.Length = *length
		}
		checker.Round(context.Background(), c, tally)
		if n == 0 {
			first = checker.Settled(before)
		}
		fmt.Fprintf(os.Stderr, "round %d: %d deliveries\n", n+1, tally.Deliveries.Load())
		told = tell(tally, told)
	}
	took := time.Since(begin)
	last := checker.Settled(before)
	checker.Leaks(tally, before, last)
	lines := [][2]string{
		{"seed", fmt.Sprintf("%d, in %d rounds", *seed, n)}, {"time", took.Round(time.Second).String()},
		{"goroutines before, after the first round, at the end", fmt.Sprintf("%d, %d, %d", before.Goroutines, first.Goroutines, last.Goroutines)},
		{"open files before, after the first round, at the end", fmt.Sprintf("%d, %d, %d", before.Files, first.Files, last.Files)},
		{"heap before, after the first round, at the end", fmt.Sprintf("%.1f MB, %.1f MB, %.1f MB", mb(before), mb(first), mb(last))},
	}
	if !*short {
		lines = append(lines, measure(*times, tally)...)
	}
	checker.Report(os.Stdout, tally, "go run ./internal/checker/cmd/checker "+strings.Join(os.Args[1:], " "), lines...)
	tell(tally, told)
	if len(tally.Findings()) > 0 {
		os.Exit(1)
	}
}

// tell prints the findings behind those that were told, and returns how many there are.
func tell(tally *checker.Tally, told int) int {
	findings := tally.Findings()
	for _, f := range findings[told:] {
		fmt.Fprintf(os.Stderr, "%s: %s\n", f.Invariant, f.What)
	}
	return len(findings)
}

func mb(r checker.Resources) float64 { return float64(r.Heap) / (1 << 20) }

// measure returns the lines of the table that are times.
func measure(times int, tally *checker.Tally) (lines [][2]string) {
	tail := checker.LostTail(context.Background(), 12, tally)
	for _, transport := range checker.Transports {
		lines = append(lines, [2]string{"lost tail found, " + transport + ", at most", tail[transport].Round(time.Millisecond).String()})
	}
	caught := checker.CatchUp(context.Background(), times, tally)
	for _, transport := range checker.Transports {
		t := caught[transport]
		lines = append(lines, [2]string{"100 missed changes after a reconnect, " + transport + ", p50 and p99",
			fmt.Sprintf("%.1f ms, %.1f ms", ms(t.P50), ms(t.P99))})
	}
	return lines
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
