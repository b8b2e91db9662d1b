package presence

import (
	"maps"
	"time"
)

// replica is all members, as the log tells them. It depends on nothing but what the log says: later words of one version or a newer one
// count, older ones do not. So all nodes come to the same.
type replica struct {
	rows   map[string]*row // never changed, only replaced
	places map[string]map[string]*row
	nodes  map[string]map[string]*row
	orders map[string]*sorting  // by place, until somebody comes, changes or goes there
	signs  map[string]time.Time // of those that are leased: when they were heard of last
	told   map[string]time.Time // when the log told of each last
	gone   map[string]grave
}

// grave is what is known of a member that is gone: what was said of it before is not to raise it, and nobody else is to take its name at once.
type grave struct {
	version int64
	proof   string
	at      time.Time
}

// maxGraves is how many of them are kept without looking for old ones.
const maxGraves = 1024

func newReplica() replica {
	return replica{
		rows: map[string]*row{}, places: map[string]map[string]*row{}, nodes: map[string]map[string]*row{}, signs: map[string]time.Time{},
		told: map[string]time.Time{},
		gone: map[string]grave{}, orders: map[string]*sorting{},
	}
}

// put takes a state of a member; it reports false when it is older than what is known.
func (p *replica) put(r *row, now time.Time) bool {
	if known := p.rows[r.ID]; known != nil {
		if r.Version < known.Version {
			return false
		}
		p.drop(known)
	} else if dead, ok := p.gone[r.ID]; ok && r.Version <= dead.version {
		return false
	}
	delete(p.gone, r.ID)
	p.rows[r.ID] = r
	delete(p.orders, r.Place)
	into(p.places, r.Place, r)
	into(p.nodes, r.Node, r)
	p.signs[r.ID], p.told[r.ID] = now, now
	return true
}

// remove takes a member out; it reports false when a newer state of it is known.
func (p *replica) remove(id string, version *int64, now time.Time, keep time.Duration) bool {
	known := p.rows[id]
	if known != nil && version != nil && *version < known.Version {
		return false
	}
	dead := grave{at: now}
	if version != nil {
		dead.version = *version
	}
	if known != nil {
		dead.version, dead.proof = max(dead.version, known.Version), known.Proof
		p.drop(known)
		delete(p.rows, id)
		delete(p.signs, id)
		delete(p.told, id)
	} else if before, ok := p.gone[id]; ok {
		dead.version, dead.proof = max(dead.version, before.version), before.proof
	}
	p.gone[id] = dead
	if len(p.gone) > maxGraves+len(p.rows) {
		maps.DeleteFunc(p.gone, func(_ string, g grave) bool { return now.Sub(g.at) > keep })
	}
	return known != nil
}

func (p *replica) drop(r *row) {
	delete(p.orders, r.Place)
	from(p.places, r.Place, r.ID)
	from(p.nodes, r.Node, r.ID)
}

func into(m map[string]map[string]*row, key string, r *row) {
	if m[key] == nil {
		m[key] = map[string]*row{}
	}
	m[key][r.ID] = r
}

func from(m map[string]map[string]*row, key, id string) {
	if delete(m[key], id); len(m[key]) == 0 {
		delete(m, key)
	}
}

// at returns who is in a place.
func (p *replica) at(place string) []*row {
	rows := make([]*row, 0, len(p.places[place]))
	for _, r := range p.places[place] {
		rows = append(rows, r)
	}
	return rows
}
