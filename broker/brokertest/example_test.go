package brokertest_test

import (
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/brokertest"
	"github.com/swampline/live/broker/memory"
)

// A broker's conformance test is one call. (It is no example that runs: there is a testing.T only in a test.)
func ExampleRun() {
	_ = func(t *testing.T) { // func TestConformance(t *testing.T)
		brokertest.Run(t, brokertest.Harness{
			New:      func(t testing.TB) broker.Broker { return memory.New(memory.Options{}) },
			Trim:     func(t testing.TB, b broker.Broker, keep int) { b.(*memory.Broker).Trim(keep) },
			NewEpoch: func(t testing.TB, b broker.Broker) { b.(*memory.Broker).Reset() },
		})
	}
}
