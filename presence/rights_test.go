package presence_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/swampline/live/presence"
)

func among(id int, presence string, keys ...string) string {
	return fmt.Sprintf(`{"type":"subscribe","id":%d,"router":"articles","keys":["%s"],"presence":%s}`, id, strings.Join(keys, `","`), presence)
}

// When the object goes where its reader may not see it, he sees nobody there from then on, and nobody sees him.
func TestTheObjectLeavesTheScope(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben, eve := w.client("ann"), w.client("ben"), w.client("eve")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		ben.stream(w.nodes[1], at(1, "1", as(2, "viewing")))
		eve.stream(w.nodes[1], among(1, `{}`, "1", "2", "3"))
		pass(soon)
		eve.sees(1, "ann viewing, ben viewing")
		w.nodes[0].change(article{ID: 1, Title: "new"}) // nothing that concerns them
		pass(soon)
		eve.lines()
		w.nodes[0].change(article{ID: 1, Title: "mine", Reader: "ann"})
		ann.call(w.nodes[0], set(1, `,"state":{"state":"secret"}`))
		pass(soon)
		ann.sees(1, "ann secret")
		if got := ben.people(1); !strings.Contains(got, `"code":"not_found"`) {
			t.Errorf("ben sees %s", got)
		}
		eve.sees(1, "")
		for _, c := range []*client{ben, eve} {
			for _, line := range c.lines() {
				if strings.Contains(line, "secret") {
					t.Errorf("%s is told %s", c.name, line)
				}
			}
		}
		if f := eve.mirror.Feeds[1]; fmt.Sprint(f.Resyncs) != "[rights]" {
			t.Errorf("resyncs %v", f.Resyncs)
		}
		w.nodes[0].change(article{ID: 1, Title: "ours"})
		pass(soon)
		eve.sees(1, "ann secret") // it came back into the scope
		ann.hangUp()
		ben.hangUp()
		eve.hangUp()
	})
}

func TestTheObjectIsDeleted(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		n := w.nodes[0]
		ann := w.client("ann")
		ann.stream(n, at(1, "1", as(1, "viewing")))
		pass(soon)
		a, _ := w.table.get(1)
		w.table.mu.Lock()
		delete(w.table.rows, 1)
		w.table.mu.Unlock()
		if err := n.articles.Deleted(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		pass(soon)
		if got := ann.people(1); !strings.Contains(got, `"code":"not_found"`) {
			t.Errorf("ann sees %s", got)
		}
		if m := n.presence.At(presence.Place{Router: "articles", Key: "1"}); len(m) > 0 {
			t.Errorf("there are %+v", m)
		}
		ann.hangUp()
	})
}

// The rights of a caller change: Recheck. And one who signs out is gone at once.
func TestRecheckAndDisconnect(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben, eve := w.client("ann"), w.client("ben"), w.client("eve")
		ann.stream(w.nodes[0], on(1, "chat:7", as(1, "viewing")))
		ben.stream(w.nodes[0], on(1, "chat:8", as(2, "viewing")))
		eve.stream(w.nodes[1], on(1, "chat:7", `{}`), on(2, "chat:8", `{}`))
		pass(soon)
		eve.sees(1, "ann viewing")
		if err := w.nodes[1].hub.Recheck(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		pass(soon)
		eve.sees(1, "ann viewing") // she still may
		w.mu.Lock()
		w.barred["chat:7"] = true
		w.mu.Unlock()
		if err := w.nodes[1].hub.Recheck(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		pass(soon)
		eve.sees(1, "")
		if got := ann.people(1); !strings.Contains(got, `"code":"not_found"`) {
			t.Errorf("ann sees %s", got)
		}
		eve.sees(2, "ben viewing")
		if err := w.nodes[1].hub.Disconnect(t.Context(), "ben"); err != nil {
			t.Fatal(err)
		}
		pass(soon)
		eve.sees(2, "")
		ann.hangUp()
		ben.hangUp()
		eve.hangUp()
	})
}

// Of many objects, those that the caller may not see are left out in silence.
func TestManyObjects(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		n := w.nodes[0]
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(n, at(1, "1", as(1, "a")), at(2, "2", as(2, "b")), at(3, "3", as(3, "c")))
		pass(soon)
		ben.stream(n, among(1, `{}`, "1", "3", "99"), among(2, `{}`, "3", "nonsense"))
		pass(soon)
		ben.sees(1, "ann a")
		ben.sees(2, "")
		for _, line := range ben.lines() {
			if strings.Contains(line, `"c"`) || strings.Contains(line, "error") {
				t.Errorf("ben is told %s", line)
			}
		}
		if got := ben.call(n, among(1, as(4, "x"), "1")); !strings.Contains(got, `"code":"malformed_message"`) {
			t.Errorf("a member of many objects: %s", got)
		}
		ann.hangUp()
		ben.hangUp()
	})
}

// A guest looks, and is not listed.
func TestAGuest(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		ann, guest := w.client("ann"), w.client("")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		guest.stream(w.nodes[0], at(1, "1", as(2, "viewing")))
		pass(soon)
		guest.sees(1, "ann viewing")
		ann.sees(1, "ann viewing")
		ann.hangUp()
		guest.hangUp()
	})
}

// A poll that was refused takes its member out.
func TestAPollThatIsRefused(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		ben.poll(w.nodes[0], 0, at(1, "1", as(2, "viewing")))
		pass(soon)
		ann.sees(1, "ann viewing, ben viewing")
		w.nodes[0].change(article{ID: 1, Reader: "ann"})
		ben.poll(w.nodes[1], 0, at(1, "1", as(2, "viewing")))
		pass(soon)
		ann.sees(1, "ann viewing")
		ann.hangUp()
	})
}

// Counts are of persons.
func TestCounts(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben, eve := w.client("ann"), w.client("ben"), w.client("eve")
		eve.stream(w.nodes[1], `{"type":"subscribe","id":1,"channel":"chat:7","presence":{},"count":true}`,
			`{"type":"subscribe","id":2,"channel":"chat:7","presence":{},"order":"name","limit":1}`)
		ann.stream(w.nodes[0], on(1, "chat:7", as(1, "viewing")), on(2, "chat:7", as(2, "viewing")))
		ben.stream(w.nodes[1], on(1, "chat:7", as(3, "viewing")))
		pass(2 * soon) // it is counted ten times a second at most
		if n := eve.mirror.Feeds[1].Count; n == nil || *n != 2 {
			t.Errorf("count %v", n)
		}
		eve.sees(2, "ann viewing")
		ann.hangUp()
		pass(6 * soon * 10)
		if n := eve.mirror.Feeds[1].Count; n == nil || *n != 1 {
			t.Errorf("count %v", n)
		}
		eve.sees(2, "ben viewing")
		ben.hangUp()
		eve.hangUp()
	})
}
