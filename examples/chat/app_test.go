package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/examples/chat/notify"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
)

// bench is a chat on a hub, and the people in it.
type bench struct {
	*chat
	*livetest.Server
}

func testStore(t *testing.T) *store {
	t.Helper()
	s, err := openStore(t.Context(), filepath.Join(t.TempDir(), "ch at?.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newBench(t *testing.T) bench {
	t.Helper()
	c := newChat(testStore(t), slog.New(slog.NewTextHandler(t.Output(), nil)), notify.Options{})
	srv := livetest.Config{Options: live.Options{Identity: identity}}.New(t)
	c.register(srv.Hub)
	t.Cleanup(func() {
		close(c.ended)
		c.later.Wait()
	})
	return bench{c, srv}
}

// person signs somebody in.
func (b bench) person(t *testing.T, name string) Person {
	t.Helper()
	if _, err := b.welcome(t.Context(), login{Name: name, Hue: 120}); err != nil {
		t.Fatal(err)
	}
	p, err := b.chat.store.called(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (b bench) connect(t *testing.T, p Person, options ...livetest.ConnectOption) *livetest.Client {
	t.Helper()
	return b.Connect(t, append(options, livetest.As(personKey{}, p))...)
}

// open makes a room and lets people in.
func open(t *testing.T, c *livetest.Client, name string, private bool, guests ...string) int64 {
	t.Helper()
	var room opened
	if err := c.Verb(t, "rooms", "open", openRoom{Name: name, Private: private}, &room); err != nil {
		t.Fatal(err)
	}
	for _, guest := range guests {
		if _, err := onRoom(t, c, "invite", room.ID, invitation{guest}); err != nil {
			t.Fatal(err)
		}
	}
	return room.ID
}

// onRoom calls a verb of a room.
func onRoom(t *testing.T, c *livetest.Client, verb string, room int64, in any) (livetest.Answer, error) {
	t.Helper()
	return c.Do(t, livetest.Call{Router: "rooms", Verb: verb, Key: room, Data: in})
}

func say(t *testing.T, c *livetest.Client, room int64, text string) livetest.Row {
	t.Helper()
	row, err := c.Create(t, "messages", map[string]any{"room_id": room, "text": text})
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var problem *live.Error
	if !errors.As(err, &problem) || problem.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

const general = 1 // the first room of a new database

func inRoom(room int64) livetest.SubscribeOption { return livetest.Where(where.Eq("room_id", room)) }

// texts are the messages that a client holds.
func texts(t *testing.T, s *livetest.Subscription) (all []string) {
	t.Helper()
	for _, row := range s.Rows() {
		var m Message
		row.Decode(t, &m)
		all = append(all, m.Text)
	}
	return all
}

func TestWhatOneSaysTheOthersHear(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		b := newBench(t)
		ada, ben := b.person(t, "Ada"), b.person(t, "Ben")
		hers, his := b.connect(t, ada, livetest.Over(transport)), b.connect(t, ben, livetest.Over(transport))
		heard := his.Subscribe(t, "messages", inRoom(general), livetest.Order("-id"), livetest.Limit(30))
		row := say(t, hers, general, "  hello\r\nthere <b>you</b>  ")
		change := heard.Want(t, live.Create, row.Key)
		var m Message
		change.Row.Decode(t, &m)
		if m.Text != "hello\nthere <b>you</b>" || m.AuthorID != ada.ID || string(change.Row.Fields["edited"]) != "false" {
			t.Errorf("Ben heard %+v, edited %s", m, change.Row.Fields["edited"])
		}
		if _, there := change.Row.Fields["private"]; there {
			t.Error("what serves rights only was sent")
		}
		edited, err := hers.Update(t, "messages", row, map[string]any{"text": "hello"})
		if err != nil {
			t.Fatal(err)
		}
		heard.Want(t, live.Update, row.Key).WantFields(t, map[string]any{"text": "hello", "edited": true, "version": 2})
		if err := hers.Delete(t, "messages", edited); err != nil {
			t.Fatal(err)
		}
		heard.Want(t, live.Delete, row.Key)
	})
}

func TestOneChangesOnesOwnMessagesAndByVersion(t *testing.T) {
	b := newBench(t)
	ada, ben := b.connect(t, b.person(t, "Ada")), b.connect(t, b.person(t, "Ben"))
	row := say(t, ada, general, "hello")
	_, err := ben.Update(t, "messages", row, map[string]any{"text": "I am stupid"})
	wantCode(t, "Ben edits what is Ada's", err, "forbidden")
	wantCode(t, "Ben deletes what is Ada's", ben.Delete(t, "messages", row), "forbidden")
	if _, err := ada.Update(t, "messages", row, map[string]any{"text": "hello you"}); err != nil {
		t.Error(err)
	}
	_, err = ada.Update(t, "messages", row, map[string]any{"text": "from the other device"})
	wantCode(t, "Ada edits an old version", err, "conflict")
	wantCode(t, "Ada deletes an old version", ada.Delete(t, "messages", row), "conflict")
	now, err := ada.Get(t, "messages", row.Key)
	if err != nil || string(now.Fields["text"]) != `"hello you"` {
		t.Errorf("the message is %s, %v", now.Fields["text"], err)
	}
	_, err = ada.Update(t, "messages", now, map[string]any{"room_id": 2})
	wantCode(t, "Ada moves a message", err, "invalid")
	for _, field := range []string{"author_id", "mentions", "created_at"} {
		_, err = ada.Update(t, "messages", now, map[string]any{field: 1})
		wantCode(t, "Ada writes "+field, err, "field_not_writable")
	}
	_, err = ada.Update(t, "messages", now, map[string]any{"private": true})
	wantCode(t, "Ada writes private", err, "unknown_field")
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	b := newBench(t)
	ada := b.connect(t, b.person(t, "Ada"))
	for _, text := range []string{"", " \n ", strings.Repeat("é", maxText+1)} {
		_, err := ada.Create(t, "messages", map[string]any{"room_id": general, "text": text})
		wantCode(t, fmt.Sprintf("%.9q", text), err, "invalid")
	}
	if _, err := ada.Create(t, "messages", map[string]any{"room_id": general, "text": strings.Repeat("é", maxText)}); err != nil {
		t.Error(err)
	}
	_, err := ada.Create(t, "messages", map[string]any{"room_id": 99, "text": "hello"})
	wantCode(t, "a room that is not there", err, "not_found")
	wantCode(t, "a room without a name", ada.Verb(t, "rooms", "open", openRoom{Name: " "}, nil), "invalid")
	wantCode(t, "a long topic", ada.Verb(t, "rooms", "open", openRoom{Name: "a", Topic: strings.Repeat("x", maxTopic+1)}, nil), "invalid")
	room := open(t, ada, "cellar", true)
	_, err = onRoom(t, ada, "invite", room, invitation{"Nemo"})
	wantCode(t, "an invitation for nobody", err, "invalid")
	_, err = onRoom(t, ada, "invite", general, invitation{"Ada"})
	wantCode(t, "an invitation into a public room", err, "invalid")
}

// A private room does not exist for who is not in it: neither it, nor its messages, nor who is in it, nor how many of anything.
func TestAPrivateRoomDoesNotExistForOthers(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		b := newBench(t)
		ada, ben, eve := b.connect(t, b.person(t, "Ada")), b.connect(t, b.person(t, "Ben")), b.connect(t, b.person(t, "Eve"), livetest.Over(transport))
		rooms, messages, members := eve.Subscribe(t, "rooms"), eve.Subscribe(t, "messages"), eve.Subscribe(t, "members")
		marks, notes := eve.Subscribe(t, "marks"), eve.Subscribe(t, "notifications")
		room := open(t, ada, "cellar", true, "Ben")
		there := inRoom(room)
		row := say(t, ada, room, "the secret, @Ben and @Eve")
		say(t, ben, room, "hush")
		for _, s := range []*livetest.Subscription{rooms, messages, members, marks, notes} {
			s.WantNone(t)
		}
		for _, router := range []string{"messages", "members", "marks"} {
			if rows, err := eve.List(t, router, there); err != nil || len(rows) != 0 {
				t.Errorf("Eve lists %s: %v, %v", router, rows, err)
			}
			if s := eve.Subscribe(t, router, there); len(s.Rows()) != 0 {
				t.Errorf("Eve subscribes to %s: %v", router, s.Rows())
			}
		}
		_, err := eve.Get(t, "messages", row.Key)
		wantCode(t, "Eve gets a message", err, "not_found")
		_, err = eve.Get(t, "rooms", room)
		wantCode(t, "Eve gets the room", err, "not_found")
		_, err = eve.Create(t, "messages", map[string]any{"room_id": room, "text": "boo"})
		wantCode(t, "Eve writes", err, "not_found")
		_, err = eve.Update(t, "messages", row, map[string]any{"text": "boo"})
		wantCode(t, "Eve edits", err, "not_found")
		_, err = eve.Update(t, "rooms", livetest.Row{Key: idText(room), Version: []byte("1")}, map[string]any{"name": "boo"})
		wantCode(t, "Eve renames", err, "not_found")
		for verb, in := range map[string]any{"invite": invitation{"Eve"}, "remove": removal{1}, "leave": nil, "read": readUpTo{1}} {
			_, err = onRoom(t, eve, verb, room, in)
			wantCode(t, "Eve calls "+verb, err, "not_found")
			_, none := onRoom(t, eve, verb, 4711, in)
			if fmt.Sprint(err) != fmt.Sprint(none) {
				t.Errorf("%s of a hidden room is answered %v, and of none %v", verb, err, none)
			}
		}
		// What Eve was called by reached Ben alone.
		if rows, err := ben.List(t, "notifications"); err != nil || len(rows) != 2 { // the invitation, and that
			t.Errorf("Ben's notifications: %v, %v", rows, err)
		}
		var m Message
		row.Decode(t, &m)
		if len(m.Mentions) != 1 || m.Mentions[0].Name != "Ben" {
			t.Errorf("the message calls %v, want Ben alone", m.Mentions)
		}
	})
}

func TestWhoIsLetInSeesTheRoomAtOnce(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		b := newBench(t)
		ada, his := b.connect(t, b.person(t, "Ada")), b.person(t, "Ben")
		ben := b.connect(t, his, livetest.Over(transport))
		rooms := ben.Subscribe(t, "rooms", livetest.Order("name"))
		room := open(t, ada, "cellar", true)
		say(t, ada, room, "before")
		if _, err := onRoom(t, ada, "invite", room, invitation{"ben"}); err != nil {
			t.Fatal(err)
		}
		rooms.WantResync(t, "rights")
		if !slices.Contains(rooms.Keys(), idText(room)) {
			t.Errorf("Ben's rooms are %v, want %d among them", rooms.Keys(), room)
		}
		heard := ben.Subscribe(t, "messages", inRoom(room))
		if all := texts(t, heard); !slices.Equal(all, []string{"before"}) {
			t.Errorf("Ben hears %q", all)
		}
		row := say(t, ada, room, "after")
		heard.Want(t, live.Create, row.Key)
		// Twice is once.
		if _, err := onRoom(t, ada, "invite", room, invitation{"Ben"}); err != nil {
			t.Error(err)
		}
		if rows, err := ben.List(t, "notifications"); err != nil || len(rows) != 1 {
			t.Errorf("Ben was told %v, %v; want one invitation", rows, err)
		}
		if rows, err := ben.List(t, "members", inRoom(room)); err != nil || len(rows) != 2 {
			t.Errorf("the members are %v, %v; want two", rows, err)
		}
	})
}

// When the verb has answered, nothing of the room is delivered any more, and what he was told of it is gone.
func TestWhoIsRemovedSeesNothingAnyMore(t *testing.T) {
	for _, self := range []bool{false, true} {
		livetest.Each(t, func(t *testing.T, transport string) {
			b := newBench(t)
			his := b.person(t, "Ben")
			ada, ben := b.connect(t, b.person(t, "Ada")), b.connect(t, his, livetest.Over(transport))
			room := open(t, ada, "cellar", true, "Ben")
			say(t, ada, room, "the secret, @Ben")
			rooms, messages := ben.Subscribe(t, "rooms"), ben.Subscribe(t, "messages", inRoom(room))
			members, marks, notes := ben.Subscribe(t, "members"), ben.Subscribe(t, "marks"), ben.Subscribe(t, "notifications")
			if len(notes.Rows()) != 2 || len(messages.Rows()) != 1 {
				t.Fatalf("Ben was told %v of %v", notes.Rows(), messages.Rows())
			}
			var err error
			if self {
				_, err = onRoom(t, ben, "leave", room, nil)
			} else {
				_, err = onRoom(t, ada, "remove", room, removal{his.ID})
			}
			if err != nil {
				t.Fatal(err)
			}
			say(t, ada, room, "after")
			for _, s := range []*livetest.Subscription{rooms, messages, members} {
				s.WantResync(t, "rights")
				s.WantNone(t)
			}
			marks.Sync(t)
			notes.Sync(t)
			for _, s := range []*livetest.Subscription{messages, members, notes} {
				if len(s.Rows()) != 0 {
					t.Errorf("%v still holds %v", s, s.Rows())
				}
			}
			if len(rooms.Rows()) != 2 || len(marks.Rows()) != 2 {
				t.Errorf("Ben sees the rooms %v and marks %v, want those of the public ones", rooms.Keys(), marks.Rows())
			}
			_, err = ben.Create(t, "messages", map[string]any{"room_id": room, "text": "I am back"})
			wantCode(t, "Ben writes", err, "not_found")
		})
	}
}

func TestOnlyOwnersChangeRooms(t *testing.T) {
	b := newBench(t)
	her := b.person(t, "Ada")
	ada, ben := b.connect(t, her), b.connect(t, b.person(t, "Ben"))
	room := open(t, ada, "cellar", true, "Ben")
	row, err := ben.Get(t, "rooms", room)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ben.Update(t, "rooms", row, map[string]any{"name": "attic"})
	wantCode(t, "Ben renames", err, "forbidden")
	wantCode(t, "Ben deletes", ben.Delete(t, "rooms", row), "forbidden")
	_, err = onRoom(t, ben, "remove", room, removal{her.ID})
	wantCode(t, "Ben removes", err, "forbidden")
	_, err = ada.Update(t, "rooms", row, map[string]any{"private": false})
	wantCode(t, "Ada opens the room to all", err, "field_not_writable")
	_, err = onRoom(t, ada, "remove", room, removal{her.ID})
	wantCode(t, "Ada removes herself", err, "invalid")
	_, err = onRoom(t, ada, "leave", general, nil)
	wantCode(t, "Ada leaves a public room", err, "forbidden")
	if row, err = ada.Update(t, "rooms", row, map[string]any{"name": "  the   attic ", "topic": ""}); err != nil || string(row.Fields["name"]) != `"the attic"` {
		t.Errorf("Ada renames: %s, %v", row.Fields["name"], err)
	}
}

// An owner's room goes to who is left, and a room that nobody is left in is gone with all that was in it.
func TestRoomsEndWithTheirLastMember(t *testing.T) {
	b := newBench(t)
	ada, his := b.connect(t, b.person(t, "Ada")), b.person(t, "Ben")
	ben := b.connect(t, his)
	room := open(t, ada, "cellar", true, "Ben")
	say(t, ada, room, "hello @Ben")
	if _, err := onRoom(t, ada, "leave", room, nil); err != nil {
		t.Fatal(err)
	}
	row, err := ben.Get(t, "rooms", room)
	if err != nil || string(row.Fields["owner_id"]) != idText(his.ID) {
		t.Errorf("the room is %v, %v; want it Ben's", row, err)
	}
	if _, err := onRoom(t, ben, "leave", room, nil); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"rooms WHERE id = ?", "messages WHERE room_id = ?", "members WHERE room_id = ?", "marks WHERE room_id = ?", "notifications WHERE topic = 'room:' || ?"} {
		if n, err := b.chat.store.number(t.Context(), "SELECT count(*) FROM "+table, room); err != nil || n != 0 {
			t.Errorf("%s: %d are left, %v", table, n, err)
		}
	}
}

func TestADeletedRoomTakesItsMessagesAlong(t *testing.T) {
	b := newBench(t)
	ada, ben := b.connect(t, b.person(t, "Ada")), b.connect(t, b.person(t, "Ben"))
	room := open(t, ada, "garden", false)
	say(t, ada, room, "hello @Ben")
	rooms, messages, notes := ben.Subscribe(t, "rooms"), ben.Subscribe(t, "messages", inRoom(room)), ben.Subscribe(t, "notifications")
	row, err := ada.Get(t, "rooms", room)
	if err != nil {
		t.Fatal(err)
	}
	if err := ada.Delete(t, "rooms", row); err != nil {
		t.Fatal(err)
	}
	rooms.Want(t, live.Delete, room)
	notes.Want(t, live.Delete, 1)
	messages.WantResync(t, "bulk")
	if len(messages.Rows()) != 0 {
		t.Errorf("there are still %v", messages.Rows())
	}
}
