package session

import (
	"cmp"
	"slices"
)

// subscriptions are those of a session, in the order of their ids: of most sessions they are few. The session's lock guards them.
type subscriptions []*subscription

func (all subscriptions) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(all, id, func(sub *subscription, id int64) int { return cmp.Compare(sub.id, id) })
}

// of returns the one with an id, nil when there is none.
func (all subscriptions) of(id int64) *subscription {
	if i, ok := all.find(id); ok {
		return all[i]
	}
	return nil
}

// add adds one whose id is not there.
func (all *subscriptions) add(sub *subscription) {
	i, _ := all.find(sub.id)
	*all = slices.Insert(*all, i, sub)
}

// remove takes one out.
func (all *subscriptions) remove(sub *subscription) {
	if i, ok := all.find(sub.id); ok && (*all)[i] == sub {
		*all = slices.Delete(*all, i, i+1)
	}
}

// become changes a subscription's state.
func (sub *subscription) become(state state) {
	sub.count(-1)
	sub.state = state
	sub.count(1)
	if state != live && state != ended {
		sub.depart()
	}
}

// pause has a subscription that is behind left alone, or not any more.
func (sub *subscription) pause(paused bool) {
	sub.count(-1)
	sub.paused = paused
	sub.count(1)
}

// count keeps the number of the session's subscriptions that can be read on.
func (sub *subscription) count(n int) {
	if sub.state == behind && !sub.paused {
		sub.session.lagging += n
	}
}
