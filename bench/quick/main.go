// Quick runs the Go benchmarks of the root module for a short time and compares them with stored figures. It ends within two minutes: what it
// did not get to, it names.
//
//	make bench-quick
//	go -C bench run ./quick -store
//
// Times depend on the machine, and are shown. Allocations do not: where a benchmark makes over a tenth more of them than was stored, quick
// fails. The stored file is what go test prints, so benchstat reads it, too.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"time"
)

var (
	store = flag.Bool("store", false, "store the figures, and compare nothing")
	file  = flag.String("file", "quick/stored.txt", "where the figures are stored")
	only  = flag.String("bench", ".", "a regular expression of the benchmarks, as of go test -bench")
	limit = flag.Duration("limit", 110*time.Second, "no package is begun, and none goes on, after this time")
)

// packages are those whose benchmarks say what the library costs, the quickest to build first.
var packages = []string{"./where", "./broker/memory", "./internal/index", "./internal/livequery", "./internal/session", "./transport/...", "."}

// long are benchmarks whose preparation alone takes too long: a part of their name, at whatever depth, is a number of subscriptions.
const long = "/10{5,6}$|//10{5,6}$|///10{5,6}$"

func main() {
	log.SetFlags(0)
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()
	var all bytes.Buffer
	var missed []string
	for _, p := range packages {
		out, err := benchmark(ctx, p)
		all.Write(out)
		switch {
		case ctx.Err() != nil:
			missed = append(missed, p)
		case err != nil:
			return fmt.Errorf("%s: %w\n%s", p, err, out)
		}
	}
	if len(missed) > 0 {
		fmt.Printf("There was no time for all of %s.\n\n", strings.Join(missed, ", "))
	}
	if *store {
		if len(missed) > 0 {
			return fmt.Errorf("nothing is stored: give it a longer -limit")
		}
		return os.WriteFile(*file, all.Bytes(), 0o666)
	}
	stored, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	return compare(os.Stdout, parse(string(stored)), parse(all.String()))
}

// benchmark runs the benchmarks of a package.
func benchmark(ctx context.Context, pattern string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "-C", "..", "test", "-run", "^$", "-bench", *only, "-skip", long, "-benchmem", "-benchtime", "30ms", "-count", "3", pattern)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.WaitDelay = time.Second // for the test's own process
	return cmd.CombinedOutput()
}
