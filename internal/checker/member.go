package checker

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"sync"

	"github.com/google/uuid"

	"github.com/swampline/live/internal/extend"
)

// present is the name of the router of members, gossip the channel on which the hubs talk about them.
const (
	present = "presence"
	gossip  = present + "@nodes"
)

// member is one tab of a client in one place, as its client knows it.
type member struct {
	id, token, who string
	place          extend.Place
	// state is what it says that it does, the newest; said are all that it has said.
	state string
	said  map[string]bool
	away  bool
	// over says that it has left, or that its client was killed.
	over bool
}

// members are all that there ever were. Its methods may be called by any goroutine.
type members struct {
	table *table

	mu  sync.Mutex
	all map[string]*member
}

func newMembers(t *table) *members { return &members{table: t, all: map[string]*member{}} }

// come makes a new member.
func (ms *members) come(who string, place extend.Place) *member {
	token := make([]byte, 24)
	_, _ = rand.Read(token)
	m := &member{id: uuid.NewString(), token: base64.RawURLEncoding.EncodeToString(token), who: who, place: place, said: map[string]bool{}}
	ms.does(m)
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.all[m.id] = m
	return m
}

// does gives a member a new state. In the place of an owner it names him and the moment, so that every byte of it tells whose it is.
func (ms *members) does(m *member) {
	stamp := ms.table.stamp()
	mark := ""
	if owner, ok := chatOwner(m.place.Channel); ok {
		mark = secret(int64(owner), stamp)
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m.state = fmt.Sprintf(`{"n":%d,"mark":"%s"}`, stamp, mark)
	m.said[m.state] = true
}

// hides says that a member's tab is hidden, or not any more.
func (ms *members) hides(m *member, away bool) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m.away = away
}

// goes says that a member is not there any more.
func (ms *members) goes(m *member) {
	if m == nil {
		return
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m.over = true
}

// of returns a member as it is now; false when there never was one of this id.
func (ms *members) of(id string) (member, bool) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if m := ms.all[id]; m != nil {
		return *m, true
	}
	return member{}, false
}

// did reports whether a member has ever said a state.
func (ms *members) did(id, state string) bool {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m := ms.all[id]
	return m != nil && m.said[state]
}

// there returns those that have not gone.
func (ms *members) there() (all []member) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, m := range ms.all {
		if !m.over {
			all = append(all, *m)
		}
	}
	return all
}

// presence is what a subscribe message says of a member; nil is who only looks.
func (ms *members) presence(m *member) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return map[string]any{"member": m.id, "token": m.token, "state": json.RawMessage(m.state), "away": m.away}
}

// call is what a member says by itself: the verb set, with what it does now, or leave.
func (ms *members) call(id int64, m *member, verb string) string {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	data := map[string]any{"member": m.id, "token": m.token}
	if verb == "set" {
		data["state"], data["away"] = json.RawMessage(m.state), m.away
	}
	text, _ := json.Marshal(map[string]any{"type": "call", "id": id, "router": present, "verb": verb, "data": data})
	return string(text)
}

// desks are the keys of the rows at which members are: the first ones, which nobody deletes.
const desks = owners

// meetings draws whom a client meets: it is at a row and on a channel, and looks at others.
func meetings(rnd *mathrand.Rand) (all []interest) {
	desk := func() string { return extend.Place{Router: router, Key: fmt.Sprint(1 + rnd.IntN(desks))}.String() }
	chat := func() string { return extend.Place{Channel: fmt.Sprintf("chat:%d", rnd.IntN(owners))}.String() }
	lobby := extend.Place{Channel: "bulletin:0"}.String()
	every := make([]string, desks)
	for i := range every {
		every[i] = extend.Place{Router: router, Key: fmt.Sprint(1 + i)}.String()
	}
	return []interest{
		{kind: rows, places: []string{desk()}, joins: true},
		{kind: rows, places: []string{chat()}, joins: true},
		{kind: rows, places: []string{desk()}},
		{kind: rows, places: every},
		{kind: window, places: []string{lobby}, order: "id", limit: 1 + rnd.IntN(4), joins: rnd.IntN(2) == 0},
		{kind: count, places: []string{[]string{desk(), lobby}[rnd.IntN(2)]}},
	}
}

// asks is the part of a subscribe message that names the places.
func (i interest) asks(m map[string]any) {
	if len(i.places) == 1 {
		switch place := extend.ParsePlace(i.places[0]); {
		case place.Channel != "":
			m["channel"] = place.Channel
		default:
			m["router"], m["key"] = place.Router, place.Key
		}
		return
	}
	var keys []string
	for _, text := range i.places {
		keys = append(keys, extend.ParsePlace(text).Key)
	}
	m["router"], m["keys"] = router, keys
}

// meets reports whether it asks who is somewhere.
func (i interest) meets() bool { return len(i.places) > 0 }
