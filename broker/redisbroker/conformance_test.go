package redisbroker_test

import (
	"context"
	"crypto/rand"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/brokertest"
	"github.com/swampline/live/broker/redisbroker"
	"github.com/swampline/live/broker/redisbroker/redistest"
	"github.com/swampline/live/internal/checker"
)

// newBroker returns a broker on a log that nobody else has, without bounds but that of an entry.
func newBroker(t testing.TB, client redis.UniversalClient) *redisbroker.Broker {
	t.Helper()
	return brokerNamed(t, client, rand.Text())
}

func brokerNamed(t testing.TB, client redis.UniversalClient, name string) *redisbroker.Broker {
	t.Helper()
	b, err := redisbroker.New(client, redisbroker.Options{
		Name: name, MaxEntries: -1, MaxAge: -1, Timeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestConformance runs the suite against a server that it restarts with its data, freezes, and empties. On a server that somebody else
// runs it does nothing of that, and deletes the log's own keys.
func TestConformance(t *testing.T) {
	brokertest.Run(t, newHarness(t))
}

// TestContract runs the checker of the delivery contract over the log, each hub with its own connection, with the faults of the suite.
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
		checker.TestBroker(t, checker.Over(t, newHarness(t)), seed+i)
	}
}

// newHarness starts a server, or takes the one that is given.
func newHarness(t *testing.T) brokertest.Harness {
	h := brokertest.Harness{
		Trim: func(t testing.TB, b broker.Broker, keep int) {
			if err := b.(*redisbroker.Broker).Trim(t.Context(), keep); err != nil {
				t.Fatal(err)
			}
		},
		Many:     20_000,
		Patience: 20 * time.Second,
	}
	var url string
	if given := os.Getenv("LIVE_TEST_REDIS_URL"); given != "" {
		url = given
		h.NewEpoch = forget
	} else {
		server := redistest.Start(t)
		url = server.URL()
		h.NewEpoch = func(testing.TB, broker.Broker) { server.Do("FLUSHALL") }
		h.Restart = func(testing.TB, broker.Broker) { server.Restart() }
		h.Away = func(testing.TB, broker.Broker) func() { server.Pause(); return server.Resume }
	}
	client, names := redistest.Client(t, url), make(map[broker.Broker]string)
	h.New = func(t testing.TB) broker.Broker {
		name := rand.Text()
		b := brokerNamed(t, client, name)
		names[b] = name
		t.Cleanup(func() { forget(t, b) })
		return b
	}
	h.Second = func(t testing.TB, b broker.Broker) broker.Broker {
		return brokerNamed(t, redistest.Client(t, url), names[b])
	}
	return h
}

// forget deletes the keys of a log.
func forget(t testing.TB, b broker.Broker) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // which has ended when the test is cleaned up
	if err := b.(*redisbroker.Broker).Forget(ctx); err != nil {
		t.Error(err)
	}
}
