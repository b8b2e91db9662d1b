package natsbroker_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/brokertest"
	"github.com/swampline/live/broker/natsbroker"
	"github.com/swampline/live/broker/natsbroker/natstest"
)

// unbounded are options of a log that forgets nothing by itself.
func unbounded(stream string) natsbroker.Options {
	return natsbroker.Options{Stream: stream, Subject: "live." + stream, MaxBytes: -1, MaxEntries: -1, MaxAge: -1}
}

// streams counts the streams of all tests: a server given in LIVE_TEST_NATS_URL may have those of an earlier run.
var streams atomic.Int64

func newStream() string { return fmt.Sprintf("TEST_%d_%d", os.Getpid(), streams.Add(1)) }

// bench is what tests do to the logs of one server, or of one cluster.
type bench struct {
	urls     []string
	replicas int

	mu      sync.Mutex
	streams map[broker.Broker]string
}

func (n *bench) open(t testing.TB, stream string) broker.Broker {
	o := unbounded(stream)
	o.Replicas = n.replicas
	b := natsbroker.New(natstest.Connect(t, n.urls...), o)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.streams[b] = stream
	return b
}

func (n *bench) New(t testing.TB) broker.Broker {
	stream := newStream()
	t.Cleanup(func() { _ = natstest.Connect(t, n.urls...).DeleteStream(context.Background(), stream) })
	return n.open(t, stream)
}

func (n *bench) Second(t testing.TB, b broker.Broker) broker.Broker { return n.open(t, n.stream(b)) }

// stream returns the name of a broker's stream.
func (n *bench) stream(b broker.Broker) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.streams[b]
}

func (n *bench) Trim(t testing.TB, b broker.Broker, keep int) {
	s, err := natstest.Connect(t, n.urls...).Stream(t.Context(), n.stream(b))
	if err == nil && keep > 0 {
		err = s.Purge(t.Context(), jetstream.WithPurgeKeep(uint64(keep)))
	} else if err == nil {
		err = s.Purge(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (n *bench) NewEpoch(t testing.TB, b broker.Broker) {
	if err := natstest.Connect(t, n.urls...).DeleteStream(t.Context(), n.stream(b)); err != nil {
		t.Fatal(err)
	}
}

func newBench(urls ...string) *bench {
	return &bench{urls: urls, replicas: 1, streams: make(map[broker.Broker]string)}
}

// A server as it comes takes entries of 1 MiB less what headers need.
const atMost = 1<<20 - 256

func TestConformance(t *testing.T) {
	h := brokertest.Harness{MaxEntry: atMost, Many: 5_000}
	var n *bench
	if given := os.Getenv("LIVE_TEST_NATS_URL"); given != "" {
		n = newBench(given) // not ours to stop
	} else {
		s := natstest.Start(t)
		n = newBench(s.URL())
		h.Restart = func(t testing.TB, b broker.Broker) {
			s.Stop()
			s.Start(t)
			answers(t, b)
		}
		h.Away = func(t testing.TB, b broker.Broker) func() {
			s.Stop()
			return func() {
				s.Start(t)
				answers(t, b)
			}
		}
	}
	h.New, h.Trim, h.NewEpoch, h.Second = n.New, n.Trim, n.NewEpoch, n.Second
	brokertest.Run(t, h)
}

// answers waits until a broker reaches its server again.
func answers(t testing.TB, b broker.Broker) {
	t.Helper()
	for t.Context().Err() == nil {
		if _, err := b.Head(t.Context()); err == nil {
			return
		}
	}
}
