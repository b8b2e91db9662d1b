package livequery

import (
	"slices"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/where"
)

// rows is the last known state of rows by key, as the log told it. With it a change whose publisher did not say what the
// row was finds out, a change that comes after a newer one is recognised, and an update can be sent as a difference.
type rows struct {
	states map[string]*state
	// sweepAt is the number of states at which a sweep begins, which drops those that nobody needs: twice what the last sweep left, so
	// that the work is constant for each change. Unswept is how many a sweep that is under way has yet to look at.
	sweepAt, unswept int
}

type state struct {
	row      where.Row // nil when the row is gone
	version  *int64
	position broker.Position
	// published says that the state came by on the log; otherwise it was read in a list and may be ahead of the log.
	published bool
	// born is the version with which the row was created, as far as that came by on the log.
	born *int64
	// ahead are other states of the row that lists returned: somebody may hold the row by them, and the log, which will
	// come to them, may come to a newer one first.
	ahead []reading
	// list is the number of the list that showed it first; zero when it is published.
	list uint64
	// doubt says that it is not certain whether the row is there: what the log told fits both that it is gone, and that late
	// words of it came by, and that it is not, or that there is a new one with its key. A list that shows the row ends it.
	doubt bool
	// doubted says that the last change was doubtful; lists do not end that, for who reads old history comes to it yet.
	doubted bool
	// before says that it came by before a subscription began to read: what it was told then may differ from it.
	before bool
	// bulk says that a bulk change may have made the row another since: what is known of it is no basis for a difference.
	bulk bool
}

// reading is a state of a row that a list returned.
type reading struct {
	row     where.Row
	version *int64
}

const (
	minSweep = 1024
	// sweepBy is how many states are looked at after an entry while a sweep is under way.
	sweepBy = 16
	// maxAhead bounds the states of one row that lists returned: an application that does not publish makes ever more.
	maxAhead = 8
)

func newRows() rows { return rows{states: map[string]*state{}, sweepAt: minSweep} }

// note keeps a row that a list returned, which was read after the position. What the log told counts for more: it is in
// order, and a list may be ahead of it.
func (r *rows) note(read Read, at broker.Position, list uint64) {
	row, version := read.Row, read.Version
	known := r.states[read.Key]
	if known == nil {
		r.states[read.Key] = &state{row: row, version: version, position: at, list: list}
		return
	}
	if !known.position.After(at) {
		known.doubt = false
	}
	if slices.Equal(known.row, row) || known.published && older(version, known.version) {
		return
	}
	if slices.ContainsFunc(known.ahead, func(a reading) bool { return slices.Equal(a.row, row) }) {
		return
	}
	if len(known.ahead) == maxAhead {
		known.ahead = known.ahead[1:]
	}
	known.ahead = append(known.ahead, reading{row, version})
}

// bulk notes that any row that a predicate matches may have become another. Its version still tells what is late; whether a newer
// one is the next, only a list can tell, which ends the doubt.
func (r *rows) bulk(p *where.Predicate, at broker.Position) {
	for _, s := range r.states {
		if s.row != nil && p.Match(s.row) || slices.ContainsFunc(s.ahead, func(a reading) bool { return p.Match(a.row) }) {
			s.bulk, s.doubt, s.position = true, true, at
		}
	}
}

// resolve completes a change with what is known of its row, and takes the row's new state.
func (r *rows) resolve(c *Change, rec *record.Change, at broker.Position) {
	known := r.states[c.key]
	order := known.order(rec)
	if order == late {
		known.late(c, rec)
		return
	}
	c.doubtful = order == doubtful
	next := state{row: c.now, version: rec.Version, position: at, published: true}
	if known != nil {
		if rec.Op == record.Delete && rec.Version == nil { // whoever deleted it does not know: what comes late is told by the last known
			next.version = known.version
		}
		complete(c, known, rec)
		next.born = known.born
		next.ahead = known.left(rec.Version)
		next.doubted = c.doubtful
		if next.doubt = c.doubtful; c.doubtful && c.now == nil {
			next.row, next.version = known.row, known.version // kept for whoever finds it in the database
		}
	} else {
		c.wasUnknown = c.was == nil && rec.Op != record.Create
	}
	if rec.Op == record.Create {
		next.born = rec.Version
	}
	if known != nil {
		*known = next
		return
	}
	r.states[c.key] = &next
}

// complete fills in what the row was.
func complete(c *Change, known *state, rec *record.Change) {
	switch {
	case c.was == nil:
		c.was, c.listed = known.row, !known.published
		// What only a list showed may be newer than what a subscription holds that resumed here.
		c.wasUnknown = (!known.published || c.doubtful || known.bulk || known.before) && rec.Op != record.Create
	case slices.Equal(c.was, known.row):
		c.was = known.row // held once
		c.contiguous, c.list = c.changed != nil && !known.bulk && !known.before, known.list
		c.again = c.contiguous && rec.Op == record.Update && len(rec.Changed) == 0 && rec.Mutation == "" && equal(rec.Version, known.version)
	case known.row != nil:
		c.others = append(c.others, known.row)
	}
	for _, a := range known.ahead {
		c.others = append(c.others, a.row)
	}
}

// left returns the states that lists returned and that a change to a version does not overtake.
func (s *state) left(version *int64) []reading {
	if version == nil {
		return nil
	}
	var left []reading
	if !s.published && older(version, s.version) {
		left = append(left, reading{s.row, s.version})
	}
	for _, a := range s.ahead {
		if older(version, a.version) {
			left = append(left, a)
		}
	}
	return left
}

// denies reports whether a delete that names a version may be an old one's, of a row that is there, though the log does not tell of it
// later.
func (s *state) denies(version *int64) bool {
	return s != nil && (s.doubt || !s.published && s.row != nil && older(version, s.version))
}

// late completes a change that comes after a newer one of the same row went by.
func (s *state) late(c *Change, rec *record.Change) {
	c.stale, c.now = true, s.row
	c.wasUnknown = c.was == nil && rec.Op != record.Create
	if rec.Op == record.Create {
		s.born = rec.Version
	}
}

// order is how a change stands to what is known of its row.
type order uint8

const (
	next     order = iota // it is the newest
	late                  // a newer one went by
	doubtful              // nobody here can tell; the database can
)

// order compares versions: they tell what was committed first, whatever was published first. But versions do not tell
// everything. A delete may name an older version than the one that it deleted, for its publisher may have loaded the row
// long before. And another row may be created with the key of one that is gone, and begin at any version: it is told from
// a late creation if its version is new, or if a creation with this version came by before.
func (s *state) order(rec *record.Change) order {
	if s == nil || !s.published || rec.Version == nil || s.version == nil {
		return next
	}
	version, known := *rec.Version, *s.version
	switch {
	case s.doubt:
		return doubtful
	case s.row != nil && version >= known:
		return next
	case s.row != nil && rec.Op == record.Delete:
		return doubtful
	case s.row != nil:
		return late
	case rec.Op == record.Create && s.born != nil && version == *s.born:
		return next
	case rec.Op != record.Update && version > known:
		return next
	case version <= known && (rec.Op == record.Update || rec.Op == record.Delete):
		return late // a row that is gone stays gone up to the version at which it went
	}
	return doubtful
}

// equal reports whether two versions are known to be the same.
func equal(a, b *int64) bool { return a != nil && b != nil && *a == *b }

// older reports whether a version is known to be before another.
func older(version, than *int64) bool {
	return version != nil && than != nil && *version < *than
}

// sweep drops states that nobody needs: keep tells of a state whether somebody does. It is called after each entry, and looks at a few, so that no
// entry waits for it: there may be a million, each of which is a search in the index. Those that it looks at are random, since a map's range
// begins anywhere; a sweep looks at as many as there are twice over, and so misses one in seven.
func (r *rows) sweep(keep func(*state) bool) {
	if r.unswept == 0 {
		if len(r.states) < r.sweepAt {
			return
		}
		r.unswept = 2 * len(r.states)
	}
	few := min(sweepBy, r.unswept)
	r.unswept -= few
	for key, s := range r.states {
		if few--; few < 0 {
			break
		}
		if !keep(s) {
			delete(r.states, key)
		}
	}
	if r.unswept == 0 {
		r.sweepAt = max(minSweep, 2*len(r.states))
	}
}
