package memory_test

import (
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/brokertest"
	"github.com/swampline/live/broker/memory"
)

func TestConformance(t *testing.T) {
	brokertest.Run(t, brokertest.Harness{
		New:      func(testing.TB) broker.Broker { return memory.New(memory.Options{MaxEntries: -1, MaxBytes: -1}) },
		Trim:     func(_ testing.TB, b broker.Broker, keep int) { b.(*memory.Broker).Trim(keep) },
		NewEpoch: func(_ testing.TB, b broker.Broker) { b.(*memory.Broker).Reset() },
	})
}
