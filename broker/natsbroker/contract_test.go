package natsbroker_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/natsbroker/natstest"
	"github.com/swampline/live/internal/checker"
)

// TestContract runs the checker of the delivery contract over the log, each hub with its own connection, while the server is
// restarted, goes away and loses its history. LIVE_CHECKER_SEED chooses another seed.
func TestContract(t *testing.T) {
	rounds := 1
	if long() {
		rounds = 10
	}
	for i := range rounds {
		s := natstest.Start(t)
		restart := func(string) { s.Stop(); s.Start(t) }
		contract(t, newBench(s.URL()), restart, func() func() { s.Stop(); return func() { s.Start(t) } }, seed(t)+uint64(i))
		s.Stop()
	}
	if long() {
		t.Run("cluster", testContractInACluster) // a new leader is elected after seconds
	}
}

// testContractInACluster runs it over three servers, whose leader is killed.
func testContractInACluster(t *testing.T) {
	servers := natstest.ProcessCluster(t, 3)
	n := newBench(natstest.URLs(servers)...)
	n.replicas = 3
	contract(t, n, func(stream string) {
		s := servers[natstest.Leader(t, servers, stream)]
		s.Stop()
		s.Start(t)
		natstest.Whole(t, servers, stream)
	}, nil, seed(t))
}

// contract runs one round over a new log of a server, or of a cluster.
func contract(t *testing.T, n *bench, restart func(stream string), away func() func(), seed uint64) {
	log := n.New(t)
	l := checker.Log{
		New:      func() broker.Broker { return n.Second(t, log) },
		Trim:     func(keep int) { n.Trim(t, log, keep) },
		NewEpoch: func() { n.NewEpoch(t, log) },
		Restart:  func() { restart(n.stream(log)); answers(t, log) },
	}
	if away != nil {
		l.Away = func() func() {
			back := away()
			return func() { back(); answers(t, log) }
		}
	}
	checker.TestBroker(t, l, seed)
}

func seed(t *testing.T) uint64 {
	given := os.Getenv("LIVE_CHECKER_SEED")
	if given == "" {
		return 20261122
	}
	seed, err := strconv.ParseUint(given, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}
