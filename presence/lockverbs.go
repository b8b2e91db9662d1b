package presence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// handover is to whom a member gives its lock.
type handover struct {
	Member string `json:"member"`
	Token  string `json:"token"`
	To     string `json:"to"`
}

// locked answers with the fencing token.
type locked struct {
	Lock string `json:"lock"`
}

// lockWithin is how long a caller waits for the log to decide.
const lockWithin = 10 * time.Second

// here checks who calls, and that he may still see where he is. It returns his row.
func (p *Presence) here(ctx context.Context, in who) (*row, error) {
	if problem := wire.CheckMember("", in.Member, in.Token); problem != nil {
		return nil, problem
	}
	if err := p.host.Soon(ctx, p); err != nil {
		return nil, err
	}
	r, err := p.heldRow(in)
	if err != nil {
		return nil, err
	}
	return r, p.host.Visible(ctx, extend.ParsePlace(r.Place))
}

func (p *Presence) heldRow(in who) (*row, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.check(in.Member, proofOf(in.Member, in.Token)); err != nil {
		return nil, err
	}
	place := p.placeOf(in.Member)
	if place == "" {
		return nil, absent()
	}
	r := p.current(in.Member)
	if r == nil || r.Place != place {
		want := p.own[in.Member].want // it has just come
		r = &want
	}
	return r, nil
}

// lock gives the caller the lock of the place where he is, if nobody has it.
func (p *Presence) lock(ctx context.Context, in who) (locked, error) {
	r, err := p.here(ctx, in)
	if err == nil {
		err = p.mayLock(ctx, r)
	}
	if err != nil {
		return locked{}, err
	}
	v, err := p.decision(ctx, claim{Place: r.Place, Member: r.ID, Person: r.Person})
	return p.outcome(v, err)
}

// unlock gives the lock back, or asks for it no longer.
func (p *Presence) unlock(ctx context.Context, in who) (struct{}, error) {
	r, err := p.here(ctx, in)
	if err != nil {
		return struct{}{}, err
	}
	if _, err := p.decision(ctx, claim{Place: r.Place, From: r.ID}); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, p.wants(in, false)
}

// request tells who has the lock that the caller would like to have it.
func (p *Presence) request(ctx context.Context, in who) (struct{}, error) {
	r, err := p.here(ctx, in)
	if err == nil {
		err = p.mayLock(ctx, r)
	}
	if err != nil || r.Lock != "" {
		return struct{}{}, err
	}
	return struct{}{}, p.wants(in, true)
}

// handOver gives the caller's lock to another member of the place.
func (p *Presence) handOver(ctx context.Context, in handover) (locked, error) {
	r, err := p.here(ctx, who{Member: in.Member, Token: in.Token})
	if err != nil {
		return locked{}, err
	}
	p.mu.Lock()
	var person string
	if to := p.current(in.To); to != nil && p.placeOf(in.To) == r.Place {
		person = to.Person
	}
	p.mu.Unlock()
	if person == "" {
		return locked{}, &live.Error{Code: "not_found", Status: http.StatusNotFound, Detail: "to: no such member is here"}
	}
	v, err := p.decision(ctx, claim{Place: r.Place, Member: in.To, Person: person, From: r.ID})
	return p.outcome(v, err)
}

// takeOver gives the caller the lock, whoever has it.
func (p *Presence) takeOver(ctx context.Context, in who) (locked, error) {
	r, err := p.here(ctx, in)
	if err == nil {
		err = p.mayLock(ctx, r)
	}
	if err != nil {
		return locked{}, err
	}
	var v verdict
	for range 3 { // somebody else may be as quick
		held, err := p.holder(ctx, r.Place)
		if err == nil && held.Member != "" && held.Person != r.Person {
			err = p.mayTakeOver(ctx, r)
		}
		if err == nil {
			v, err = p.decision(ctx, claim{Place: r.Place, Member: r.ID, Person: r.Person, Of: held.Token})
		}
		if err != nil || v.granted {
			return p.outcome(v, err)
		}
	}
	return p.outcome(v, nil)
}

func (p *Presence) mayLock(ctx context.Context, r *row) error {
	if p.options.MayLock == nil {
		return nil
	}
	return p.options.MayLock(ctx, Place(extend.ParsePlace(r.Place)))
}

func (p *Presence) mayTakeOver(ctx context.Context, r *row) error {
	if p.options.MayTakeOver == nil {
		return &live.Error{Code: "forbidden", Status: http.StatusForbidden, Detail: "you may not take over the lock of somebody else"}
	}
	return p.options.MayTakeOver(ctx, Place(extend.ParsePlace(r.Place)))
}

// wants notes whether a member asks for the lock.
func (p *Presence) wants(in who, wants bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hearOf(said{Member: in.Member, Token: in.Token, wants: &wants})
}

// decision has the log decide on a claim.
func (p *Presence) decision(ctx context.Context, c claim) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, lockWithin)
	defer cancel()
	v, err := p.claimed(ctx, c)
	if err != nil {
		return verdict{}, undecided(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if v.fresh && c.Member != "" && p.placeOf(c.Member) != c.Place {
		return verdict{}, absent() // it has gone meanwhile
	}
	return v, nil
}

// undecided words that the log could not be asked.
func undecided(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: nobody can tell who has the lock", session.ErrUnavailable)
	}
	return err
}

// holder returns who has the lock of a place, by all that is on the log now.
func (p *Presence) holder(ctx context.Context, place string) (lock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockWithin)
	defer cancel()
	for {
		if err := p.host.CatchUp(ctx); err != nil {
			return lock{}, undecided(err)
		}
		if held, known := p.held(place); known {
			return held, nil
		}
		if err := p.learnLocks(ctx); err != nil {
			return lock{}, undecided(err)
		}
	}
}

func (p *Presence) held(place string) (held lock, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.locks.locks[place], p.locks.known
}

// outcome answers a claim: with the token, or with who has the lock.
func (p *Presence) outcome(v verdict, err error) (locked, error) {
	switch {
	case err != nil:
		return locked{}, err
	case !v.granted:
		return locked{}, p.refusal(v.lock)
	}
	return locked{Lock: v.lock.Token}, nil
}

// refusal says who has a lock. The caller may see the place.
func (p *Presence) refusal(held lock) error {
	e := &live.Error{Code: "locked", Status: http.StatusConflict, Detail: "nobody has the lock: take it first"}
	if held.Member == "" {
		return e
	}
	e.Detail = "somebody else has the lock"
	p.mu.Lock()
	r := p.current(held.Member)
	p.mu.Unlock()
	if r == nil || r.Place != held.Place {
		return e
	}
	e.Detail = r.Name + " has the lock"
	shown := *r
	shown.Lock, shown.Wants = held.Token, false
	e.Current = shown.published()
	return e
}

// published is a member as its row is published.
func (r *row) published() json.RawMessage {
	type fields struct {
		ID     string          `json:"id"`
		On     string          `json:"on"`
		Person string          `json:"person"`
		Name   string          `json:"name"`
		Info   json.RawMessage `json:"info"`
		State  json.RawMessage `json:"state"`
		Away   bool            `json:"away"`
		Since  time.Time       `json:"since"`
		Lock   string          `json:"lock"`
		Wants  bool            `json:"wants"`
	}
	data, err := wire.Marshal(struct {
		Key     string `json:"key"`
		Version int64  `json:"version"`
		Fields  fields `json:"fields"`
	}{r.ID, r.Version, fields{r.ID, r.On, r.Person, r.Name, r.Info, r.State, r.Away, r.Since, r.Lock, r.Wants}})
	if err != nil { // nothing of it can fail
		return nil
	}
	return data
}
