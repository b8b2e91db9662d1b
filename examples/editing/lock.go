package main

import (
	"context"
	"strconv"

	"github.com/swampline/live"
	"github.com/swampline/live/presence"
)

// With -lock only one at a time writes in an article: the page takes the lock with the first change, and gives it back with the save.
// It is a courtesy that keeps two from writing for nothing. That nobody overwrites a colleague is still for the version to see to.

// lockOf says which lock is an article's.
func lockOf(a *Article) presence.Place {
	return presence.Place{Router: "articles", Key: strconv.FormatInt(a.ID, 10)}
}

// keepToken notes under which lock an article is saved, for the store to compare.
func keepToken(a *Article, token string) { a.LockToken = token }

// mayTakeOver lets who began an article take its lock from somebody else.
func (a *app) mayTakeOver(ctx context.Context, place presence.Place) error {
	id, err := strconv.ParseInt(place.Key, 10, 64)
	if err != nil {
		return live.ErrNotFound
	}
	article, err := a.store.article(ctx, id)
	if err == nil && article.OwnerID != person(ctx).ID {
		err = &live.Error{Detail: "Only who began an article can take its lock over."}
	}
	return err
}

// notLocked refuses, with -lock, while somebody else writes in an article: nobody deletes that. It asks what the log holds, and not only
// what this process has heard.
func (a *app) notLocked(ctx context.Context, article Article) error {
	if !a.lock {
		return nil
	}
	_, err := a.presence.LockToken(ctx, lockOf(&article))
	if p := live.ProblemOf(err); p != nil && p.Code == "locked" && p.Current == nil {
		return nil // nobody has it
	}
	return err
}
