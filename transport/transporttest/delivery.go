package transporttest

import (
	"fmt"
	"slices"
	"testing"
)

// testOrder has a thousand changes arrive, among others that do not concern the subscription.
func testOrder(t *testing.T, e *env) {
	c := e.dial(t)
	e.subscribe(t, c, 1, 7)
	const n = 1000
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("item %d", i))
	}
	failed := make(chan error, 1)
	ctx := e.ctx(t)
	go func() {
		for i, title := range want {
			if _, err := e.app.Create(ctx, 7, title); err != nil {
				failed <- err
				return
			}
			if i%10 == 0 {
				if _, err := e.app.Create(ctx, 8, "of no concern"); err != nil {
					failed <- err
					return
				}
			}
		}
		failed <- nil
	}()
	e.expect(t, c, want)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	e.expect(t, c, e.createAll(t, 7, n, n+1))
}

// testOperations sees a row come, change and go.
func testOperations(t *testing.T, e *env) {
	c := e.dial(t)
	e.subscribe(t, c, 1, 7)
	key := e.create(t, 7, "milk")
	if err := e.app.Update(e.ctx(t), key, "oat milk"); err != nil {
		t.Fatal(err)
	}
	if err := e.app.Delete(e.ctx(t), key); err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(got) < 3 {
		for _, change := range e.next(t, c, exact, "change").Changes {
			if change.Key != key {
				broken(t, exact, "a change of the row %q, which is not the one that changed", change.Key)
			}
			line := change.Op
			if title, ok := change.Fields["title"]; ok {
				line += fmt.Sprint(" ", title)
			}
			got = append(got, line)
		}
	}
	if want := []string{"create milk", "update oat milk", "delete"}; !slices.Equal(got, want) {
		broken(t, exact, "got %q, want %q", got, want)
	}
}

// testTwoSubscriptions follows two lists, and one of them again, at once.
func testTwoSubscriptions(t *testing.T, e *env) {
	c := e.dial(t)
	lists := map[int64]int64{1: 7, 2: 8, 3: 7}
	for id := range int64(3) {
		e.subscribe(t, c, id+1, lists[id+1])
	}
	want, got := map[int64][]string{}, map[int64][]string{}
	for i := range 20 {
		list, title := int64(7+i%2), fmt.Sprintf("item %d", i)
		e.create(t, list, title)
		want[list] = append(want[list], title)
	}
	for len(got[1]) < 10 || len(got[2]) < 10 || len(got[3]) < 10 {
		m := e.next(t, c, exact, "change")
		for _, id := range m.For {
			got[id] = append(got[id], titlesOf(m)...)
		}
	}
	for id, list := range lists {
		if !slices.Equal(got[id], want[list]) {
			broken(t, exact, "subscription %d got %q, want %q", id, got[id], want[list])
		}
	}
	e.send(t, c, `{"type":"unsubscribe","id":2}`)
	if m := e.next(t, c, answered, "result"); m.ID != 2 {
		broken(t, answered, "the answer to unsubscribe 2 is %s", m.Raw)
	}
	e.create(t, 8, "unheard")
	e.create(t, 7, "heard")
	m := e.next(t, c, exact, "change")
	if title := m.Changes[0].Fields["title"]; title != "heard" {
		broken(t, `docs/protocol.md: "unsubscribe ends a subscription."`, "got %s", m.Raw)
	}
}

// testResume cuts the connection after different numbers of changes, and goes on with each transport.
func testResume(t *testing.T, e *env) {
	e.start(t)
	list := int64(100)
	for _, other := range All {
		for _, cut := range []int{0, 1, 3, 10} {
			list++
			if !t.Run(fmt.Sprintf("%s after %d", other, cut), func(t *testing.T) { e.resume(t, list, other, cut) }) {
				return
			}
		}
	}
}

func (e *env) resume(t *testing.T, list int64, other string, cut int) {
	c := e.dial(t)
	e.subscribe(t, c, 1, list)
	titles := e.createAll(t, list, 0, 10)
	e.expect(t, c, titles[:cut])
	c.Drop()
	titles = append(titles, e.createAll(t, list, 10, 15)...)

	next := e.dialAs(t, other)
	e.send(t, next, c.Subscriptions()...)
	if m := e.next(t, next, exact, "resumed"); m.ID != 1 || m.Cursor == "" || m.Query == "" {
		broken(t, answersSubscribe, "got %s", m.Raw)
	}
	e.expect(t, next, titles[cut:])
	e.expect(t, next, e.createAll(t, list, 15, 17))
}

// untilResync waits for the resync. A hub that learns a little later that its history is gone may go on with what it has until then.
func (e *env) untilResync(t *testing.T, c *Client, follows []string) Message {
	t.Helper()
	for {
		m := e.next(t, c, oneResync, "resync", "resumed", "change")
		if m.Type == "resync" {
			return m
		}
		for _, title := range titlesOf(m) {
			if len(follows) == 0 || title != follows[0] {
				broken(t, exact, "got %.500s, want %q", m.Raw, follows)
			}
			follows = follows[1:]
		}
	}
}

// testResync comes back with a cursor that history does not cover.
func testResync(t *testing.T, e *env) {
	c := e.dial(t)
	e.subscribe(t, c, 1, 7)
	titles := e.createAll(t, 7, 0, 5)
	e.expect(t, c, titles[:2])
	c.Drop()
	titles = append(titles, e.createAll(t, 7, 5, 8)...)
	if err := e.app.Expire(e.ctx(t)); err != nil {
		t.Fatal(err)
	}

	next := e.dial(t)
	e.send(t, next, c.Subscriptions()...)
	m := e.untilResync(t, next, titles[2:])
	if m.ID != 1 || m.Cursor == "" || m.Reason != "history" && m.Reason != "epoch" {
		broken(t, oneResync, "got %.500s, want an id, a cursor, and the reason history or epoch", m.Raw)
	}
	if got := rows(m); !slices.Equal(got, titles) {
		broken(t, oneResync, "the resync has the rows %q, want %q", got, titles)
	}
	e.held = titles
	e.expect(t, next, e.createAll(t, 7, 8, 20)) // and no second resync among them
	next.Drop()

	again := e.dial(t)
	e.send(t, again, next.Subscriptions()...)
	last := e.createAll(t, 7, 20, 22)
	e.next(t, again, noThird, "resumed")
	e.expect(t, again, last)
}
