package presence

import (
	"context"

	"github.com/swampline/live"
	"github.com/swampline/live/internal/extend"
)

// CheckLock refuses a save at a place unless the caller has its lock, and the token is that of the lock: with a *live.Error of code "locked",
// status 409, and who has it as Current. It asks what the log holds now, and waits for that; while the log cannot be
// reached, it fails. Ctx is that of the caller's request, for [Options].Person.
//
// The lock can still go over to somebody else before what follows is stored: this process may be halted for a minute between two lines. So store
// the token with the row, and let the database compare: tokens are texts of sixteen digits, and a later lock has the greater one, as text and as
// number.
//
//	UPDATE articles SET title = $1, version = version + 1, lock_token = $2 WHERE id = $3 AND version = $4 AND lock_token <= $2
func (p *Presence) CheckLock(ctx context.Context, place Place, token string) error {
	held, err := p.callers(ctx, place)
	if err == nil && held.Token != token {
		err = p.refuseSave(ctx, place, held)
	}
	return err
}

// LockToken returns the token of a place's lock, which the caller has, in whatever tab; otherwise it refuses as [Presence.CheckLock] does. It is for saves that
// do not say by which lock they are made.
func (p *Presence) LockToken(ctx context.Context, place Place) (token string, err error) {
	held, err := p.callers(ctx, place)
	return held.Token, err
}

// callers returns the lock of a place if the caller has it.
func (p *Presence) callers(ctx context.Context, place Place) (lock, error) {
	who, err := p.options.Person(ctx)
	if err != nil {
		return lock{}, err
	}
	held, err := p.holder(ctx, extend.Place(place).String())
	if err == nil && (who.ID == "" || held.Person != who.ID) {
		err = p.refuseSave(ctx, place, held)
	}
	return held, err
}

// refuseSave says who has the lock, unless the caller may not see who is there.
func (p *Presence) refuseSave(ctx context.Context, place Place, held lock) error {
	if err := p.host.Visible(ctx, extend.Place(place)); err != nil {
		return err
	}
	return p.refusal(held)
}

// RequireLock is a Before for routers whose rows are updated and deleted only by who has the lock of the place that belongs to the row. Keep, which
// may be nil, is given the row that is to be stored and the fencing token, so that Update can compare it in its WHERE as [Presence.CheckLock] says; of a row
// that is deleted it is not called. Rows are created without a lock.
//
//	Before: presence.RequireLock(p, func(a *Article) presence.Place {
//		return presence.Place{Router: "articles", Key: strconv.FormatInt(a.ID, 10)}
//	}, func(a *Article, token string) { a.LockToken = token }),
func RequireLock[T any](p *Presence, place func(row *T) Place, keep func(row *T, token string)) func(context.Context, *live.Write[T]) error {
	return func(ctx context.Context, w *live.Write[T]) error {
		if w.Was == nil {
			return nil
		}
		token, err := p.LockToken(ctx, place(w.Was))
		if err == nil && keep != nil && w.Now != nil {
			keep(w.Now, token)
		}
		return err
	}
}
