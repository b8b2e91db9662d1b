package pusher

import (
	"strings"

	"github.com/swampline/live/internal/extend"
)

// sawEarly notes what this node said before it knew who else is there. The lock is held.
func (r *registry) sawEarly(now *extend.Member) {
	if r.known || now == nil || !now.Own {
		return
	}
	if r.early == nil {
		r.early = map[spot]int{}
	}
	r.early[spot{now.Place.Channel, now.Person}]++
}

// tellEarly has that told, if nobody else is there who has done so. What somebody else has said, too, was so before. The lock is held.
func (r *registry) tellEarly() {
	early := r.early
	r.early = nil
	if r.chiefs.first() != "" {
		return
	}
	for s, n := range early {
		if id, ok := strings.CutPrefix(s.place, channelsAt); ok && r.tallies[id][s.name].of(n) {
			r.happened(happening{name: "channel_occupied", app: id, channel: s.name})
		}
	}
	told := map[spot]bool{}
	for s := range early {
		hub := strings.TrimPrefix(s.place, membersAt)
		at := spot{hub, s.name}
		here := r.crowds[hub]
		if here == nil || told[at] {
			continue
		}
		told[at] = true
		if a := here.users[s.name]; a != nil && *a == (attendance{members: early[at], kept: early[spot{membersAt + hub, s.name}]}) {
			r.happened(happening{name: "member_added", hub: hub, user: s.name})
		}
	}
}

// of reports whether a channel is had by so many nodes.
func (c *tally) of(nodes int) bool { return c != nil && c.nodes == nodes }
