package main

import (
	"context"

	"github.com/swampline/live/presence"
)

// A page is in the room that it shows, with "typing" as what it does there, and on the channel online as long as it is open. Who may see
// a room, or the channel, may see who is there.

// online is the channel on which everybody is who has the chat open.
const online = "online"

// present says who somebody is to the others.
func present(ctx context.Context) (presence.Person, error) {
	p, err := me(ctx)
	return presence.Person{ID: idText(p.ID), Name: p.Name, Info: map[string]int64{"hue": p.Hue}}, err
}

// looking says whether a person has the chat before his eyes on some device: then nobody need write to him.
func (c *chat) looking(person string) bool {
	for _, m := range c.presence.At(presence.Place{Channel: online}) {
		if m.Person == person && !m.Away {
			return true
		}
	}
	return false
}
