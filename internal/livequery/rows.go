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
	// sweepAt is the number of states at which those that nobody needs are dropped: twice what the last sweep left, so
	// that the work is constant for each change.
	sweepAt int
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
	// guessed is the version that only a list had shown when a change was told as a difference to it.
	guessed *int64
	// ended is the version at which the row was deleted, while it is not certain whether what came by since is of a new
	// row with the same key or a late word of the old one.
	ended *int64
}

// reading is a state of a row that a list returned.
type reading struct {
	row     where.Row
	version *int64
}

const (
	minSweep = 1024
	// maxAhead bounds the states of one row that lists returned: an application that does not publish makes ever more.
	maxAhead = 8
)

func newRows() rows { return rows{states: map[string]*state{}, sweepAt: minSweep} }

// note keeps a row that a list returned, which was read after the position. What the log told counts for more: it is in
// order, and a list may be ahead of it.
func (r *rows) note(key string, version *int64, row where.Row, at broker.Position) {
	known := r.states[key]
	if known == nil {
		r.states[key] = &state{row: row, version: version, position: at}
		return
	}
	if !known.position.After(at) {
		known.ended = nil // it is there
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

// resolve completes a change with what is known of its row, and takes the row's new state.
func (r *rows) resolve(c *Change, rec *record.Change, at broker.Position) {
	known := r.states[c.key]
	order := known.order(rec)
	if order == late {
		known.late(c, rec)
		return
	}
	c.doubtful = order == doubtful
	next := &state{row: c.now, version: rec.Version, position: at, published: true}
	if known != nil {
		complete(c, known, rec)
		next.born = known.born
		next.ahead = known.left(rec.Version)
		if c.contiguous {
			if next.guessed = known.guessed; !known.published {
				next.guessed = known.version
			}
		}
		if c.doubtful {
			next.doubt(known)
		}
	} else {
		c.wasUnknown = c.was == nil && rec.Op != record.Create
	}
	if rec.Op == record.Create {
		next.born = rec.Version
	}
	r.states[c.key] = next
}

// complete fills in what the row was.
func complete(c *Change, known *state, rec *record.Change) {
	switch {
	case c.was == nil:
		c.was = known.row
		// What only a list showed may be newer than what a subscription holds that resumed here.
		c.wasUnknown = (!known.published || c.doubtful) && rec.Op != record.Create
	case slices.Equal(c.was, known.row):
		c.contiguous = c.changed != nil
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

// late completes a change that comes after a newer one of the same row went by.
func (s *state) late(c *Change, rec *record.Change) {
	c.stale, c.now = true, s.row
	c.wasUnknown = c.was == nil && rec.Op != record.Create
	// A list had shown a row that the log had not reached, and the newest change was told as a difference to it. Who had
	// not been given that list lacks what this change would have told him.
	c.doubtful = s.guessed != nil && *rec.Version <= *s.guessed
	if rec.Op == record.Create {
		s.born = rec.Version
	}
}

// doubt makes a state remember what makes it doubtful: the version of the row that is gone, or seems to be.
func (s *state) doubt(before *state) {
	ended := before.version
	if before.ended != nil && older(ended, before.ended) {
		ended = before.ended
	}
	if s.row == nil {
		s.version = ended
	} else {
		s.ended = ended
	}
}

// order is how a change stands to what is known of its row.
type order uint8

const (
	next     order = iota // it is the newest
	late                  // a newer one went by
	doubtful              // nobody here can tell; the database can
)

// order compares versions: they tell what was committed first, whatever was published first. A deleted row stays gone for
// updates up to the version at which it went. But another row may be created with its key, and begin at any version: it is
// told from a late creation if its first version came by before. A delete may name an older version than the one that it deleted, for its publisher may have loaded the row long before.
func (s *state) order(rec *record.Change) order {
	switch {
	case s == nil || !s.published || rec.Version == nil || s.version == nil:
		return next
	case s.ended != nil && *rec.Version <= *s.ended:
		return doubtful
	case s.row != nil:
		if !older(rec.Version, s.version) {
			return next
		}
		if rec.Op == record.Delete {
			return doubtful
		}
		return late
	case *rec.Version > *s.version || rec.Op == record.Create && s.born != nil && *rec.Version == *s.born:
		return next
	case rec.Op == record.Create || rec.Op == record.Put:
		return doubtful
	}
	return late
}

// older reports whether a version is known to be before another.
func older(version, than *int64) bool {
	return version != nil && than != nil && *version < *than
}

// sweep drops the states that nobody needs: keep tells of a state whether somebody does.
func (r *rows) sweep(keep func(*state) bool) {
	if len(r.states) < r.sweepAt {
		return
	}
	for key, s := range r.states {
		if !keep(s) {
			delete(r.states, key)
		}
	}
	r.sweepAt = max(minSweep, 2*len(r.states))
}
