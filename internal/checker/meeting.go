package checker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/mirror"
)

// attends judges a row that a subscription to places holds: it is what its member has said, and was on the log.
func (c *client) attends(l *link, s *subscription, r mirror.Row) {
	m, ok := c.world.members.of(r.Key)
	if !ok || !slices.Contains(s.places, m.place.String()) {
		c.find(Misfit, l, s, "%s was never here: it is at %v", r.Key, m.place)
		return
	}
	var got struct{ ID, On, Person, Name string }
	for name, to := range map[string]*string{"id": &got.ID, "on": &got.On, "person": &got.Person, "name": &got.Name} {
		_ = json.Unmarshal(r.Fields[name], to)
	}
	if got.ID != m.id || got.On != m.place.On() || got.Person != m.who || got.Name != nameOf(m.who) || !c.world.members.did(m.id, string(r.Fields["state"])) {
		c.find(Misfit, l, s, "a member is held as %s, %s: it is %s of %s at %v, and never said this", fmt.Sprint(got), r.Fields["state"], m.id, m.who, m.place)
		return
	}
	o := c.world.oracle
	if o.stated(r.Key, versionOf(r.Version), r.Fields) {
		return
	}
	if o.end(); !o.stated(r.Key, versionOf(r.Version), r.Fields) { // a list may be ahead of its cursor
		text, _ := json.Marshal(r)
		c.find(Misfit, l, s, "a member is held as the log never had it: %s", text)
	}
}

// nameOf is what people are called.
func nameOf(who string) string { return "name of " + who }

// met judges the snapshot of a subscription to places.
func (c *client) met(l *link, s *subscription, st *standing, m mirror.Message) {
	c.world.oracle.await(s.at)
	for _, r := range m.Rows {
		c.attends(l, s, r)
		c.sees(l, s, r.Key, st.stamp, "its list shows")
	}
}

// news judges what a subscription to places was told: whatever comes behind the word on the log by which a row became one that the caller
// may not see, comes after it was found that he may by now.
func (c *client) news(l *link, s *subscription, m mirror.Message) {
	for _, change := range s.feed.Changes {
		if change.Op != "leave" && change.Op != "delete" {
			c.attends(l, s, change.Held)
		}
	}
	at := c.position(m.Cursor)
	c.world.oracle.await(at)
	for _, change := range m.Changes {
		if mb, ok := c.world.members.of(change.Key); ok && mb.place.Router == router {
			if desk, known := c.world.oracle.desk(mb.place.Key, at); known {
				c.sees(l, s, change.Key, c.world.table.stampOf(desk.key, desk.version), change.Op)
			}
		}
	}
}

// sees checks that the caller might see, at some time since a stamp, the row at which a member is. Of members on channels the marks in
// their states tell.
func (c *client) sees(l *link, s *subscription, id string, since int64, what string) {
	m, ok := c.world.members.of(id)
	if !ok || m.place.Router != router {
		return
	}
	broken := Audience
	for _, v := range c.world.table.since(m.place.Key, since) {
		if broken = c.world.rights.permits(c.who, v.Owner, max(v.stamp, since)); broken == "" {
			return
		}
	}
	c.find(broken, l, s, "%s member %s at %v, which %s has not been allowed to see since %d: %s", what, id, m.place, c.who, since, c.world.story(m.place.Key))
}

// accompanies checks that what a subscription to places holds is what the log says, as far as the log went from a position to where it is.
// What belongs into a window depends on what else does, and which of many rows a caller may see changes, so of these only what must not
// be there is checked.
func (c *client) accompanies(l *link, s *subscription, before broker.Position) {
	passed := c.world.oracle.attended(before, s.at)
	c.world.tally.Checked.Add(int64(len(passed)))
	for n, a := range passed {
		if !a.counts || slices.ContainsFunc(passed[n+1:], func(next attended) bool { return next.id == a.id && next.counts }) {
			continue
		}
		held, ok := s.feed.Rows[a.id]
		version := versionOf(held.Version)
		switch belongs := !a.gone && slices.Contains(s.places, a.place); {
		case belongs && (s.kind == window || len(s.places) > 1):
		case belongs && !ok && c.world.oracle.overlooked(a):
		case belongs && (!ok || version < a.version):
			// A list that was read after the member had gone did not show it.
			if len(c.world.oracle.left(a.at, func(id string) bool { return id == a.id })) == 0 {
				c.find(Gap, l, s, "it went on from %v past %v, where member %s became version %d, and holds version %q: %s", before, a.at, a.id, a.version, held.Version, c.world.tale(a.id))
			}
		case !belongs && ok && version <= a.version:
			c.find(Gap, l, s, "it went on from %v past %v, where member %s left with version %d, and holds version %s: %s", before, a.at, a.id, a.version, held.Version, c.world.tale(a.id))
		}
	}
}

// unseen reports whether the caller had not, at some time since it asked, the right to a place, or his rights have changed.
func (c *client) unseen(s *subscription, st *standing) bool {
	mask, turns := c.world.rights.of(c.who)
	if turns != s.turns || turns != s.before || len(s.places) > 1 {
		return turns != s.turns || turns != s.before
	}
	place := extend.ParsePlace(s.places[0])
	if owner, ok := chatOwner(place.Channel); ok {
		return mask&(1<<owner) == 0
	}
	all := c.world.table.since(place.Key, st.stamp)
	return place.Router == router && (len(all) == 0 || slices.ContainsFunc(all, func(v dated) bool { return mask&(1<<v.Owner) == 0 }))
}

// permitted reports whether a caller may see a place now.
func (w *world) permitted(who, text string) bool {
	mask, _ := w.rights.of(who)
	place := extend.ParsePlace(text)
	if owner, ok := chatOwner(place.Channel); ok {
		return mask&(1<<owner) != 0
	} else if place.Channel != "" {
		return true
	}
	all := w.table.since(place.Key, w.table.now())
	return len(all) > 0 && mask&(1<<all[len(all)-1].Owner) != 0
}

// company is what a subscription to places must show: the members that are there, of those who may see the place, or how many persons they
// are.
func (w *world) company(i interest, who string) string {
	var ids []string
	persons := map[string]bool{}
	states := map[string]string{}
	for _, m := range w.members.there() {
		at := m.place.String()
		if slices.Contains(i.places, at) && w.permitted(m.who, at) && w.permitted(who, at) {
			ids = append(ids, m.id)
			persons[m.who] = true
			states[m.id] = fmt.Sprintf(" %s does %s away %v", m.id, m.state, m.away)
		}
	}
	if i.kind == count {
		return fmt.Sprint(len(persons))
	}
	slices.Sort(ids)
	if i.kind == window {
		ids = ids[:min(len(ids), i.limit)]
	}
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(states[id])
	}
	return b.String()
}

// faces is what a user would see of a subscription to places.
func (s *subscription) faces() string {
	if s.kind == count {
		return s.shown()
	}
	var b strings.Builder
	for _, r := range s.feed.Shown() {
		fmt.Fprintf(&b, " %s does %s away %s", r.Key, r.Fields["state"], r.Fields["away"])
	}
	return b.String()
}

// tale tells what was said of a member, for findings.
func (w *world) tale(id string) string {
	var b strings.Builder
	m, _ := w.members.of(id)
	fmt.Fprintf(&b, "of %s at %v, over %v; ", m.who, m.place, m.over)
	o := w.oracle
	o.mu.RLock()
	defer o.mu.RUnlock()
	for name, e := range o.epochs {
		for _, a := range e.fold.changes {
			if a.id == id {
				fmt.Fprintf(&b, "epoch %d has at %v version %d (gone %v, counts %v, of node %s, leased %s); ", name, a.at, a.version, a.gone, a.counts, a.node, a.leased)
			}
		}
		fmt.Fprintf(&b, "hellos at %v; ", e.fold.hellos)
	}
	return b.String() + "now " + strconv.FormatInt(w.table.now(), 10)
}
