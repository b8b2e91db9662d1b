package checker

import (
	"strconv"
	"sync"

	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/where"
)

// owners is how many owners rows have; a set of them is a mask of bits.
const owners = 6

const everything = 1<<owners - 1

// rights says who may see whose rows, and what he may not be sent any more. Its methods may be called by any goroutine.
type rights struct {
	mu      sync.RWMutex
	callers map[string]*caller
	tags    map[string]uint64
}

// caller is one user.
type caller struct {
	mask uint64 // whose rows he may see
	// sent are those whose rows he may be sent: what was revoked stays until that is acknowledged.
	sent uint64
	ever uint64
	// until is the stamp at which it was acknowledged that an owner's rows were revoked: what was written before may be on its way.
	until [owners]int64
	// turns counts the changes of his rights.
	turns int
}

func newRights() *rights { return &rights{callers: map[string]*caller{}, tags: map[string]uint64{}} }

// add declares a caller.
func (r *rights) add(name string, mask uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.callers[name] = &caller{mask: mask, sent: mask, ever: mask}
}

// of returns whose rows a caller may see, and how often that has changed.
func (r *rights) of(name string) (mask uint64, turns int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c := r.callers[name]
	if c == nil {
		return 0, 0
	}
	return c.mask, c.turns
}

// ever returns whose rows a caller has ever been allowed to see.
func (r *rights) ever(name string) uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.callers[name].ever
}

// set gives a caller other rights. What they take from him he may be sent until revoked is called.
func (r *rights) set(name string, mask uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.callers[name]
	c.mask = mask
	c.sent |= mask
	c.ever |= mask
	c.turns++
}

// revoked notes, at a stamp, that every hub has acknowledged that what a caller lost by now is lost. Turns is what it was when he
// lost it.
func (r *rights) revoked(name string, turns int, stamp int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.callers[name]
	if c.turns != turns {
		return // something was given back meanwhile, and whoever did it will see to the rest
	}
	for owner := range owners {
		if bit := uint64(1) << owner; c.sent&bit != 0 && c.mask&bit == 0 {
			c.sent &^= bit
			c.until[owner] = stamp
		}
	}
}

// permits tells why a caller may not be sent what an owner has written at a stamp; nothing when he may.
func (r *rights) permits(name string, owner, stamp int64) Invariant {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c := r.callers[name]
	switch {
	case c == nil || owner < 0 || owner >= owners || c.ever&(1<<owner) == 0:
		return Audience
	case c.sent&(1<<owner) == 0 && stamp > c.until[owner]:
		return Revoked
	}
	return ""
}

// scope is the predicate of a mask.
func scope(mask uint64) where.Where {
	var values []any
	for owner := range int64(owners) {
		if mask&(1<<owner) != 0 {
			values = append(values, owner)
		}
	}
	return where.In("owner", values...)
}

// filter is what a subscription to a list asks for; all lists for a negative one.
func filter(list int64) where.Where {
	if list < 0 {
		return where.Where{}
	}
	return where.Eq("list", list)
}

// tag is what the server calls the rows of a list that a mask may see. It is how a client's rows tell by which rights they were sent.
func tag(list int64, mask uint64) string {
	seen, err := schema.Bind(scope(mask))
	if err != nil {
		panic(err)
	}
	asked, err := schema.BindClient(filter(list))
	if err != nil {
		panic(err)
	}
	return livequery.Tag(&livequery.Schema{Router: router}, "", seen.And(asked))
}

// named returns the mask that a tag of a list stands for.
func (r *rights) named(list int64, text string) (mask uint64, ok bool) {
	text, _ = livequery.CutMark(text)
	key := strconv.FormatInt(list, 10) + " "
	r.mu.RLock()
	mask, ok = r.tags[key+text]
	_, made := r.tags[key+"made"]
	r.mu.RUnlock()
	if made {
		return mask, ok
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tags[key+"made"] = 0
	for m := range uint64(1 << owners) {
		r.tags[key+tag(list, m)] = m
	}
	mask, ok = r.tags[key+text]
	return mask, ok
}
