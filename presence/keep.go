package presence

import (
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/wire"
)

// Keep makes somebody a member of a place who has no client: this node speaks for him until it leaves, or Leave is called. It is for other packages of this module.
func (p *Presence) Keep(m extend.Member) extend.Kept {
	now := time.Now()
	id := uuid.NewString()
	k := &kept{p: p, id: id}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own[id] = &own{
		want: row{
			Place: m.Place.String(), ID: id, On: m.Place.On(), Person: m.Person, State: m.State, Since: now.UTC().Truncate(time.Millisecond),
			Proof: proofOf(id, rand.Text()), // that nobody has: no client can speak for it
			Node:  p.node, Came: now.UnixMilli(),
		},
		origins: map[*wire.Origin]struct{}{{Stays: true}: {}}, // it is here, and nothing ends that but Leave
		sign:    now, came: now, said: now, claim: true,
	}
	p.need(id)
	return k
}

// kept is a member that this node keeps.
type kept struct {
	p  *Presence
	id string
}

// ID is the member's.
func (k *kept) ID() string { return k.id }

// Set says what the member does now.
func (k *kept) Set(state json.RawMessage) {
	k.p.mu.Lock()
	defer k.p.mu.Unlock()
	if o := k.p.own[k.id]; o != nil && !o.gone {
		o.want.State, o.said = state, time.Now()
		k.p.need(k.id)
	}
}

// Leave takes the member out.
func (k *kept) Leave() {
	k.p.mu.Lock()
	defer k.p.mu.Unlock()
	if o := k.p.own[k.id]; o != nil {
		clear(o.origins)
		o.gone = true
		k.p.need(k.id)
	}
}
