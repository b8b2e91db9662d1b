package pusher_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/swampline/live"
	"github.com/swampline/live/relay/pusher"
	"github.com/swampline/live/where"
)

const row1 = `{"id":1,"list_id":7,"title":"milk","price":3,"version":1}`

var milk = todo{ID: 1, ListID: 7, OwnerID: "ada-the-owner", Title: "milk", Price: 3, Version: 1}

// with returns a newer version of the row.
func (td todo) with(change func(td *todo)) todo {
	td.Version++
	change(&td)
	return td
}

func TestRows(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(nil)
		n.created(milk)
		oat := milk.with(func(td *todo) { td.Title = "oat milk" })
		n.updated(milk, oat)
		moved := oat.with(func(td *todo) { td.ListID = 8 })
		n.updated(oat, moved)
		nowhere := moved.with(func(td *todo) { td.ListID = 0 })
		n.updated(moved, nowhere)
		back := nowhere.with(func(td *todo) { td.ListID = 7 })
		n.updated(nowhere, back)
		n.deleted(back)
		synctest.Wait()
		w.service.wantEvents("private-list-7",
			"created "+row1,
			`updated {"id":1,"list_id":7,"title":"oat milk","price":3,"version":2}`,
			`deleted {"id":1}`,
			`created {"id":1,"list_id":7,"title":"oat milk","price":3,"version":5}`,
			`deleted {"id":1}`)
		w.service.wantEvents("private-list-8",
			`created {"id":1,"list_id":8,"title":"oat milk","price":3,"version":3}`,
			`deleted {"id":1}`)
	})
}

// What serves rights only leaves the hub by no way: neither in data nor in what a view hides.
func TestScopeFieldsStay(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(func(n *node, o *pusher.Options) {
			o.Routers = append(o.Routers,
				pusher.Rows[todo]{Router: n.todos},
				pusher.Rows[todo]{Router: n.todos, Channel: "guests", Public: true, View: "guest"})
		})
		n.created(milk)
		given := milk.with(func(td *todo) { td.OwnerID = "bob-the-owner" })
		n.updated(milk, given)
		n.must(n.todos.Changed(n.t.Context(), given.with(func(td *todo) {})))
		n.deleted(given)
		synctest.Wait()
		events := w.service.all()
		if len(events) < 10 {
			t.Errorf("%d events, want those of three channels: %v", len(events), events)
		}
		for _, e := range events {
			if strings.Contains(e.String(), "owner") {
				t.Errorf("a field that serves rights went out: %s", e)
			}
		}
		w.service.wantEvents("guests",
			`created {"id":1,"list_id":7,"title":"milk"}`,
			// to give it to another changes nothing that guests see
			`updated {"id":1,"list_id":7,"title":"milk"}`,
			`deleted {"id":1}`)
	})
}

// What a row was is remembered where the application does not say it, and asked of nobody.
func TestChangesThatDoNotSayWhatWas(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(nil)
		n.created(milk)
		moved := milk.with(func(td *todo) { td.ListID = 8 })
		n.must(n.todos.Changed(n.t.Context(), moved))
		n.must(n.todos.ChangedID(n.t.Context(), "1")) // which the List does not have
		n.must(n.todos.ChangedID(n.t.Context(), "99"))
		unknown := todo{ID: 2, ListID: 8}
		n.must(n.todos.Changed(n.t.Context(), unknown))
		synctest.Wait()
		w.service.wantEvents("private-list-7", "created "+row1, `deleted {"id":1}`)
		w.service.wantEvents("private-list-8",
			`created {"id":1,"list_id":8,"title":"milk","price":3,"version":2}`,
			`deleted {"id":1}`,
			`updated {"id":2,"list_id":8,"title":"","price":0,"version":0}`)
		if lines := w.logged.String(); !strings.Contains(lines, "nobody said what the deleted row was") {
			t.Errorf("the logger was told:\n%s\nwant that a deleted row is on no channel that is known", lines)
		}
	})
}

func TestVersionsThatComeLate(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(nil)
		second := milk.with(func(td *todo) { td.ListID = 8 })
		third := second.with(func(td *todo) { td.ListID = 9 })
		n.created(milk)
		n.updated(second, third)
		n.updated(milk, second) // committed before, published after
		n.deleted(third)
		n.must(n.todos.Changed(n.t.Context(), second))
		n.created(milk) // anew
		synctest.Wait()
		// deleted twice: when the third was told, and by the word of the second that it had been there
		w.service.wantEvents("private-list-7", "created "+row1, `deleted {"id":1}`, `deleted {"id":1}`, "created "+row1)
		w.service.wantEvents("private-list-8", `deleted {"id":1}`)
		w.service.wantEvents("private-list-9", `created {"id":1,"list_id":9,"title":"milk","price":3,"version":3}`, `deleted {"id":1}`)
	})
}

func TestRowsOnManyChannels(t *testing.T) {
	inBubble(t, func(w *world) {
		many := func(n int64) (names []string) {
			for i := range n {
				names = append(names, "u:"+strconv.FormatInt(i, 10))
			}
			return append(names, "", "u:0")
		}
		n := w.start(func(n *node, o *pusher.Options) {
			o.Parallel = 1
			o.Routers = []pusher.Source{pusher.Rows[todo]{Router: n.todos, Channel: "private-of-*", Of: func(td todo) []string { return many(td.ListID) }}}
		})
		few := todo{ID: 1, ListID: 250}
		n.created(few)
		n.updated(few, todo{ID: 1, ListID: 2, Version: 1})
		synctest.Wait()
		counts := map[string]int{}
		for _, e := range w.service.all() {
			counts[e.name]++
		}
		if counts["created"] != 250 || counts["deleted"] != 248 || counts["updated"] != 2 {
			t.Errorf("counts are %v, want 250 created, 248 deleted, 2 updated", counts)
		}
		w.service.wantEvents("private-of-u=3a1",
			`created {"id":1,"list_id":250,"title":"","price":0,"version":0}`, `updated {"id":1,"list_id":2,"title":"","price":0,"version":1}`)
		if asked := w.service.asked(); len(asked) != 7 { // 100+100+50, 100+100+48, 2
			t.Errorf("the service was asked %v, want 7 requests", asked)
		}
	})
}

// Nobody knows which rows a bulk change concerns, so those who follow read anew; who follows what, the service knows.
func TestBulkIsResync(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(func(n *node, o *pusher.Options) {
			o.Routers = append(o.Routers, pusher.Rows[todo]{Router: n.todos})
			o.Channels = []pusher.Messages{{Name: "chat:*", Channel: "private-chat-*"}}
		})
		w.service.occupy("private-list-7", "private-list-9", "private-lists", "private-chat-1", "private-encrypted-list-7")
		n.created(milk)
		n.must(n.todos.ChangedWhere(n.t.Context(), where.Eq("list_id", 7)))
		n.must(n.todos.ChangedWhere(n.t.Context(), where.Eq("list_id", 8)))
		synctest.Wait()
		w.service.wantEvents("private-list-7", "created "+row1, `resync {"reason":"bulk"}`, `resync {"reason":"bulk"}`)
		w.service.wantEvents("private-list-9", `resync {"reason":"bulk"}`, `resync {"reason":"bulk"}`)
		w.service.wantEvents("private-todos", "created "+row1, `resync {"reason":"bulk"}`, `resync {"reason":"bulk"}`)
		for _, other := range []string{"private-lists", "private-chat-1", "private-encrypted-list-7"} {
			w.service.wantEvents(other)
		}
	})
}

// A func that panics says nothing of where the row is: all who follow the family read anew, and the relay goes on.
func TestOfPanics(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(func(n *node, o *pusher.Options) {
			o.Routers = []pusher.Source{pusher.Rows[todo]{Router: n.todos, Channel: "private-list-*", Of: func(td todo) []string {
				if td.ListID == 13 {
					panic("unlucky")
				}
				return ofList(td)
			}}}
		})
		w.service.occupy("private-list-7")
		n.created(todo{ID: 5, ListID: 13})
		n.created(milk)
		synctest.Wait()
		w.service.wantEvents("private-list-7", `resync {"reason":"unreadable"}`, "created "+row1)
		if lines := w.logged.String(); !strings.Contains(lines, "unlucky") {
			t.Errorf("the logger was told:\n%s\nwant the panic", lines)
		}
	})
}

func TestTooLarge(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(func(n *node, o *pusher.Options) {
			o.Channels = []pusher.Messages{{Name: "news", Public: true}}
		})
		large := milk
		large.Title = strings.Repeat("m", 11<<10)
		n.created(large)
		n.updated(large, milk.with(func(td *todo) {}))
		n.publish("news", large.Title)
		n.publish("news", map[string]string{"event": "headline", "data": large.Title})
		synctest.Wait()
		w.service.wantEvents("private-list-7", `created {"id":1,"truncated":true}`, `updated {"id":1,"list_id":7,"title":"milk","price":3,"version":2}`)
		w.service.wantEvents("news", `message {"truncated":true}`, `headline {"truncated":true}`)
		if s := n.relay.Stats(); s.Truncated != 3 || s.Skipped != 0 {
			t.Errorf("Stats are %+v, want 3 truncated and none skipped", s)
		}
		if lines := w.logged.String(); strings.Count(lines, "too large") != 3 || strings.Contains(lines, "mmmm") {
			t.Errorf("the logger was told:\n%s\nwant three times that it is too large, without the data", lines)
		}
	})
}

func TestMessages(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(func(n *node, o *pusher.Options) {
			o.Routers = nil
			o.Channels = []pusher.Messages{
				{Name: "chat:*", Channel: "private-chat-*"}, {Name: "chat:vip:*", Channel: "private-vip-*"}, {Name: "chat:lobby", Channel: "lobby", Public: true},
			}
		})
		n.publish("chat:7", "hello")
		n.publish("chat:7", map[string]any{"n": 1})
		n.publish("chat:7", map[string]any{"event": "said", "data": `{"text": "as \u00e9 it is"}`})
		n.publish("chat:7", map[string]any{"event": "client-said", "data": "x", "user_id": "u1"})
		n.publish("chat:7", map[string]any{"event": "said", "data": 1})
		n.publish("chat:7", map[string]any{"event": "said", "data": "x", "more": 1})
		n.publish("chat:7", map[string]any{"event": "pusher:error", "data": "x"})
		n.publish("chat:a/b:c", 1)
		n.publish("chat:a=2fb:c", 2)
		n.publish("chat:vip:7", "psst")
		n.publish("chat:lobby", "all")
		n.publish("news", "not relayed")
		n.created(milk)
		synctest.Wait()
		w.service.wantEvents("private-chat-7", `message "hello"`, `message {"n":1}`, `said {"text": "as \u00e9 it is"}`, "client-said x",
			`message {"data":1,"event":"said"}`, `message {"data":"x","event":"said","more":1}`, `message {"data":"x","event":"pusher:error"}`)
		w.service.wantEvents("private-chat-a=2fb=3ac", "message 1")
		w.service.wantEvents("private-chat-a=3d2fb=3ac", "message 2")
		w.service.wantEvents("private-vip-7", `message "psst"`)
		w.service.wantEvents("lobby", `message "all"`)
		if events := w.service.all(); len(events) != 11 {
			t.Errorf("%d events, want 11: %v", len(events), events)
		}
	})
}

// A row whose key is text, and of a model that has no version.
func TestKeysThatAreText(t *testing.T) {
	type note struct {
		Slug string `live:"slug,key"`
		Text string `live:"text"`
	}
	inBubble(t, func(w *world) {
		var notes *live.Router[note]
		n := w.start(func(n *node, o *pusher.Options) {
			notes = &live.Router[note]{Name: "notes", Scope: live.Everyone, List: func(context.Context, live.Query) ([]note, error) { return nil, nil }}
			n.hub.Register(notes)
			o.Routers = []pusher.Source{pusher.Rows[note]{Router: notes}}
		})
		n.must(notes.Created(n.t.Context(), note{`a"b`, "<x>"}))
		n.must(notes.Deleted(n.t.Context(), note{Slug: `a"b`}))
		synctest.Wait()
		w.service.wantEvents("private-notes", `created {"slug":"a\"b","text":"<x>"}`, `deleted {"slug":"a\"b"}`)
	})
}
