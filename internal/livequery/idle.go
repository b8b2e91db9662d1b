package livequery

import "time"

// idlers are queries that nobody refers to, in the order in which that began: so that what has been idle for long is found without
// a look at all that are not. The lock of the stream, or of the channels, guards them.
type idlers struct{ first, last *idler }

// idler is a query's place among the idle ones.
type idler struct {
	query          *Query
	since          time.Time
	earlier, later *idler
}

// put adds a query that nobody refers to any more.
func (l *idlers) put(q *Query) {
	i := &idler{query: q, since: time.Now(), earlier: l.last}
	if l.last == nil {
		l.first = i
	} else {
		l.last.later = i
	}
	l.last, q.idle = i, i
}

// take removes a query, if it is idle.
func (l *idlers) take(q *Query) {
	i := q.idle
	if i == nil {
		return
	}
	if i.earlier == nil {
		l.first = i.later
	} else {
		i.earlier.later = i.later
	}
	if i.later == nil {
		l.last = i.earlier
	} else {
		i.later.earlier = i.earlier
	}
	q.idle = nil
}

// before takes out the query that has been idle for longest, if that began before a moment; nil without one.
func (l *idlers) before(t time.Time) *Query {
	if l.first == nil || !l.first.since.Before(t) {
		return nil
	}
	q := l.first.query
	l.take(q)
	return q
}
