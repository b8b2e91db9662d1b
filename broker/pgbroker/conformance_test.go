package pgbroker

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/brokertest"
	"github.com/swampline/live/internal/checker"
	"github.com/swampline/live/where/wheretest/postgres"
)

// keep deletes all but the newest entries by hand: the trigger must note it.
func keep(t testing.TB, b broker.Broker, n int) {
	t.Helper()
	execute(t, b.(*Broker), fmt.Sprintf(
		`DELETE FROM {log} WHERE (xid, seq) NOT IN (SELECT xid, seq FROM {log} ORDER BY xid DESC, seq DESC LIMIT %d)`, n))
}

func harness(server *postgres.Server, pool *pgxpool.Pool, o Options) brokertest.Harness {
	return brokertest.Harness{
		New:      func(testing.TB) broker.Broker { return New(pool, ownLog(o)) },
		Trim:     keep,
		NewEpoch: func(t testing.TB, b broker.Broker) { execute(t, b.(*Broker), `TRUNCATE {log}`) },
		Restart:  func(testing.TB, broker.Broker) { server.Kill(); server.Start() },
		Away: func(testing.TB, broker.Broker) func() {
			server.Kill()
			return server.Start
		},
		Second: func(t testing.TB, b broker.Broker) broker.Broker {
			return New(newPool(t, pool.Config().ConnString()), b.(*Broker).options)
		},
		Many:     5_000,
		Patience: patience,
	}
}

func TestConformance(t *testing.T) {
	server := postgres.New(t)
	brokertest.Run(t, harness(server, newPool(t, server.URL()), unbounded))
}

// TestContract runs the checker of the delivery contract over the log, each hub with a pool of its own, with the faults of the suite.
func TestContract(t *testing.T) {
	seed := uint64(1)
	if given, err := strconv.ParseUint(os.Getenv("LIVE_CHECKER_SEED"), 10, 64); err == nil {
		seed = given
	}
	rounds := uint64(1)
	if os.Getenv("LIVE_TEST_LONG") != "" {
		rounds = 10
	}
	for i := range rounds {
		server := postgres.New(t)
		checker.TestBroker(t, checker.Over(t, harness(server, newPool(t, server.URL()), unbounded)), seed+i)
	}
}
