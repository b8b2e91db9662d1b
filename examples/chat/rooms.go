package main

import (
	"context"
	"errors"

	"github.com/swampline/live"
	"github.com/swampline/live/examples/chat/notify"
	"github.com/swampline/live/where"
)

// Room is where people talk. A public room is everybody's; of a private one nobody but its members learns anything.
type Room struct {
	ID      int64  `live:"id,key"`
	Name    string `live:"name,write,filter"`
	Topic   string `live:"topic,write"`
	Private bool   `live:"private,filter"`
	OwnerID int64  `live:"owner_id"`
	Version int64  `live:"version,version"`
}

const (
	maxRoomName = 40
	maxTopic    = 120
	maxRooms    = 180 // that one window shows
)

// roomsRouter is the live endpoint of rooms. Its scope is who may see a room, and so, by presence, who may see who is there.
func (c *chat) roomsRouter() *live.Router[Room] {
	return &live.Router[Room]{
		Name:     "rooms",
		Scope:    c.scope("id", true),
		Allow:    signedIn,
		AllowRow: ownersOnly,
		Tx:       c.store.tx,
		List:     c.store.rooms().listed,
		MaxRows:  maxRooms,
		Get:      c.store.rooms().get,
		Update: func(ctx context.Context, was, now Room) (Room, error) {
			var err error
			if now.Name, now.Topic, err = roomWords(now.Name, now.Topic); err != nil {
				return now, err
			}
			return c.store.rooms().save(ctx, was, now)
		},
		Delete: c.removeRoom,
		Verbs: map[string]live.CustomVerb{
			"open":   live.Verb[openRoom, opened](c.openRoom),
			"invite": live.RowVerb[Room, invitation, struct{}](c.invite),
			"remove": live.RowVerb[Room, removal, struct{}](c.remove),
			"leave":  live.RowVerb[Room, struct{}, struct{}](c.leave),
			"read":   live.RowVerb[Room, readUpTo, struct{}](c.read),
		},
	}
}

// scope returns a Scope of what belongs to rooms: the field that holds a room's id, and whether public rooms count, by a field "private".
func (c *chat) scope(field string, public bool) func(ctx context.Context) (where.Where, error) {
	return func(ctx context.Context) (where.Where, error) {
		p, err := me(ctx)
		if err != nil {
			return where.Nothing(), err
		}
		mine, err := c.store.members().where(ctx, "WHERE person_id = ? ORDER BY room_id", p.ID)
		if err != nil {
			return where.Nothing(), err
		}
		ids := make([]any, len(mine))
		for i, m := range mine {
			ids[i] = m.RoomID
		}
		if !public {
			return where.In(field, ids...), nil
		}
		return where.Or(where.Eq("private", false), where.In(field, ids...)), nil
	}
}

// ownersOnly keeps to who made a room what changes it for everybody.
func ownersOnly(ctx context.Context, verb string, room Room) error {
	p, err := me(ctx)
	if err == nil && (verb == "update" || verb == "delete" || verb == "remove") && p.ID != room.OwnerID {
		err = &live.Error{Detail: "Only who made the room may do this."}
	}
	return err
}

// enter returns a room, if a person may see it. It is asked for in the transaction that relies on it.
func (c *chat) enter(ctx context.Context, room, person int64) (Room, error) {
	rooms := c.store.rooms()
	return rooms.one(ctx, live.ErrNotFound, "SELECT "+rooms.columns+" FROM rooms WHERE id = ? AND (NOT private OR id IN (SELECT room_id FROM members WHERE person_id = ?))", room, person)
}

// openRoom is the data of the verb "open".
type openRoom struct {
	Name    string `json:"name"`
	Topic   string `json:"topic"`
	Private bool   `json:"private"`
}

type opened struct {
	ID int64 `json:"id"`
}

func roomWords(name, topic string) (string, string, error) {
	name, err := tidyLine("name", name, maxRoomName)
	if err != nil {
		return "", "", err
	}
	if topic != "" {
		topic, err = tidyLine("topic", topic, maxTopic)
	}
	return name, topic, err
}

// openRoom makes a room. It is a verb, and not create, because it changes what its owner may see: that is evaluated anew when the room
// and its first member have been committed.
func (c *chat) openRoom(ctx context.Context, in openRoom) (opened, error) {
	p, err := me(ctx)
	if err != nil {
		return opened{}, err
	}
	name, topic, err := roomWords(in.Name, in.Topic)
	if err != nil {
		return opened{}, err
	}
	var room Room
	err = c.store.tx(ctx, func(ctx context.Context) (err error) {
		if err := c.store.pace(ctx, p.ID); err != nil {
			return err
		}
		if room, err = c.store.rooms().add(ctx, Room{Name: name, Topic: topic, Private: in.Private, OwnerID: p.ID}); err != nil {
			return err
		}
		if room.Private {
			if _, err := c.join(ctx, room, p.ID); err != nil {
				return err
			}
		}
		return c.rooms.Created(ctx, room)
	})
	if err == nil && room.Private {
		c.recheck(ctx, p.ID)
	}
	return opened{room.ID}, err
}

// invitation is the data of the verb "invite".
type invitation struct {
	Name string `json:"name"`
}

// invite makes somebody a member of a private room. Any member may.
func (c *chat) invite(ctx context.Context, room Room, in invitation) (struct{}, error) {
	p, err := me(ctx)
	if err != nil {
		return struct{}{}, err
	}
	if !room.Private {
		return struct{}{}, invalid("name", "Everybody is in this room already.")
	}
	guest, err := c.store.called(ctx, in.Name)
	if errors.Is(err, live.ErrNotFound) {
		return struct{}{}, invalid("name", "Nobody of this name has been here.")
	}
	if err != nil {
		return struct{}{}, err
	}
	err = c.store.tx(ctx, func(ctx context.Context) error {
		room, err := c.enter(ctx, room.ID, p.ID) // the room, and the right to it, as they are now
		if err != nil {
			return err
		}
		joined, err := c.join(ctx, room, guest.ID)
		if err != nil || !joined {
			return err
		}
		if err := c.store.pace(ctx, p.ID); err != nil { // who is let in is told, too
			return err
		}
		return c.notes.Notify(ctx, notify.Notice{
			To: idText(guest.ID), Kind: "invitation", Topic: topic(room.ID),
			Title: p.Name + " let you into " + room.Name, Body: room.Topic, Link: link(room.ID),
		})
	})
	if err == nil {
		c.recheck(ctx, guest.ID)
	}
	return struct{}{}, err
}

// removal is the data of the verb "remove".
type removal struct {
	Person int64 `json:"person"`
}

// remove takes somebody out of a private room. When it returns nothing of the room reaches him any more.
func (c *chat) remove(ctx context.Context, room Room, in removal) (struct{}, error) {
	if in.Person == room.OwnerID {
		return struct{}{}, invalid("person", "You can leave the room, or delete it.")
	}
	return struct{}{}, c.part(ctx, room, in.Person)
}

// leave takes the caller himself out of a private room.
func (c *chat) leave(ctx context.Context, room Room, _ struct{}) (struct{}, error) {
	p, err := me(ctx)
	if err != nil {
		return struct{}{}, err
	}
	if !room.Private {
		return struct{}{}, &live.Error{Detail: "A public room is everybody's: nobody can leave it."}
	}
	return struct{}{}, c.part(ctx, room, p.ID)
}

// part ends a membership, with all that the member had of the room. An owner's room goes to who has been there longest, and a room
// without members is deleted.
func (c *chat) part(ctx context.Context, room Room, person int64) error {
	err := c.store.tx(ctx, func(ctx context.Context) error {
		room, err := c.store.rooms().byID(ctx, room.ID)
		if err != nil {
			return err
		}
		if err := c.drop(ctx, room, person); err != nil {
			return err
		}
		left, err := c.store.members().where(ctx, "WHERE room_id = ? ORDER BY id LIMIT 1", room.ID)
		switch {
		case err != nil || !room.Private:
			return err
		case len(left) == 0:
			if err := c.removeRoom(ctx, room); err != nil {
				return err
			}
			return c.rooms.Deleted(ctx, room)
		case room.OwnerID == person:
			heir := room
			heir.OwnerID = left[0].PersonID
			if heir, err = c.store.rooms().save(ctx, room, heir); err != nil {
				return err
			}
			return c.rooms.Updated(ctx, room, heir)
		}
		return nil
	})
	if err == nil {
		c.recheck(ctx, person)
	}
	return err
}

// removeRoom deletes a room and what is in it: the Delete of the router, which then publishes the room. It runs in a transaction.
func (c *chat) removeRoom(ctx context.Context, room Room) error {
	people, err := c.store.members().where(ctx, "WHERE room_id = ?", room.ID)
	if err != nil {
		return err
	}
	for _, m := range people {
		if err := c.drop(ctx, room, m.PersonID); err != nil {
			return err
		}
	}
	marks, err := c.store.marks().query(ctx, "DELETE FROM marks WHERE room_id = ? RETURNING "+c.store.marks().columns, room.ID)
	for _, m := range marks {
		if err == nil {
			err = c.marks.Deleted(ctx, m)
		}
	}
	if err == nil {
		err = c.notes.Forget(ctx, notify.What{Topic: topic(room.ID)})
	}
	if err == nil {
		_, err = c.store.in(ctx).ExecContext(ctx, "DELETE FROM messages WHERE room_id = ?", room.ID)
	}
	if err == nil { // they may be thousands: one word for all of them
		err = c.messages.ChangedWhere(ctx, where.Eq("room_id", room.ID))
	}
	if err == nil {
		err = c.store.rooms().remove(ctx, room)
	}
	return err
}
