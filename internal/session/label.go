package session

import (
	"context"
	"runtime/pprof"
	"strconv"
)

// The labels of goroutines in profiles.
const (
	shardLabel     = "shard"
	transportLabel = "transport"
	routerLabel    = "router"
)

// label says in profiles what the goroutine, which is the session's, works for. It is called once on each.
func (s *Session) label(router string) {
	labels := []string{transportLabel, s.Transport}
	if router != "" {
		labels = append(labels, routerLabel, router)
	}
	pprof.SetGoroutineLabels(pprof.WithLabels(s.ctx, pprof.Labels(labels...)))
}

// labels are those of a shard's goroutine, by the transport that it offers something, empty while it does anything else. A goroutine that a
// connection begins in an Offer has them, too.
type labels struct {
	made map[string]context.Context
	set  string
}

// label says in profiles what the shard does. It runs on the shard's goroutine.
func (sh *Shard) label(transport string) {
	if l := &sh.labels; l.made == nil || l.set != transport {
		l.put(sh.index, transport)
	}
}

func (l *labels) put(shard int, transport string) {
	ctx := l.made[transport]
	if ctx == nil {
		if l.made == nil {
			l.made = map[string]context.Context{}
		}
		set := []string{shardLabel, strconv.Itoa(shard)}
		if transport != "" {
			set = append(set, transportLabel, transport)
		}
		ctx = pprof.WithLabels(context.Background(), pprof.Labels(set...))
		l.made[transport] = ctx
	}
	pprof.SetGoroutineLabels(ctx)
	l.set = transport
}
