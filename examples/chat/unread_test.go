package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
)

// unread is what a page asks for each room: how many messages of others stand behind the mark.
func unread(t *testing.T, c *livetest.Client, me Person, room int64) int {
	t.Helper()
	marks, err := c.List(t, "marks", inRoom(room))
	if err != nil {
		t.Fatal(err)
	}
	var m Mark
	for _, row := range marks {
		row.Decode(t, &m)
	}
	rows, err := c.List(t, "messages", inRoom(room), livetest.Where(where.And(where.Gt("id", m.MessageID), where.Ne("author_id", me.ID))))
	if err != nil {
		t.Fatal(err)
	}
	return len(rows)
}

// What is read on one device is read on all of them, and nobody else learns of it.
func TestMarksAreSharedByDevices(t *testing.T) {
	b := newBench(t)
	her, his := b.person(t, "Ada"), b.person(t, "Ben")
	ada, ben := b.connect(t, her), b.connect(t, his)
	phone, desk := ben.Subscribe(t, "marks"), b.connect(t, his, livetest.Over(livetest.LongPoll)).Subscribe(t, "marks")
	others := ada.Subscribe(t, "marks")
	if n := unread(t, ben, his, general); n != 0 {
		t.Errorf("Ben is new, and %d are unread", n)
	}
	var rows []livetest.Row
	for n := range 3 {
		rows = append(rows, say(t, ada, general, fmt.Sprint(n)))
	}
	others.Sync(t) // her own marks moved: who writes has read
	if n := unread(t, ada, her, general); n != 0 {
		t.Errorf("Ada wrote it herself, and %d are unread", n)
	}
	if n := unread(t, ben, his, general); n != 3 {
		t.Errorf("%d are unread, want 3", n)
	}
	var second Message
	rows[1].Decode(t, &second)
	if _, err := onRoom(t, ben, "read", general, readUpTo{second.ID}); err != nil {
		t.Fatal(err)
	}
	for _, device := range []*livetest.Subscription{phone, desk} {
		var m Mark
		device.Sync(t)
		for _, row := range device.Rows() {
			if row.Decode(t, &m); m.RoomID == general && m.MessageID != second.ID {
				t.Errorf("%v is at %+v, want message %d", device, m, second.ID)
			}
		}
	}
	others.WantNone(t)
	if n := unread(t, ben, his, general); n != 1 {
		t.Errorf("%d are unread, want 1", n)
	}

	// It never goes back, nor beyond what there is.
	for _, to := range []int64{1, second.ID} {
		if _, err := onRoom(t, ben, "read", general, readUpTo{to}); err != nil {
			t.Fatal(err)
		}
	}
	phone.WantNone(t)
	if _, err := onRoom(t, ben, "read", general, readUpTo{1 << 60}); err != nil {
		t.Fatal(err)
	}
	say(t, ada, general, "one more")
	if n := unread(t, ben, his, general); n != 1 {
		t.Errorf("%d are unread, want the one that came after", n)
	}
}

func TestMentionsAreToldAndReadWithTheirMessage(t *testing.T) {
	b := newBench(t)
	ada, ben := b.connect(t, b.person(t, "Ada")), b.connect(t, b.person(t, "Ben"))
	b.person(t, "Zoë_2")
	notes := ben.Subscribe(t, "notifications", livetest.Where(where.Eq("read", false)))

	row := say(t, ada, general, "hi @ben, and @ben again; mail me@ben or @nobody, @Ada and @zoë_2!")
	var m Message
	row.Decode(t, &m)
	if got := fmt.Sprint(m.Mentions); got != fmt.Sprintf("[{%d Ben} {%d Ada} {%d Zoë_2}]", m.Mentions[0].ID, m.AuthorID, m.Mentions[2].ID) {
		t.Errorf("it calls %s", got)
	}
	told := notes.Want(t, live.Create, 1).Row
	told.WantFields(t, map[string]any{
		"id": told.Fields["id"], "kind": "mention", "topic": "room:1", "item": m.ID, "title": "Ada called you in general",
		"body": "hi @ben, and @ben again; mail me@ben or @nobody, @Ada and @zoë_2!", "link": "/#/1", "read": false, "created_at": told.Fields["created_at"], "version": 1,
	})

	// What is edited is told as it is now; who is called no longer is told no longer.
	row, err := ada.Update(t, "messages", row, map[string]any{"text": "hi @Ben"})
	if err != nil {
		t.Fatal(err)
	}
	notes.Want(t, live.Update, told.Key).WantFields(t, map[string]any{"body": "hi @Ben", "version": 2})
	if row, err = ada.Update(t, "messages", row, map[string]any{"text": "hi all"}); err != nil {
		t.Fatal(err)
	}
	notes.Want(t, live.Delete, told.Key)
	if row, err = ada.Update(t, "messages", row, map[string]any{"text": "hi @Ben after all"}); err != nil {
		t.Fatal(err)
	}
	notes.Sync(t)
	if len(notes.Rows()) != 1 {
		t.Fatalf("Ben was told %v", notes.Rows())
	}

	// Who has seen the message need not be told of it.
	if _, err := onRoom(t, ben, "read", general, readUpTo{m.ID}); err != nil {
		t.Fatal(err)
	}
	notes.Want(t, live.Leave, notes.Keys()[0])
	if err := ada.Delete(t, "messages", row); err != nil {
		t.Fatal(err)
	}
	if rows, err := ben.List(t, "notifications"); err != nil || len(rows) != 0 {
		t.Errorf("of a deleted message Ben has %v, %v", rows, err)
	}
	notes.WantNone(t)
}

func TestWhoIsTooFastIsToldToWait(t *testing.T) {
	b := newBench(t)
	her := b.person(t, "Ada")
	ada, phone, ben := b.connect(t, her), b.connect(t, her, livetest.Over(livetest.ShortPoll)), b.connect(t, b.person(t, "Ben"))
	for range paceBurst {
		say(t, ada, general, "la")
	}
	// However long that took: as if it had been just now, and more.
	full := time.Now().Add(paceBurst*paceEvery + time.Hour).UnixMilli()
	if _, err := b.chat.store.db.Exec("UPDATE people SET paced_to = ? WHERE id = ?", full, her.ID); err != nil {
		t.Fatal(err)
	}
	for _, device := range []*livetest.Client{ada, phone} {
		_, err := device.Create(t, "messages", map[string]any{"room_id": general, "text": "la"})
		wantCode(t, "the message that was too much", err, "too_fast")
	}
	wantCode(t, "a room", ada.Verb(t, "rooms", "open", openRoom{Name: "la"}, nil), "too_fast")
	say(t, ben, general, "I may")
}

// The bucket by itself, by a virtual clock.
func TestPaceRefillsWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testStore(t)
		p, err := s.people().add(t.Context(), Person{Name: "Ada", Folded: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		took := func() (n int) {
			for s.pace(t.Context(), p.ID) == nil {
				n++
			}
			return n
		}
		if n := took(); n != paceBurst {
			t.Errorf("%d at once, want %d", n, paceBurst)
		}
		if err := s.pace(t.Context(), p.ID); err == nil || !strings.Contains(err.Error(), "in a second") {
			t.Errorf("too much is answered with %v, want the time to wait", err)
		}
		time.Sleep(2 * paceEvery) // the bubble's clock: nobody waits
		if n := took(); n != 2 {
			t.Errorf("%d after the time for 2", n)
		}
		time.Sleep(time.Hour)
		if n := took(); n != paceBurst {
			t.Errorf("%d after an hour, want %d", n, paceBurst)
		}
		s.Close()
	})
}
