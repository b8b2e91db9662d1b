package checker

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
)

// fold is what one life of the log says of members: newer words count, and those of the same version that come later.
type fold struct {
	changes []attended
	now     map[string]attended // by member, as the log ends
	dead    map[string]int64    // the versions of those that are gone
	odd     map[string]bool     // the members of which words came in another order than they were said, or as if others had not
	loose   []broker.Position   // of words that leave a hub in doubt about a member
	hellos  []broker.Position   // of hubs that have just begun to follow the log, and that know everybody since
	joined  []joining
}

func newFold() *fold {
	return &fold{now: map[string]attended{}, dead: map[string]int64{}, odd: map[string]bool{}}
}

// joining is what a hub that begins says: that it asks the others, and that it has waited for what they say.
type joining struct {
	node         string
	hello, ready broker.Position
}

// overlooked reports whether a word on a member is one that may say nothing to a client: a hub had begun without hearing of the member, which
// was there before, and may have shown the client a list without it. That hub says so when it hears of the member, by a word that creates it
// for everybody.
func (o *oracle) overlooked(a attended) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	f := o.epochs[a.at.Epoch].fold
	return slices.ContainsFunc(f.joined, func(j joining) bool {
		if j.ready.IsZero() || !a.at.After(j.ready) {
			return false
		}
		before := false
		for _, word := range f.changes {
			switch {
			case word.id != a.id || word.at.After(a.at):
			case !word.at.After(j.hello):
				before = true
			case !word.at.After(j.ready) || word.creates:
				return false
			}
		}
		return before
	})
}

// attended is what an entry of the log says of a member.
type attended struct {
	at        broker.Position
	id, place string
	version   int64
	gone      bool
	// counts says that it is the newest word on the member.
	counts bool
	// creates says that it tells of the member as of one that comes.
	creates bool
	// node is the hub that speaks for it, leased whether it polls; as JSON, for findings.
	node, leased string
}

// attend takes a change of a member from the log.
func (o *oracle) attend(e *epoch, at broker.Position, c record.Change) {
	f := e.fold
	a := attended{at: at, id: c.Key, gone: c.Now == nil, creates: c.Op == record.Create, node: string(c.Now["node"]), leased: string(c.Now["leased"])}
	if c.Version != nil {
		a.version = *c.Version
	}
	before, here := f.now[a.id]
	dead, died := f.dead[a.id]
	if here && a.version < before.version || !here && (died || !a.creates) {
		f.odd[a.id] = true
	}
	if f.odd[a.id] || c.Was == nil && !a.creates {
		f.loose = append(f.loose, at)
	}
	switch {
	case a.gone && here && a.version >= before.version:
		a.counts, a.place = true, before.place
		delete(f.now, a.id)
		f.dead[a.id] = max(a.version, f.dead[a.id])
	case a.gone:
		f.dead[a.id] = max(a.version, f.dead[a.id])
	default:
		_ = json.Unmarshal(c.Now["place"], &a.place)
		if a.counts = (!here || a.version >= before.version) && (here || !died || a.version > dead); a.counts {
			f.now[a.id] = a
			delete(f.dead, a.id)
		}
		o.states[a.id] = append(o.states[a.id], stated{a.version, c.Now})
	}
	f.changes = append(f.changes, a)
}

// stated is a state of a member that was on the log.
type stated struct {
	version int64
	fields  record.Fields
}

// greet notes what hubs tell each other.
func (f *fold) greet(at broker.Position, m record.Message) {
	var w struct {
		Node         string
		Hello, Ready bool
	}
	if m.Channel != gossip || json.Unmarshal(m.Data, &w) != nil {
		return
	}
	if w.Hello {
		f.hellos = append(f.hellos, at)
		f.joined = append(f.joined, joining{node: w.Node, hello: at})
	}
	if w.Ready {
		f.hellos = append(f.hellos, at)
		for i := range f.joined {
			if j := &f.joined[i]; j.node == w.Node && j.ready.IsZero() {
				j.ready = at
			}
		}
	}
}

// open are the fields of members that clients are told.
var open = []string{"id", "version", "on", "person", "name", "info", "state", "away", "since", "lock", "wants"}

// stated reports whether a member ever was on the log as a client holds it: all its fields, byte for byte.
func (o *oracle) stated(id string, version int64, fields map[string]json.RawMessage) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(fields) == len(open) && slices.ContainsFunc(o.states[id], func(s stated) bool {
		return s.version == version && !slices.ContainsFunc(open, func(name string) bool { return !bytes.Equal(s.fields[name], fields[name]) })
	})
}

// attended returns what the log says of members after a position, up to another one of the same epoch.
func (o *oracle) attended(after, upto broker.Position) []attended {
	o.await(upto)
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.epochs[upto.Epoch]
	if e == nil || after.Epoch != upto.Epoch {
		return nil
	}
	all := e.fold.changes
	from := sort.Search(len(all), func(i int) bool { return all[i].at.After(after) })
	to := sort.Search(len(all), func(i int) bool { return all[i].at.After(upto) })
	return all[from:max(from, to)]
}

// left returns the words that took somebody out, after a position, whom some func names.
func (o *oracle) left(after broker.Position, who func(id string) bool) (all []attended) {
	for _, a := range o.attended(after, o.end()) {
		if a.gone && a.counts && who(a.id) {
			all = append(all, a)
		}
	}
	return all
}

// desk returns the last that the log said of a row before a position; false if that is not known for sure.
func (o *oracle) desk(key string, before broker.Position) (logged, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.epochs[before.Epoch]
	if e == nil {
		return logged{}, false
	}
	all := e.desks[key]
	i := sort.Search(len(all), func(i int) bool { return !before.After(all[i].at) }) - 1
	if i < 0 || all[i].open {
		return logged{}, false
	}
	return all[i], true
}

// greeted reports whether a hub began to follow the log after a position, or had not heard from the others there whom there is.
func (o *oracle) greeted(after broker.Position) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.epochs[after.Epoch]
	return e != nil && anyAfter(e.fold.hellos, after)
}

// doubted reports whether a word on a member at a position, or after it, may leave a hub in doubt about that one.
func (o *oracle) doubted(at broker.Position) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.epochs[at.Epoch]
	return e != nil && len(e.fold.loose) > 0 && !at.After(e.fold.loose[len(e.fold.loose)-1])
}
