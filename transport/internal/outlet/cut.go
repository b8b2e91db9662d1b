package outlet

import (
	"context"
	"sync"
)

// group is the connections that are cut off together: all of a hub. Its members need less for that than a context.AfterFunc each.
type group struct {
	mu      sync.Mutex
	members map[*Outlet]Cutter
}

// Cutter is told when nobody waits for a client any more.
type Cutter interface {
	// Cut closes the connection, whatever is being read and written. It is called on a goroutine of the outlet.
	Cut()
}

var groups struct {
	mu sync.Mutex
	of map[context.Context]*group
}

// CutWith has c told when ctx ends, unless the connection was closed before; nil never does. It is called once.
func (o *Outlet) CutWith(ctx context.Context, c Cutter) {
	if ctx == nil || ctx.Done() == nil {
		return
	}
	g := groupOf(ctx)
	o.mu.Lock()
	o.cut = g
	o.mu.Unlock()
	g.mu.Lock()
	g.members[o] = c
	g.mu.Unlock()
	if ctx.Err() != nil { // the others may have been told
		g.end()
	}
}

// groupOf returns the group of a context. It exists until the context ends.
func groupOf(ctx context.Context) *group {
	groups.mu.Lock()
	defer groups.mu.Unlock()
	g := groups.of[ctx]
	if g == nil {
		g = &group{members: map[*Outlet]Cutter{}}
		if groups.of == nil {
			groups.of = map[context.Context]*group{}
		}
		groups.of[ctx] = g
		context.AfterFunc(ctx, func() {
			groups.mu.Lock()
			delete(groups.of, ctx)
			groups.mu.Unlock()
			g.end()
		})
	}
	return g
}

// end tells who is there.
func (g *group) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for o, c := range g.members {
		o.Go(c.Cut)
	}
	clear(g.members)
}

// leave takes a member out.
func (g *group) leave(o *Outlet) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.members, o)
}
