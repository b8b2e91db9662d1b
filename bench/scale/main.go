//go:build unix

// Scale says what one log carries when a million clients follow it on twenty nodes. It measures one of the twenty, for real: a hub in this
// process with as many sessions as such a node has, which follows a log with the traffic of the whole cluster. With the costs that this
// comes to, it simulates the cluster.
//
//	go run ./scale                        # in the folder bench; some minutes, 2 GB
//	go run ./scale -clients 200000        # a smaller cluster
//
// The application is one where rows belong to lists, each of which a few clients follow, who are connected to any nodes. The sessions end in
// a sink in place of a network; what a connection costs is measured for itself. All else is what runs in production.
package main

import (
	"flag"
	"fmt"
	"log"
	"runtime"
	"time"
)

var (
	clients = flag.Int("clients", 1_000_000, "clients of the cluster")
	nodes   = flag.Int("nodes", 20, "nodes that they are connected to, evenly")
	members = flag.Int("members", 10, "clients that follow a list, each on any node")
	entries = flag.Int("entries", 50_000, "entries of each measurement")
	seconds = flag.Float64("seconds", 8, "how long each rate is kept up")
	seed    = flag.Uint64("seed", 1, "who follows what, and when what is written")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

// rates are the entries a second, of the whole cluster, that are tried.
var rates = []int{500, 1_000, 2_000, 5_000, 10_000, 20_000}

func run() error {
	fmt.Printf("%s/%s, %d processors, %s; %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), time.Now().Format(time.DateOnly))
	fmt.Printf("%d clients on %d nodes, %d of them follow each list\n\n", *clients, *nodes, *members)
	n, err := newNode()
	if err != nil {
		return err
	}
	fmt.Printf("One node: %d sessions, a subscription each, to %d different lists; %.1f KB of memory each, without a connection's\n\n",
		n.sessions, len(n.members), n.perSession/1e3)

	var c costs
	if c, err = n.costs(); err != nil {
		return err
	}
	if c.write, err = writeCost(); err != nil {
		return err
	}
	fmt.Printf("| cost, on one node | processor time | at most, a second |\n| --- | ---: | ---: |\n")
	fmt.Printf("| an entry that concerns nobody there | %v | %.0f, as one goroutine follows |\n", c.entry, 1/c.follow.Seconds())
	fmt.Printf("| · decoding it, of that | %v | |\n", c.decode)
	fmt.Printf("| a delivery of it to a session | %v | |\n", c.delivery)
	fmt.Printf("| writing it to a TCP connection, and the system's part of reading it | %v | |\n\n", c.write)

	fmt.Printf("One node, measured with the traffic of all %d:\n\n", *nodes)
	fmt.Printf("| entries/s | deliveries/s | processors | ms p50 / p99 / p99.9 | of it, before Append was called |\n| ---: | ---: | ---: | ---: | ---: |\n")
	for _, rate := range rates {
		line, err := n.load(rate)
		if err != nil {
			return err
		}
		fmt.Println(line)
	}
	n.close()

	fmt.Printf("\nThe cluster, simulated with these costs:\n\n")
	fmt.Printf("| entries/s | a client writes every | a node delivers/s | processors a node | of them for what concerns nobody | out of the log, MB/s | a node adds, ms p50 / p99.9 |\n")
	fmt.Printf("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, rate := range rates {
		fmt.Println(c.simulate(rate, n.entryBytes))
	}
	return nil
}
