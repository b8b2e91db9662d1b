package checker

import (
	"slices"
	"sort"
	"strconv"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
)

// epoch is one life of the log.
type epoch struct {
	base     broker.Position // entries up to it are trimmed
	entries  []broker.Position
	ids      map[string]bool // of entries that have one
	changes  []logged
	channels map[string][]said
	rechecks map[string][]broker.Position
	loose    []broker.Position // entries that leave the hubs in doubt about what a row was
	bulks    []broker.Position
	touched  map[string]broker.Position // the last change by key
	desks    map[string][]logged        // of rows at which members are
	fold     *fold
}

// newEpoch returns one of which nothing is known up to a position.
func newEpoch(base broker.Position) *epoch {
	return &epoch{
		base: base, ids: map[string]bool{}, channels: map[string][]said{}, rechecks: map[string][]broker.Position{}, touched: map[string]broker.Position{},
		desks: map[string][]logged{}, fold: newFold(),
	}
}

// logged is a change of a row on the log.
type logged struct {
	at  broker.Position
	op  record.Op
	key string
	was int64 // the version that was published
	// version, row and gone are what the row is after the entry, as far as it was published.
	version int64
	row     item
	gone    bool
	// open says that nobody can tell that yet: an older version is still to be published, or the row is changed again in the same entry.
	open bool
}

// said is a message on a channel.
type said struct {
	at   broker.Position
	data string
}

// note takes a change of the log.
func (o *oracle) note(e *epoch, at broker.Position, c record.Change) {
	if c.Op == record.Bulk {
		e.bulks = append(e.bulks, at)
		e.loose = append(e.loose, at)
		for key, version := range o.table.versions() { // who does this holds up the other writers
			if t := o.told[key]; t != nil {
				t.upto, t.newest = version, version
			}
		}
		return
	}
	t := o.told[c.Key]
	if t == nil {
		t = &told{beyond: map[int64]bool{}, late: map[int64]bool{}}
		o.told[c.Key] = t
	}
	version := t.newest // deleted by who does not know the version
	if c.Version != nil {
		version = *c.Version
	}
	inOrder := t.note(version, c.Op == record.Delete)
	l := logged{at: at, op: c.Op, key: c.Key, was: version, version: t.newest, gone: t.gone, open: !t.whole()}
	if !l.gone {
		l.row, _ = o.table.at(c.Key, l.version)
	}
	for i := len(e.changes) - 1; i >= 0 && e.changes[i].at == at; i-- {
		if e.changes[i].key == c.Key { // an entry counts as a whole
			e.changes[i].open = true
		}
	}
	t.odd = t.odd || !inOrder
	if t.odd || c.Op == record.Put || c.Was == nil && c.Op != record.Create || anyAfter(e.bulks, e.touched[c.Key]) {
		e.loose = append(e.loose, at)
	}
	e.touched[c.Key] = at
	e.changes = append(e.changes, l)
	if id, _ := strconv.Atoi(c.Key); id <= desks {
		e.desks[c.Key] = append(e.desks[c.Key], l)
	}
}

// spoken returns the messages of a channel after a position, up to another one of the same epoch.
func (o *oracle) spoken(channel string, after, upto broker.Position) []said {
	o.await(upto)
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.epochs[upto.Epoch]
	if e == nil || after.Epoch != upto.Epoch {
		return nil
	}
	all := e.channels[channel]
	from := sort.Search(len(all), func(i int) bool { return all[i].at.After(after) })
	to := sort.Search(len(all), func(i int) bool { return all[i].at.After(upto) })
	return all[from:max(from, to)]
}

// spokenAt returns the messages of a channel in one entry.
func (o *oracle) spokenAt(channel string, at broker.Position) (all []said) {
	o.await(at)
	o.mu.RLock()
	defer o.mu.RUnlock()
	if e := o.epochs[at.Epoch]; e != nil {
		said := e.channels[channel]
		for i := sort.Search(len(said), func(i int) bool { return !at.After(said[i].at) }); i < len(said) && said[i].at == at; i++ {
			all = append(all, said[i])
		}
	}
	return all
}

// changed returns the changes of rows after a position, up to another one of the same epoch.
func (o *oracle) changed(after, upto broker.Position) []logged {
	o.await(upto)
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.epochs[upto.Epoch]
	if e == nil || after.Epoch != upto.Epoch {
		return nil
	}
	from := sort.Search(len(e.changes), func(i int) bool { return e.changes[i].at.After(after) })
	to := sort.Search(len(e.changes), func(i int) bool { return e.changes[i].at.After(upto) })
	return e.changes[from:max(from, to)]
}

// late reports whether a version of a row was published after a newer one.
func (o *oracle) late(key string, version int64) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	t := o.told[key]
	return t != nil && t.late[version]
}

// reach is how far back, before the place where it begins, a hub looks at most that reads old history for a client, in entries.
const reach = 128

// blind reports whether a hub may have taken a late change for new: the newer one came by before it began to follow the log, or further
// back than what it keeps in memory, or so near to where history begins by now that nobody can read old history from before it. These are
// the bounds that docs/architecture.md names.
func (o *oracle) blind(h *handle, late logged) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.epochs[late.at.Epoch]
	i := slices.IndexFunc(e.changes, func(c logged) bool { return c.key == late.key && c.was > late.was })
	if i < 0 || !late.at.After(e.changes[i].at) {
		return true // it came by in a log that is gone
	}
	newer, began := e.place(e.changes[i].at), e.place(h.beginning(late.at.Epoch))
	return newer <= began || e.place(late.at)-newer > min(h.window, reach/2) || newer-e.place(e.base) < reach
}

// place counts the entries up to a position.
func (e *epoch) place(p broker.Position) int {
	return sort.Search(len(e.entries), func(i int) bool { return e.entries[i].After(p) })
}

// anyAfter reports whether one of the positions of an epoch lies behind another one; the zero position is before all.
func anyAfter(all []broker.Position, after broker.Position) bool {
	return len(all) > 0 && (after.IsZero() || all[len(all)-1].After(after))
}

// excuse reports whether there is a reason of this name to resync a caller's subscription that stands at a position.
func (o *oracle) excuse(reason string, at broker.Position, who string) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.epochs[at.Epoch]
	if e == nil {
		return reason == "epoch" // a position that nobody gave out
	}
	switch reason {
	case "epoch":
		return at.Epoch != o.head.Epoch
	case "history", "overflow":
		return e.base.After(at)
	case "unknown":
		return len(e.loose) > 0 && !at.After(e.loose[len(e.loose)-1]) // of one entry a part may have been told
	case "bulk":
		return anyAfter(e.bulks, at)
	case "rights":
		return anyAfter(e.rechecks[who], at)
	}
	return false
}
