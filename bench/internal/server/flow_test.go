package server

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFlowWaitsForEachMessageToBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients = 6
		f := NewFlow()
		f.Wrote(17) // before it began, which counts for nothing
		var writing atomic.Int64
		next := 5
		found := f.run(next, clients, time.Second, func(n int) {
			if left := writing.Load(); n != next || left != 0 {
				t.Errorf("message %d is published when %d is next, with %d deliveries to be written", n, next, left)
			}
			next++
			writing.Store(clients)
			for _, part := range []int{1, 2, 3} { // shards, of which each takes its time
				go func() {
					time.Sleep(time.Duration(part) * 30 * time.Millisecond)
					writing.Add(-int64(part))
					f.Wrote(part)
				}()
			}
		})
		// 90 ms a message: the twelfth begins before a second is over.
		if want := (Flowed{Messages: 12, Deliveries: 12 * clients, Seconds: 1.08}); found != want {
			t.Errorf("it did %+v, want %+v", found, want)
		}
	})
}

func TestAFlowThatIsStuckSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFlow()
		found := f.run(1, 3, time.Second, func(int) { f.Wrote(2) })
		if found.Messages != 1 || found.Deliveries != 2 || !strings.HasPrefix(found.Error, "message 1 was not written to 3 clients") {
			t.Errorf("it did %+v", found)
		}
	})
}
