package pusher

import (
	"slices"
	"sync"

	"github.com/swampline/live/internal/extend"
)

// viewer is a connection that is told which users are online.
type viewer struct {
	watch []string // their ids
	told  map[string]bool
	place string
	tell  func(online, offline []string)
}

// maxWatched is how many users one connection can watch.
const maxWatched = 100

// signedIn takes that a connection is signed in as a user, until leave is called. Of those it watches, the first 100, it is told who is online and who is not:
// all of them first, and then who comes with his first connection, on whatever node, and goes with his last. Tell is called by one
// goroutine, never before signedIn has returned, and must not wait long; it may be called once more after leave.
func (r *registry) signedIn(app *App, user string, watch []string, tell func(online, offline []string)) (leave func()) {
	place := usersAt + app.ID
	r.hold(app, spot{place, user})
	v := &viewer{place: place, tell: tell, told: map[string]bool{}}
	for _, id := range watch[:min(len(watch), maxWatched)] {
		if !slices.Contains(v.watch, id) {
			v.watch = append(v.watch, id)
		}
	}
	r.view(v)
	return sync.OnceFunc(func() {
		r.unview(v)
		r.release(spot{place, user}, false)
	})
}

// view begins to tell who is online.
func (r *registry) view(v *viewer) {
	if len(v.watch) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range v.watch {
		s := spot{v.place, id}
		if r.viewers[s] == nil {
			r.viewers[s] = map[*viewer]struct{}{}
		}
		r.viewers[s][v] = struct{}{}
	}
	r.arrived = append(r.arrived, v)
	r.wakeUp()
}

func (r *registry) unview(v *viewer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range v.watch {
		s := spot{v.place, id}
		if delete(r.viewers[s], v); len(r.viewers[s]) == 0 {
			delete(r.viewers, s)
		}
	}
	v.tell = nil
}

// sawUser takes that a user is signed in on a node, or not any more. The lock is held.
func (r *registry) sawUser(s spot, was, now *extend.Member) {
	switch {
	case was == nil && now != nil:
		r.online[s]++
	case was != nil && now == nil && r.online[s] > 0:
		if r.online[s]--; r.online[s] == 0 {
			delete(r.online, s)
		}
	}
	if len(r.viewers[s]) > 0 {
		r.moved[s] = struct{}{}
		r.wakeUp()
	}
}

// tellViewers tells who watches what they do not know.
func (r *registry) tellViewers() {
	for _, tell := range r.views() {
		tell()
	}
}

// views takes what there is to tell.
func (r *registry) views() (all []func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known {
		return nil
	}
	behind := map[*viewer]struct{}{}
	for _, v := range r.arrived {
		behind[v] = struct{}{}
	}
	for s := range r.moved {
		for v := range r.viewers[s] {
			behind[v] = struct{}{}
		}
	}
	r.arrived = nil
	clear(r.moved)
	for v := range behind {
		var online, offline []string
		for _, id := range v.watch {
			now := r.online[spot{v.place, id}] > 0
			if was, told := v.told[id]; told && was == now {
				continue
			}
			if v.told[id] = now; now {
				online = append(online, id)
			} else {
				offline = append(offline, id)
			}
		}
		if tell := v.tell; tell != nil && (online != nil || offline != nil) {
			all = append(all, func() { tell(online, offline) })
		}
	}
	return all
}
