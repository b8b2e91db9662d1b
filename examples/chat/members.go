package main

import (
	"context"
	"errors"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/examples/chat/notify"
)

// Member says that somebody is let into a private room.
type Member struct {
	ID       int64 `live:"id,key"`
	RoomID   int64 `live:"room_id,filter"`
	PersonID int64 `live:"person_id,filter"`
	Version  int64 `live:"version,version"`
}

// membersRouter is the live endpoint of memberships: who is in a room knows who else is.
func (c *chat) membersRouter() *live.Router[Member] {
	return &live.Router[Member]{
		Name:       "members",
		Scope:      c.scope("room_id", false),
		Allow:      signedIn,
		List:       c.store.members().listed,
		Serializer: live.Serializer[Member]{Relations: map[string]live.Relation{"person": {Router: "people", Key: "person_id"}}},
	}
}

// join makes somebody a member, to whom what was said before is nothing that he has missed; false: he is one already.
func (c *chat) join(ctx context.Context, room Room, person int64) (bool, error) {
	there, err := c.store.number(ctx, "SELECT count(*) FROM members WHERE room_id = ? AND person_id = ?", room.ID, person)
	if err != nil || there > 0 {
		return false, err
	}
	m, err := c.store.members().add(ctx, Member{RoomID: room.ID, PersonID: person})
	if err != nil {
		return false, err
	}
	newest, err := c.store.number(ctx, "SELECT coalesce(max(id), 0) FROM messages WHERE room_id = ?", room.ID)
	if err != nil {
		return false, err
	}
	if err := c.mark(ctx, room.ID, person, newest); err != nil {
		return false, err
	}
	return true, c.members.Created(ctx, m)
}

// drop ends a membership, if there is one, and takes away what the member had of the room: what he was told quotes what he may not
// see any more.
func (c *chat) drop(ctx context.Context, room Room, person int64) error {
	members, marks := c.store.members(), c.store.marks()
	gone, err := members.query(ctx, "DELETE FROM members WHERE room_id = ? AND person_id = ? RETURNING "+members.columns, room.ID, person)
	if err != nil || len(gone) == 0 {
		return err
	}
	read, err := marks.query(ctx, "DELETE FROM marks WHERE room_id = ? AND person_id = ? RETURNING "+marks.columns, room.ID, person)
	for _, m := range read {
		if err == nil {
			err = c.marks.Deleted(ctx, m)
		}
	}
	if err != nil {
		return err
	}
	if err := c.notes.Forget(ctx, notify.What{Person: idText(person), Topic: topic(room.ID)}); err != nil {
		return err
	}
	return c.members.Deleted(ctx, gone[0])
}

// recheck has a person's rights evaluated anew on every node, after they were changed and that was committed. While the log is away the
// other nodes cannot be told, and it is tried until they are, as long as this process lives.
func (c *chat) recheck(ctx context.Context, person int64) {
	ctx = context.WithoutCancel(ctx)
	err := c.hub.Recheck(ctx, idText(person))
	if err == nil {
		return
	}
	c.logger.Warn("not every node knows yet what somebody may see", "person", person, "error", err)
	c.later.Go(func() {
		for again := time.NewTicker(time.Second); ; {
			select {
			case <-again.C:
			case <-c.ended:
				return
			}
			if err := c.hub.Recheck(ctx, idText(person)); err == nil || errors.Is(err, live.ErrShutdown) {
				return
			}
		}
	})
}
