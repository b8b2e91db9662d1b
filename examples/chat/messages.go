package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/swampline/live"
	"github.com/swampline/live/examples/chat/notify"
)

// Message is what somebody said in a room. Private is the room's, for the scope: no room ever changes it.
type Message struct {
	ID        int64     `live:"id,key"`
	RoomID    int64     `live:"room_id,write,filter"`
	Private   bool      `live:"private,scope"`
	AuthorID  int64     `live:"author_id,filter"`
	Text      string    `live:"text,write"`
	Mentions  Mentions  `live:"mentions"`
	CreatedAt time.Time `live:"created_at"`
	Version   int64     `live:"version,version"`
}

// Mention is somebody whom a message calls.
type Mention struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// Mentions are those whom a message calls, and who may see it.
type Mentions []Mention

// list is what goes out: never null.
func (m *Mentions) list() []Mention {
	if *m == nil {
		return []Mention{}
	}
	return *m
}

const (
	maxText     = 2000
	maxMentions = 20
	maxQuote    = 160
)

// messagesRouter is the live endpoint of messages.
func (c *chat) messagesRouter() *live.Router[Message] {
	return &live.Router[Message]{
		Name:  "messages",
		Scope: c.scope("room_id", true),
		Allow: signedIn,
		AllowRow: func(ctx context.Context, verb string, m Message) error {
			p, err := me(ctx)
			if err == nil && verb != "get" && p.ID != m.AuthorID {
				err = &live.Error{Detail: "Only who wrote this may change it."}
			}
			return err
		},
		Tx:      c.store.tx,
		List:    c.store.messages().listed,
		Count:   c.store.messages().count,
		MaxRows: 500,
		Get:     c.store.messages().get,
		Create:  c.say,
		Update:  c.edit,
		Delete: func(ctx context.Context, m Message) error {
			if err := c.store.messages().remove(ctx, m); err != nil {
				return err
			}
			return c.notes.Forget(ctx, notify.What{Topic: topic(m.RoomID), Item: m.ID})
		},
		Serializer: live.Serializer[Message]{
			Relations: map[string]live.Relation{"author": {Router: "people", Key: "author_id"}},
			Computed:  map[string]live.Computed[Message]{"edited": {From: []string{"version"}, Of: func(m Message) any { return m.Version > 1 }}},
		},
	}
}

// say stores a new message. The scope does not know the room of a row that does not exist, so it is asked here whether the author may
// enter it.
func (c *chat) say(ctx context.Context, in Message) (Message, error) {
	p, err := me(ctx)
	if err != nil {
		return in, err
	}
	room, err := c.enter(ctx, in.RoomID, p.ID)
	if err != nil {
		return in, err
	}
	if in.Text, err = tidyText("text", in.Text, maxText); err != nil {
		return in, err
	}
	if err := c.store.pace(ctx, p.ID); err != nil {
		return in, err
	}
	in.Private, in.AuthorID, in.CreatedAt = room.Private, p.ID, time.Now()
	if in.Mentions, err = c.mentioned(ctx, room, in.Text); err != nil {
		return in, err
	}
	m, err := c.store.messages().add(ctx, in)
	if err != nil {
		return m, err
	}
	if err := c.mark(ctx, room.ID, p.ID, m.ID); err != nil { // who answers has read
		return m, err
	}
	return m, c.call(ctx, p, room, m, nil)
}

// edit stores a message over that of the version that its author saw. Whom it calls no longer is told no longer.
func (c *chat) edit(ctx context.Context, was, now Message) (Message, error) {
	p, err := me(ctx)
	if err != nil {
		return now, err
	}
	if now.RoomID != was.RoomID {
		return now, invalid("room_id", "A message stays in its room.")
	}
	if now.Text, err = tidyText("text", now.Text, maxText); err != nil {
		return now, err
	}
	if err := c.store.pace(ctx, p.ID); err != nil {
		return now, err
	}
	room, err := c.enter(ctx, was.RoomID, p.ID)
	if err != nil {
		return now, err
	}
	if now.Mentions, err = c.mentioned(ctx, room, now.Text); err != nil {
		return now, err
	}
	if now, err = c.store.messages().save(ctx, was, now); err != nil {
		return now, err
	}
	for _, m := range was.Mentions {
		if !slices.Contains(now.Mentions, m) {
			if err := c.notes.Forget(ctx, notify.What{Person: idText(m.ID), Topic: topic(room.ID), Item: now.ID}); err != nil {
				return now, err
			}
		}
	}
	if err := c.notes.Reword(ctx, topic(room.ID), now.ID, quote(now.Text)); err != nil {
		return now, err
	}
	return now, c.call(ctx, p, room, now, was.Mentions)
}

// calls are the names that a text calls: an @ that does not stand in a word, such as an e-mail address.
var calls = regexp.MustCompile(`(?:^|[^\p{L}\p{M}\p{N}_@-])@([\p{L}\p{N}][\p{L}\p{M}\p{N}_-]*)`)

// mentioned returns those whom a text calls, as far as they may see the room. What remains is a word with an @.
func (c *chat) mentioned(ctx context.Context, room Room, text string) (Mentions, error) {
	found := Mentions{}
	for _, match := range calls.FindAllStringSubmatch(text, -1) {
		p, err := c.store.called(ctx, match[1])
		if err == nil {
			_, err = c.enter(ctx, room.ID, p.ID)
		}
		one := Mention{p.ID, p.Name}
		switch {
		case errors.Is(err, live.ErrNotFound):
		case err != nil:
			return nil, err
		case !slices.Contains(found, one):
			if found = append(found, one); len(found) == maxMentions {
				return found, nil
			}
		}
	}
	return found, nil
}

// call tells those whom a message calls, but its author, and who was told before.
func (c *chat) call(ctx context.Context, author Person, room Room, m Message, told Mentions) error {
	var notices []notify.Notice
	for _, one := range m.Mentions {
		if one.ID != author.ID && !slices.Contains(told, one) {
			notices = append(notices, notify.Notice{
				To: idText(one.ID), Kind: "mention", Topic: topic(room.ID), Item: m.ID,
				Title: author.Name + " called you in " + room.Name, Body: quote(m.Text), Link: link(room.ID),
			})
		}
	}
	return c.notes.Notify(ctx, notices...)
}

// topic and link name a room to the notifications, and to the page.
func topic(room int64) string { return fmt.Sprintf("room:%d", room) }
func link(room int64) string  { return fmt.Sprintf("/#/%d", room) }

// quote returns the beginning of a text, on one line.
func quote(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) > maxQuote {
		text = strings.TrimSpace(string([]rune(text)[:maxQuote-1])) + "…"
	}
	return text
}

// tidyText returns text without white space around it, or the error that the page shows at the field.
func tidyText(field, text string, limit int) (string, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	switch n := utf8.RuneCountInString(text); {
	case n == 0:
		return "", invalid(field, "Please write something.")
	case n > limit:
		return "", invalid(field, fmt.Sprintf("That is %d characters; %d is the most.", n, limit))
	}
	return text, nil
}

// tidyLine is tidyText for what is one line.
func tidyLine(field, text string, limit int) (string, error) {
	return tidyText(field, strings.Join(strings.Fields(text), " "), limit)
}

// invalid is the error of a field that holds what it may not.
func invalid(field, message string) error { return live.Invalid{field: {message}} }
