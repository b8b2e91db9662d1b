package live

import (
	"context"
	"runtime/pprof"
)

// label says in profiles what the goroutine of a request does, until restore is called. Goroutines that are begun meanwhile say so, too.
func label(ctx context.Context, name, value string) (restore func()) {
	pprof.SetGoroutineLabels(pprof.WithLabels(ctx, pprof.Labels(name, value)))
	return func() { pprof.SetGoroutineLabels(ctx) }
}
