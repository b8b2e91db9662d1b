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
	length := flag.Duration("length", 0, "how long each round's faults go on")
	debug := flag.Bool("debug", false, "print what clients do")
	flag.Parse()
	tally := checker.NewTally()
	begin := time.Now()
	for n := range *rounds {
		c := checker.Short(*seed + uint64(n))
		if c.Debug = *debug; *length > 0 {
			c.Length = *length
		}
		checker.Round(context.Background(), c, tally)
	}
	checker.Report(os.Stdout, tally, "go run ./internal/checker/cmd/checker "+strings.Join(os.Args[1:], " "),
		[2]string{"seed", fmt.Sprint(*seed)}, [2]string{"time", time.Since(begin).Round(time.Second).String()})
	for _, f := range tally.Findings() {
		fmt.Fprintf(os.Stderr, "%s: %s\n", f.Invariant, f.What)
	}
	if len(tally.Findings()) > 0 {
		os.Exit(1)
	}
}
