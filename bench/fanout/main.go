//go:build linux

// Fanout measures this library against the least that a server can do, and against others, on one machine in one go.
//
//	make bench
//	go -C bench run ./fanout -only fanout -transports websocket -clients 1000 -servers 'limit-raw|live' -rounds 1
//
// Each server is a process of its own, and this process is its clients (package load). Servers take turns: what is compared was measured within a
// minute or two, and tables hold the medians of ratios of one round. Run it on a machine that does nothing else. It prints tables and the
// goals that were met or missed; with -docs it writes them to docs/performance.md, docs/performance.json and docs/images/performance.svg.
//
// A new server is a line in servers.go and a program as package server describes it.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	only       = flag.String("only", "", "scenarios, separated by commas; all if empty: "+strings.Join(scenarioNames(), ","))
	rounds     = flag.Int("rounds", 3, "how often everything is measured")
	clientsAre = flag.String("clients", "100,1000,10000", "how many clients fanout has, separated by commas")
	many       = flag.Int("many", 10_000, "clients of the other scenarios")
	over       = flag.String("transports", strings.Join(transports, ","), "of fanout, separated by commas")
	who        = flag.String("servers", "", "a regular expression of the names of servers that take part in fanout; limit-raw always does")
	length     = flag.Duration("length", time.Second, "of a measurement of w1 and w32")
	docs       = flag.String("docs", "", "the directory docs/ to write results to; empty: only print them")
	again      = flag.String("from", "", "measure nothing: make the tables of a JSON file that was written before")
	profiles   = flag.String("profiles", "", "a directory for CPU and heap profiles of the servers in fanout; the figures are worse then")
	size       = flag.Int("size", 128, "bytes of a message")
)

var transports = []string{"websocket", "sse", "longpoll"}

func main() {
	log.SetFlags(0)
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	if *again != "" {
		r, err := readReport(*again)
		if err != nil {
			return err
		}
		return r.publish(*docs)
	}
	b, err := newBench()
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.shop.dir)
	began := time.Now()
	for b.round = 1; b.round <= *rounds; b.round++ {
		for _, s := range scenarios {
			if b.only == nil || slices.Contains(b.only, s.name) {
				s.run(b)
			}
		}
	}
	r := newReport(b.found, time.Since(began))
	return r.publish(*docs)
}

// bench is one run.
type bench struct {
	shop    *workshop
	only    []string
	clients []int
	who     *regexp.Regexp
	round   int
	found   figures
}

func newBench() (*bench, error) {
	b := &bench{}
	var err error
	if b.who, err = regexp.Compile(*who); err != nil {
		return nil, err
	}
	for _, text := range strings.Split(*clientsAre, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-clients: %q is no number of clients", text)
		}
		b.clients = append(b.clients, n)
	}
	if *only != "" {
		b.only = strings.Split(*only, ",")
		for _, name := range b.only {
			if !slices.Contains(scenarioNames(), name) {
				return nil, fmt.Errorf("-only: there is no scenario %q: there are %s", name, strings.Join(scenarioNames(), ", "))
			}
		}
	}
	dir, err := os.MkdirTemp("", "fanout")
	if err != nil {
		return nil, err
	}
	b.shop = &workshop{dir: dir, built: map[string]built{}}
	return b, nil
}

// add keeps what was found and says so.
func (b *bench) add(f figure, err error) {
	f.Round = b.round
	if err != nil {
		f.Problem = err.Error()
	}
	b.found = append(b.found, f)
	what := strings.TrimSpace(fmt.Sprintf("%s %s", f.Scenario, f.Transport))
	if f.Clients > 0 {
		what += fmt.Sprintf(" %d", f.Clients)
	}
	fmt.Fprintf(os.Stderr, "%s round %d: %s: %s: %s\n", time.Now().Format("15:04:05"), f.Round, what, f.Server, f.line())
}
