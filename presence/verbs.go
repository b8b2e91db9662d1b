package presence

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// said is what a member's client says of it, by whatever connection and to whatever node.
type said struct {
	Member string          `json:"member"`
	Token  string          `json:"token"`
	State  json.RawMessage `json:"state"`
	Away   *bool           `json:"away"`
	// wants is what request and unlock say.
	wants *bool
}

// who is which member a client speaks of.
type who struct {
	Member string `json:"member"`
	Token  string `json:"token"`
}

func (p *Presence) verbs() map[string]live.CustomVerb {
	return map[string]live.CustomVerb{
		"set":   live.Verb[said, struct{}](p.set),
		"leave": live.Verb[who, struct{}](p.goes),

		"lock": live.Verb[who, locked](p.lock), "unlock": live.Verb[who, struct{}](p.unlock),
		"request": live.Verb[who, struct{}](p.request), "handover": live.Verb[handover, locked](p.handOver),
		"takeover": live.Verb[who, locked](p.takeOver),
	}
}

// absent is the answer for a member that is not there: its client subscribes anew.
func absent() error {
	return &live.Error{Code: "not_found", Status: 404, Detail: "no such member: subscribe anew"}
}

// set takes what a member does now. What is absent stays.
func (p *Presence) set(ctx context.Context, in said) (struct{}, error) {
	if bytes.Equal(in.State, []byte("null")) {
		in.State = nil
	}
	if problem := wire.CheckMember("", in.Member, in.Token); problem != nil {
		return struct{}{}, problem
	}
	if problem := wire.CheckState("", in.State); problem != nil {
		return struct{}{}, problem
	}
	if err := p.host.Soon(ctx, p); err != nil {
		return struct{}{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return struct{}{}, p.hearOf(in)
}

// hearOf takes what a member's client says. The lock is held.
func (p *Presence) hearOf(in said) error {
	if err := p.check(in.Member, proofOf(in.Member, in.Token)); err != nil {
		return err
	}
	o, now := p.own[in.Member], time.Now()
	switch {
	case o != nil && (o.left || o.gone), o == nil && p.current(in.Member) == nil:
		return absent()
	case o != nil && !o.others:
		o.sign, o.said = now, later(now, o.said)
		o.want.Lock = p.lockOf(&o.want, p.current(in.Member)) // as it is by now
		in.change(&o.want)
	default:
		if o != nil {
			o.sign = now
			in.change(&o.want)
		}
		p.touched[in.Member] = now
		t := p.taskOf(in.Member)
		t.edits = append(t.edits, in)
	}
	p.need(in.Member)
	return nil
}

// change makes a member what its client says.
func (s *said) change(r *row) {
	if state := compact(s.State); state != nil {
		r.State = state
	}
	if s.Away != nil {
		r.Away = *s.Away
	}
	if s.wants != nil {
		r.Wants = *s.wants
	}
}

// goes takes a member out at its own wish. One that is not there has gone before.
func (p *Presence) goes(ctx context.Context, in who) (struct{}, error) {
	if problem := wire.CheckMember("", in.Member, in.Token); problem != nil {
		return struct{}{}, problem
	}
	if err := p.host.Soon(ctx, p); err != nil {
		return struct{}{}, err
	}
	told, err := p.wish(in.Member, proofOf(in.Member, in.Token))
	if err != nil {
		return struct{}{}, err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-told:
		return struct{}{}, nil
	case <-timer.C:
		return struct{}{}, session.ErrUnavailable // it is said all the same, once that can be
	case <-ctx.Done():
		return struct{}{}, ctx.Err()
	}
}

// patience is how long a member that goes waits for the log.
const patience = 5 * time.Second

func (p *Presence) wish(member, proof string) (<-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.check(member, proof); err != nil {
		return nil, err
	}
	return p.leave(member, proof, time.Now()), nil
}
