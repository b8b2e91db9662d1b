package main

import (
	"context"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// Mark says up to which message somebody has read a room. His devices share it: what is unread is what comes after it, and each
// window counts that by the rows themselves.
type Mark struct {
	ID        int64 `live:"id,key"`
	RoomID    int64 `live:"room_id,filter"`
	PersonID  int64 `live:"person_id,scope"`
	MessageID int64 `live:"message_id"`
	Version   int64 `live:"version,version"`
}

// marksRouter is the live endpoint of marks. Nobody learns what others have read.
func (c *chat) marksRouter() *live.Router[Mark] {
	return &live.Router[Mark]{
		Name: "marks",
		Scope: func(ctx context.Context) (where.Where, error) {
			p, err := me(ctx)
			return where.Eq("person_id", p.ID), err
		},
		List: c.store.marks().listed,
	}
}

// readUpTo is the data of the verb "read" of a room.
type readUpTo struct {
	Message int64 `json:"message"`
}

// read moves the caller's mark in a room, and counts what he was told of the messages as read.
func (c *chat) read(ctx context.Context, room Room, in readUpTo) (struct{}, error) {
	p, err := me(ctx)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, c.store.tx(ctx, func(ctx context.Context) error {
		if _, err := c.enter(ctx, room.ID, p.ID); err != nil {
			return err
		}
		newest, err := c.store.number(ctx, "SELECT coalesce(max(id), 0) FROM messages WHERE room_id = ?", room.ID)
		if err != nil {
			return err
		}
		upTo := min(in.Message, newest)
		if err := c.mark(ctx, room.ID, p.ID, upTo); err != nil {
			return err
		}
		return c.notes.Read(ctx, idText(p.ID), topic(room.ID), upTo)
	})
}

// mark moves somebody's mark in a room forward; backward it never goes. It runs in a transaction.
func (c *chat) mark(ctx context.Context, room, person, message int64) error {
	marks := c.store.marks()
	found, err := marks.where(ctx, "WHERE room_id = ? AND person_id = ?", room, person)
	switch {
	case err != nil || len(found) == 1 && found[0].MessageID >= message:
		return err
	case len(found) == 0:
		m, err := marks.add(ctx, Mark{RoomID: room, PersonID: person, MessageID: message})
		if err != nil {
			return err
		}
		return c.marks.Created(ctx, m)
	}
	now := found[0]
	now.MessageID = message
	if now, err = marks.save(ctx, found[0], now); err != nil {
		return err
	}
	return c.marks.Updated(ctx, found[0], now)
}
