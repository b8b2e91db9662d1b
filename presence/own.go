package presence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/wire"
)

// own is a member whose subscription is here, or for whom this node speaks.
type own struct {
	// want is the member as it should be; what others decide of it, and its version, are those of the log.
	want row
	// origins are the subscriptions by which it is here: on streams, or in a round of a poll.
	origins map[*wire.Origin]struct{}
	// sign is when it was heard of last, came when a subscription of it came last, and said when it became what it is.
	sign, came, said time.Time
	// claim says that this node speaks for it from now on, and that the log does not say so yet.
	claim bool
	// others says that another node speaks for it: nothing is put on the log for it here.
	others bool
	// left says that it went at its own wish, though a subscription of it may still be here.
	left bool
	// gone says that it is to be taken out.
	gone bool
	// sent is what was put on the log last for it, and has not come by yet; nil when there is no such thing.
	sent *row
}

// proofOf is what the log knows of a token.
func proofOf(member, token string) string {
	sum := sha256.Sum256([]byte(member + " " + token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func proves(known, given string) bool {
	return subtle.ConstantTimeCompare([]byte(known), []byte(given)) == 1
}

func forbidden(detail string) error {
	return wire.NewProblem(http.StatusForbidden, "forbidden", detail)
}

// Join makes the caller of a subscription a member of a place; package live calls it once it knows that he may see the place.
func (p *Presence) Join(ctx context.Context, place extend.Place, m wire.Presence, origin *wire.Origin) error {
	who, info, err := p.person(ctx, origin)
	if err != nil || who.ID == "" {
		return err
	}
	if err := p.join(place, m, who, info, origin); err != nil {
		return err
	}
	origin.OnEnd(func(how wire.End) { p.ended(m.Member, origin, how) })
	return nil
}

func (p *Presence) join(place extend.Place, m wire.Presence, who Person, info json.RawMessage, origin *wire.Origin) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	proof := proofOf(m.Member, m.Token)
	if err := p.check(m.Member, proof); err != nil {
		return err
	}
	o, cur := p.own[m.Member], p.current(m.Member)
	if cur != nil && cur.Person != who.ID || o != nil && o.want.Person != who.ID {
		return forbidden("this member is another person's: draw a new one")
	}
	if o != nil {
		if _, again := o.origins[origin]; again { // its rights were evaluated anew; what it said then may be outdated
			return nil
		}
	}
	want := row{
		Place: place.String(), ID: m.Member, On: place.On(), Person: who.ID, Name: who.Name, Info: info, State: compact(m.State), Away: m.Away,
		Since: now.UTC().Truncate(time.Millisecond), Proof: proof, Node: p.node, Leased: !origin.Stays,
	}
	switch {
	case cur != nil:
		want.Since, want.Lock, want.Wants = cur.Since, cur.Lock, cur.Wants
	case o != nil && !o.gone && !o.left:
		want.Since = o.want.Since
	}
	if want.State == nil {
		want.State = json.RawMessage("{}")
		if o != nil {
			want.State = o.want.State
		} else if cur != nil {
			want.State = cur.State
		}
	}
	if o == nil {
		o = &own{}
		p.own[m.Member], p.clients[m.Member] = o, o
		o.others = p.spoken(cur, want)
	}
	if o.left || o.gone {
		o.others = false
	}
	o.want, o.sign, o.came, o.left, o.gone = want, now, now, false, false
	if t := p.todo[m.Member]; t != nil && t.leave != nil { // it came again before that was said
		o.came = later(now, time.UnixMilli(t.leave.At+1))
	}
	if o.said, o.want.Came = o.came, o.came.UnixMilli(); cur != nil && cur.Node == p.node && cur.Leased && want.Leased { // one more round
		o.want.Came = cur.Came
	}
	if o.origins == nil { // it had no subscription here
		o.origins = map[*wire.Origin]struct{}{}
	}
	o.origins[origin] = struct{}{}
	if o.others = o.others && p.spoken(cur, want); !o.others {
		o.claim = cur == nil || cur.Node != p.node || o.claim
		p.need(m.Member)
	}
	return nil
}

// disown forgets an own member. The lock is held.
func (p *Presence) disown(id string) {
	delete(p.own, id)
	delete(p.clients, id)
}

// spoken reports whether another node speaks for a member that came by a poll here, and goes on to do so: what it says of it is what there is
// to say. The lock is held.
func (p *Presence) spoken(cur *row, want row) bool {
	if cur == nil || !cur.Leased || !want.Leased || cur.Node == p.node || p.peers[cur.Node] == nil || p.peers[cur.Node].over {
		return false
	}
	want.Node, want.Came = cur.Node, cur.Came
	return cur.same(&want)
}

// check refuses who is not the member that he says he is. The lock is held.
func (p *Presence) check(id, proof string) error {
	known := ""
	if o, cur := p.own[id], p.current(id); cur != nil {
		known = cur.Proof
	} else if o != nil {
		known = o.want.Proof
	} else if dead, ok := p.replica.gone[id]; ok && time.Since(dead.at) < p.options.Lease {
		known = dead.proof
	}
	if known != "" && !proves(known, proof) {
		return forbidden("this is not the token of the member")
	}
	return nil
}

// current is what is known of a member, or was said of it here last; nil when it is not there. The lock is held.
func (p *Presence) current(id string) *row {
	cur := p.replica.rows[id]
	if o := p.own[id]; o != nil && o.sent != nil && (cur == nil || cur.Version < o.sent.Version) {
		return o.sent
	}
	return cur
}

// compact is JSON without white space; nil stays nil.
func compact(data json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if data == nil || json.Compact(&b, data) != nil {
		return nil
	}
	return b.Bytes()
}

// ended takes the end of a subscription by which a member was here.
func (p *Presence) ended(id string, origin *wire.Origin, how wire.End) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.own[id]
	if o == nil {
		return
	}
	if _, here := o.origins[origin]; !here {
		return
	}
	delete(o.origins, origin)
	o.sign = time.Now()
	switch {
	case len(o.origins) > 0:
	case o.left:
		p.settleOwn(id, o)
	case !o.others && (how != wire.Lost || origin.Lingers != nil && !origin.Lingers()):
		o.gone = true
		p.need(id)
	case o.others:
		if o.want.Leased && how == wire.Lost {
			p.touched[id] = o.sign
		}
		p.disown(id)
	default:
		p.wakeUp() // its time runs
	}
}

// settleOwn drops what is known of an own member of which nothing is left to do. The lock is held.
func (p *Presence) settleOwn(id string, o *own) {
	if len(o.origins) == 0 && (o.left || o.others) {
		p.disown(id)
	}
}

// Refuse takes out a member whose caller may not see the place any more; package live calls it.
func (p *Presence) Refuse(place extend.Place, m wire.Presence) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cur := p.current(m.Member); cur != nil && cur.Place == place.String() && proves(cur.Proof, proofOf(m.Member, m.Token)) {
		p.leave(m.Member, cur.Proof, time.Now())
	}
}

// leave takes a member out at its own wish, whoever speaks for it. One that is not known here may be to others. The lock is held. What
// it returns is closed when the log has it.
func (p *Presence) leave(id, proof string, at time.Time) <-chan struct{} {
	o, cur := p.own[id], p.current(id)
	if o != nil {
		o.left, o.claim = true, false
	}
	l := &leaving{Proof: proof, At: at.UnixMilli(), told: make(chan struct{})}
	if cur != nil {
		l.At = max(l.At, cur.Version)
	}
	t := p.taskOf(id)
	if t.leave != nil {
		l.told = t.leave.told
	}
	t.leave = l
	p.need(id)
	return l.told
}

// deadline is when an own member is to be taken out, unless something is heard of it; false when its subscription is here. The lock is
// held.
func (p *Presence) deadline(o *own) (time.Time, bool) {
	switch {
	case len(o.origins) > 0 || o.gone || o.left || o.others:
		return time.Time{}, false
	case o.want.Leased:
		return o.sign.Add(p.lease(&o.want)), true
	}
	return o.sign.Add(p.options.Linger), true
}

// lease is how long a member that polls may be silent.
func (p *Presence) lease(r *row) time.Duration {
	if r.Away {
		return 6 * p.options.Lease
	}
	return p.options.Lease
}
