package pusher

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/swampline/live/internal/extend"
)

// comeBack is how long a client whose connection is gone has to come back before the webhooks are told that a channel is vacated.
const comeBack = 3 * time.Second

// holding is what this node has of a channel, or a user.
type holding struct {
	spot
	n int // subscriptions, or connections
	// lost is when one went with its connection last.
	lost time.Time
	// kept is the member that says so; nil before it is kept. It is of who holds saying.
	kept extend.Kept
}

// waning is a holding of nothing that is kept until its client does not come back any more. Meanwhile its state says that there are none.
type waning struct {
	*holding
	until time.Time
}

// hold takes that this node has one more.
func (r *registry) hold(app *App, s spot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apps[app.ID] = struct{}{}
	h := r.holdings[s]
	if h == nil {
		h = &holding{spot: s}
		r.holdings[s] = h
	}
	h.n++
	r.unsaid[h] = struct{}{}
	r.wakeUp()
}

// release takes that this node has one less. What it does not have it cannot lose.
func (r *registry) release(s spot, lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.holdings[s]
	if h == nil || h.n == 0 {
		return
	}
	h.n--
	if lost {
		h.lost = time.Now()
	}
	r.unsaid[h] = struct{}{}
	r.wakeUp()
}

// saying is what presence is to be told of a holding.
type saying struct {
	*holding
	n    int
	over bool
}

// say has presence keep what this node holds.
func (r *registry) say(now time.Time) {
	r.saying.Lock()
	defer r.saying.Unlock()
	for _, s := range r.sayings(now) {
		state := json.RawMessage(`{"n":` + strconv.Itoa(s.n) + `}`)
		switch {
		case s.over && s.kept != nil:
			s.kept.Leave()
		case s.over: // it went before anybody was told
		case s.kept == nil:
			s.kept = r.presence.Keep(extend.Member{Place: extend.Place{Channel: s.place}, Person: s.name, State: state})
		default:
			s.kept.Set(state)
		}
	}
}

// sayings takes what there is to say; saying is held.
func (r *registry) sayings(now time.Time) (all []saying) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.waning) > 0 && !now.Before(r.waning[0].until) {
		if h := r.waning[0].holding; h.n == 0 {
			r.unsaid[h] = struct{}{}
		}
		r.waning[0] = waning{}
		r.waning = r.waning[1:]
	}
	for h := range r.unsaid {
		until := h.lost.Add(comeBack)
		s := saying{holding: h, n: h.n, over: h.n == 0 && (h.kept == nil || !now.Before(until))}
		if s.over && r.holdings[h.spot] == h {
			delete(r.holdings, h.spot)
		}
		if h.n == 0 && !s.over {
			r.waning = append(r.waning, waning{h, until})
		}
		all = append(all, s)
	}
	clear(r.unsaid)
	return all
}

// stateOf reads the number that a member of a holding stands for.
func stateOf(m *extend.Member) int {
	var s struct {
		N int `json:"n"`
	}
	if m == nil || json.Unmarshal(m.State, &s) != nil {
		return 0
	}
	return max(s.N, 0)
}
