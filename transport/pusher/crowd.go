package pusher

import "github.com/swampline/live/internal/extend"

// crowd is who is on a presence channel.
//
// Clients are told of members of presence, which go at once with their connections. The webhooks are to be told later, for a client may come back, and of
// members that have other clients, too. So each node also keeps that a user has subscriptions there, as it does with channels, for a while after the
// last one is lost: who is a member, or kept so, is there for the webhooks.
type crowd struct {
	users   map[string]*attendance
	present int // how many of them are members
}

// attendance is how often a user is on a channel: as a member of presence, and kept by a node.
type attendance struct{ members, kept int }

// entered takes that a connection's user has come to a presence channel.
func (r *registry) entered(app *App, channel, user string) {
	r.hold(app, spot{membersAt + r.names.hubChannel(app, channel), user})
}

// exited takes that he has gone; lost says that his connection is, and he may come back.
func (r *registry) exited(app *App, channel, user string, lost bool) {
	r.release(spot{membersAt + r.names.hubChannel(app, channel), user}, lost)
}

// sawMember takes what the log says of somebody on a channel, named as the hub does: a member of presence, or kept by a node. The lock is held.
func (r *registry) sawMember(hub, user string, kept bool, was, now *extend.Member) {
	if (was == nil) == (now == nil) {
		return
	}
	here := r.crowds[hub]
	if here == nil {
		here = &crowd{users: map[string]*attendance{}}
		r.crowds[hub] = here
	}
	a := here.users[user]
	if a == nil {
		a = &attendance{}
		here.users[user] = a
	}
	before, n := *a, &a.members
	if kept {
		n = &a.kept
	}
	if *n++; now == nil {
		*n -= 2
	}
	if before.members == 0 && a.members > 0 {
		here.present++
	} else if before.members > 0 && a.members == 0 {
		here.present--
	}
	if before == (attendance{}) {
		r.happened(happening{name: "member_added", hub: hub, user: user})
	} else if *a == (attendance{}) {
		r.happened(happening{name: "member_removed", hub: hub, user: user})
		if delete(here.users, user); len(here.users) == 0 {
			delete(r.crowds, hub)
		}
	}
}
