package live

import (
	"slices"
	"sync"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// watches are the objects on which subscriptions depend that are about something else: who is at them. When one changes so that whoever saw it
// does not, or the other way round, the subscription is authorised anew. The zero value has none.
type watches struct {
	mu   sync.Mutex
	on   map[string]map[string]map[*watch]struct{} // by router and key
	each map[*wire.Origin]*watch
}

// watch is what one subscription depends on: rows of a router, by a scope.
type watch struct {
	of       *watches
	endpoint *endpoint
	keys     []string
	scope    *where.Predicate
	origin   *wire.Origin
	// visible are the keys of the rows that were seen; nil until they were read.
	visible []string
	known   bool
	again   bool // it was told already
}

// add watches rows for a subscription until that ends, in place of what it watched before. Without an origin nothing is watched.
func (ws *watches) add(e *endpoint, keys []string, scope *where.Predicate, origin *wire.Origin) *watch {
	w := &watch{of: ws, endpoint: e, keys: keys, scope: scope, origin: origin}
	if origin == nil {
		return w
	}
	ws.mu.Lock()
	if ws.each == nil {
		ws.each, ws.on = map[*wire.Origin]*watch{}, map[string]map[string]map[*watch]struct{}{}
	}
	before := ws.each[origin]
	if before != nil {
		ws.remove(before)
	}
	ws.each[origin] = w
	byKey := ws.on[e.name]
	if byKey == nil {
		byKey = map[string]map[*watch]struct{}{}
		ws.on[e.name] = byKey
	}
	for _, key := range keys {
		if byKey[key] == nil {
			byKey[key] = map[*watch]struct{}{}
		}
		byKey[key][w] = struct{}{}
	}
	ws.mu.Unlock()
	if before == nil {
		origin.OnEnd(func(wire.End) { ws.end(origin) })
	}
	return w
}

func (ws *watches) end(origin *wire.Origin) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w := ws.each[origin]; w != nil {
		ws.remove(w)
		delete(ws.each, origin)
	}
}

// remove takes a watch out. The lock is held.
func (ws *watches) remove(w *watch) {
	byKey := ws.on[w.endpoint.name]
	for _, key := range w.keys {
		if delete(byKey[key], w); len(byKey[key]) == 0 {
			delete(byKey, key)
		}
	}
	if len(byKey) == 0 {
		delete(ws.on, w.endpoint.name)
	}
}

// saw notes which of the rows the subscription's caller sees.
func (w *watch) saw(keys []string) {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	w.visible, w.known = keys, true
}

// seen has the subscriptions authorised anew whose objects an entry changes so that others are visible; nil is an entry that nobody can
// read. It is called before anybody is told of the entry.
func (ws *watches) seen(h *Hub, e *record.Entry) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.each) == 0 {
		return
	}
	if e == nil {
		for _, w := range ws.each {
			w.doubt()
		}
		return
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		byKey := ws.on[c.Router]
		if c.Op == record.Bulk { // any of them may be another now
			for _, some := range byKey {
				for w := range some {
					w.doubt()
				}
			}
			continue
		}
		some := byKey[c.Key]
		if len(some) == 0 {
			continue
		}
		for w := range some {
			if w.differs(c) {
				w.doubt()
			}
		}
	}
}

// doubt has the subscription authorised anew, unless it was asked for that already. The lock is held.
func (w *watch) doubt() {
	if !w.again {
		w.again = true
		w.origin.Again()
	}
}

// differs reports whether a change of a row makes visible what was not, or the other way round. While nobody knows yet what was, it may.
func (w *watch) differs(c *record.Change) bool {
	if !w.known || c.Now == nil {
		return true
	}
	row, err := w.endpoint.schema.Row(w.endpoint.schema.Values(c.Now))
	return err != nil || w.scope.Match(row) != slices.Contains(w.visible, c.Key)
}
