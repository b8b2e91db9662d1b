package live_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/transport/transporttest"
	"github.com/swampline/live/where"
)

// byVisitor names callers by their number.
func byVisitor(ctx context.Context) string { return strconv.FormatInt(visitor(ctx), 10) }

// ruled makes a table's Scope what a test says, at any moment.
func ruled(m *memos) *atomic.Pointer[func(context.Context) (where.Where, error)] {
	rule := &atomic.Pointer[func(context.Context) (where.Where, error)]{}
	first := m.Scope
	rule.Store(&first)
	m.Scope = func(ctx context.Context) (where.Where, error) { return (*rule.Load())(ctx) }
	return rule
}

// retitle changes a row in the table and publishes it.
func (m *memos) retitle(t *testing.T, id int64, title string) {
	t.Helper()
	was, err := m.get(id)
	if err != nil {
		t.Fatal(err)
	}
	now := was
	now.Title = title
	now.Version++
	if err := m.Updated(t.Context(), was, m.put(now)); err != nil {
		t.Fatal(err)
	}
}

func TestRecheckReachesTheCallersSessionsOnEveryNode(t *testing.T) {
	log := memory.New(memory.Options{})
	m, n := desk(), desk()
	here := newBench(t, live.Options{Broker: log, Identity: byVisitor}, m)
	rule := ruled(n)
	there := newBench(t, live.Options{Broker: log, Identity: byVisitor}, n)
	const subscription = `{"type":"subscribe","id":1,"router":"memos"}`
	url := there.server() + "/live/"
	one := follow(t, transporttest.WebSocket, url, subscription)
	two := follow(t, transporttest.SSE, url, subscription, "Visitor", "2")
	one.want("snapshot")
	two.want("snapshot")

	forbidden := func(context.Context) (where.Where, error) { return where.Where{}, live.ErrForbidden }
	rule.Store(&forbidden)
	if err := here.hub.Recheck(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	equal(t, "visitor 1", one.want("closed").Raw,
		`{"type":"closed","id":1,"problem":{"title":"Forbidden","status":403,"code":"forbidden","detail":"you may not do this"}}`)
	n.retitle(t, 2, "still theirs")
	if change := two.want("change"); !strings.Contains(change.Raw, "still theirs") {
		t.Errorf("visitor 2, whom nobody asked about: %s", change.Raw)
	}
	n.retitle(t, 1, "no more")
	one.say(`{"type":"ping","id":9}`)
	one.want("pong")
}

func TestRecheckDeliversNothingByTheOldRights(t *testing.T) {
	for _, name := range transporttest.All {
		t.Run(name, func(t *testing.T) {
			m := desk()
			rule := ruled(m)
			b := newBench(t, live.Options{Identity: byVisitor}, m)
			f := follow(t, name, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos"}`)
			f.want("snapshot")
			m.retitle(t, 1, "mine")
			f.want("change")

			everything := live.Everyone
			rule.Store((*func(context.Context) (where.Where, error))(&everything))
			if err := b.hub.Recheck(t.Context(), "1"); err != nil {
				t.Fatal(err)
			}
			resync := f.want("resync")
			if resync.Reason != "rights" || len(resync.Rows) != 2 {
				t.Errorf("the rows that became visible: %s", resync.Raw)
			}
			m.retitle(t, 2, "theirs, too")
			if change := f.want("change"); !strings.Contains(change.Raw, "theirs, too") {
				t.Errorf("then %s", change.Raw)
			}
			forbidden := func(context.Context) (where.Where, error) { return where.Where{}, live.ErrForbidden }
			rule.Store(&forbidden)
			if err := b.hub.Recheck(t.Context(), "1"); err != nil {
				t.Fatal(err)
			}
			m.retitle(t, 1, "no more")
			if end := f.next(); end.Type != "closed" && end.Type != "error" { // a poll asks anew, and is refused
				t.Errorf("by rights that are gone: %s", end.Raw)
			}
		})
	}
}

func TestRecheckThatChangesNothingSaysNothing(t *testing.T) {
	m := desk()
	chat := &live.Channel{Name: "chat", Subscribe: func(context.Context, string) error { return nil }}
	b := newBench(t, live.Options{}, m, chat)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	f.say(subscribe2("chat"))
	f.want("snapshot")
	for i := range 5 {
		if err := b.hub.Recheck(t.Context(), ""); err != nil { // without Identity everybody is ""
			t.Fatal(err)
		}
		m.retitle(t, 1, fmt.Sprint("title ", i))
		if err := b.hub.Publish(t.Context(), "chat", i); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := f.next(); got.Type != "change" && got.Type != "message" {
				t.Errorf("got %s", got.Raw)
			}
		}
	}
	if err := b.hub.Recheck(t.Context(), "somebody else"); err != nil {
		t.Fatal(err)
	}
	f.say(`{"type":"ping","id":9}`)
	f.want("pong")
}

func subscribe2(channel string) string {
	return strings.Replace(subscribe(channel), `"id":1`, `"id":2`, 1)
}

// TestRecheckAfterALongSilence rechecks what was quiet for so long that history does not reach back to what it was told last. It has missed
// nothing, so it goes on.
func TestRecheckAfterALongSilence(t *testing.T) {
	for name, test := range map[string]struct{ ask, next string }{
		"rows":   {``, "change"},
		"window": {`,"order":"id","limit":2`, "change"},
		"count":  {`,"count":true`, "count"},
	} {
		t.Run(name, func(t *testing.T) {
			db := &scores{rows: map[int64]score{}}
			r := db.router()
			b := newBench(t, live.Options{Broker: memory.New(memory.Options{MaxEntries: 10}), HistoryEntries: 4}, r)
			create := func(game int64) {
				t.Helper()
				db.mu.Lock()
				db.last++
				row := score{ID: db.last, Game: game, Version: 1}
				db.rows[row.ID] = row
				db.mu.Unlock()
				if err := r.Created(t.Context(), row); err != nil {
					t.Fatal(err)
				}
			}
			f := b.follow(`{"type":"subscribe","id":1,"router":"scores","where":{"game":1}` + test.ask + `}`)
			f.want("snapshot")
			other := b.follow(`{"type":"subscribe","id":1,"router":"scores","where":{"game":0}}`)
			other.want("snapshot")
			for range 100 {
				create(0)
				other.want("change") // a hub that falls behind such a short log begins anew
			}
			if err := b.hub.Recheck(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			create(1)
			f.want(test.next)
		})
	}
}

// TestRecheckWhileItIsCounted rechecks a count that was told long ago and is being counted anew: the number as it is then is all that it lacks.
func TestRecheckWhileItIsCounted(t *testing.T) {
	db := &scores{rows: map[int64]score{}}
	r := db.router()
	counting, asked, goOn := r.Count, make(chan struct{}, 100), make(chan struct{})
	var held atomic.Bool
	r.Count = func(ctx context.Context, q live.Query) (int64, error) {
		if held.Load() {
			asked <- struct{}{}
			<-goOn
		}
		return counting(ctx, q)
	}
	b := newBench(t, live.Options{Broker: memory.New(memory.Options{MaxEntries: 10}), HistoryEntries: 4}, r)
	create := func(id, game int64) {
		t.Helper()
		_, now := db.put(id, func(s *score) { s.Game = game })
		if err := r.Created(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	f := b.follow(`{"type":"subscribe","id":1,"router":"scores","where":{"game":1},"count":true}`)
	f.want("snapshot")
	other := b.follow(`{"type":"subscribe","id":1,"router":"scores","where":{"game":0}}`)
	other.want("snapshot")
	for id := range int64(100) {
		create(id, 0)
		other.want("change")
	}
	held.Store(true)
	create(100, 1)
	<-asked
	if err := b.hub.Recheck(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	f.say(`{"type":"ping","id":7}`)
	f.want("pong")
	held.Store(false)
	close(goOn)
	f.want("count")
}

func TestRecheckAsksChannels(t *testing.T) {
	var locked atomic.Bool
	chat := &live.Channel{Name: "chat:*", Subscribe: func(_ context.Context, name string) error {
		if locked.Load() && name == "chat:1" {
			return &live.Error{Code: "kicked", Detail: "you were thrown out"}
		}
		return nil
	}}
	b := newBench(t, live.Options{}, chat)
	f := b.follow(subscribe("chat:1"))
	f.want("snapshot")
	f.say(subscribe2("chat:2"))
	f.want("snapshot")
	locked.Store(true)
	if err := b.hub.Recheck(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	equal(t, "closed", f.want("closed").Raw, `{"type":"closed","id":1,"problem":{"title":"Forbidden","status":403,"code":"kicked","detail":"you were thrown out"}}`)
	for _, name := range []string{"chat:1", "chat:2"} {
		if err := b.hub.Publish(t.Context(), name, name); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "heard", scrub(f.want("message").Raw), `{"type":"message","query":"Q","cursor":"C","messages":["chat:2"]}`)
}

func TestScopeThatPanicsInARecheckIsInternal(t *testing.T) {
	m := desk()
	rule := ruled(m)
	b := newBench(t, live.Options{}, m)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	broken := func(context.Context) (where.Where, error) { panic("secret") }
	rule.Store(&broken)
	if err := b.hub.Recheck(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	equal(t, "closed", f.want("closed").Raw,
		`{"type":"closed","id":1,"problem":{"title":"Internal Server Error","status":500,"code":"internal","detail":"the server failed to answer this"}}`)
	if !strings.Contains(b.log.String(), "secret") {
		t.Error("the panic is not logged")
	}
}

type rolesKey struct{}

func TestRefreshGivesTheSessionItsNewRoles(t *testing.T) {
	m := desk()
	m.Scope = func(ctx context.Context) (where.Where, error) {
		if ctx.Value(rolesKey{}) == "admin" {
			return where.Where{}, nil
		}
		return where.Eq("owner_id", visitor(ctx)), nil
	}
	var role atomic.Value
	role.Store("admin")
	b := newBench(t, live.Options{Identity: byVisitor, Refresh: func(ctx context.Context) (context.Context, error) {
		switch role := role.Load(); role {
		case "none":
			return nil, &live.Error{Code: "session_expired", Status: 401, Detail: "sign in again"}
		case "broken":
			return nil, errors.New("secret reason")
		default:
			return context.WithValue(ctx, rolesKey{}, role), nil
		}
	}}, m)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	if err := b.hub.Recheck(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if resync := f.want("resync"); resync.Reason != "rights" || len(resync.Rows) != 2 {
		t.Errorf("resync: %s", resync.Raw)
	}
	f.say(`{"type":"call","id":2,"router":"memos","verb":"get","key":"2"}`)
	f.want("result")
	role.Store("none")
	if err := b.hub.Recheck(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	equal(t, "closed", f.want("closed").Raw, `{"type":"closed","id":1,"problem":{"title":"Unauthorized","status":401,"code":"session_expired","detail":"sign in again"}}`)
	if m, err := f.Next(limit(t)); err == nil {
		t.Errorf("after its end the session says %s", m.Raw)
	}
}

func TestDisconnectEndsTheCallersSessionsOnEveryNode(t *testing.T) {
	log := memory.New(memory.Options{})
	m, n := desk(), desk()
	here := newBench(t, live.Options{Broker: log, Identity: byVisitor}, m)
	there := newBench(t, live.Options{Broker: log, Identity: byVisitor}, n, &live.Channel{Name: "chat", Subscribe: func(context.Context, string) error { return nil }})
	const subscription = `{"type":"subscribe","id":1,"router":"memos"}`
	a, c := here.follow(subscription), there.follow(subscription)
	other := follow(t, transporttest.WebSocket, there.server()+"/live/", subscription, "Visitor", "2")
	for _, f := range []*follower{a, c, other} {
		f.want("snapshot")
	}
	c.say(subscribe2("chat"))
	c.want("snapshot")
	if err := here.hub.Disconnect(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	const out = `"problem":{"title":"Unauthorized","status":401,"code":"signed_out","detail":"you were signed out"}}`
	equal(t, "here", a.want("closed").Raw, `{"type":"closed","id":1,`+out)
	a.want("reconnect")
	equal(t, "there", c.want("closed").Raw, `{"type":"closed","id":1,`+out)
	equal(t, "there", c.want("closed").Raw, `{"type":"closed","id":2,`+out)
	c.want("reconnect")
	m.retitle(t, 2, "soy")
	other.want("change")
}

func TestRecheckWithoutTheLogStillEndsOldRightsHere(t *testing.T) {
	m := desk()
	rule := ruled(m)
	b := newBench(t, live.Options{Broker: broken{newSpy()}, Identity: byVisitor}, m)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	forbidden := func(context.Context) (where.Where, error) { return where.Where{}, live.ErrForbidden }
	rule.Store(&forbidden)
	if err := b.hub.Recheck(t.Context(), "1"); err == nil || !strings.Contains(err.Error(), "other nodes are not told") {
		t.Error(err)
	}
	f.want("closed")
	if err := b.hub.Disconnect(t.Context(), "1"); err == nil || !strings.Contains(err.Error(), "other nodes are not told") {
		t.Error(err)
	}
	f.want("reconnect")
}

func TestIdentityThatPanicsRefusesTheSession(t *testing.T) {
	b := newBench(t, live.Options{Identity: func(context.Context) string { panic("secret") }}, desk())
	b.refused(500, "internal", "POST", "/live/", `{"type":"ping","id":1}`)
}

func TestRecheckAfterShutdownReturns(t *testing.T) {
	b := newBench(t, live.Options{}, desk())
	if err := b.hub.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.hub.Recheck(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if err := b.hub.Disconnect(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

// TestRightsThatChangedWhileAway lets a caller's rights change while he is not connected, without a word to the hub: who continues
// with a cursor of the old rights is told what he sees now.
func TestRightsThatChangedWhileAway(t *testing.T) {
	m := newMemos(memo{ID: 1, OwnerID: 1, Title: "mine"}, memo{ID: 2, OwnerID: 2, Title: "his"})
	rule := ruled(m)
	b := newBench(t, live.Options{}, m)
	url := b.server() + "/live/"
	other := func(context.Context) (where.Where, error) { return where.Eq("owner_id", 2), nil }
	mine := *rule.Load()
	for _, transport := range transporttest.All {
		rule.Store(&mine)
		f := follow(t, transport, url, `{"type":"subscribe","id":1,"router":"memos"}`)
		snapshot := f.want("snapshot")
		f.Drop()
		if snapshot.Tag == "" || snapshot.Rows[0].Key != "1" {
			t.Fatalf("%s: %s", transport, snapshot.Raw)
		}
		again := fmt.Sprintf(`{"type":"subscribe","id":1,"router":"memos","cursor":%q,"tag":%q}`, snapshot.Cursor, snapshot.Tag)
		follow(t, transport, url, again).want("resumed")
		rule.Store(&other)
		m := follow(t, transport, url, again).want("resync")
		if m.Reason != "rights" || len(m.Rows) != 1 || m.Rows[0].Key != "2" || m.Tag == snapshot.Tag {
			t.Errorf("%s: %s", transport, m.Raw)
		}
	}

	// An EventSource gives back the id of the last event.
	rule.Store(&mine)
	event := func(id string) (string, string) {
		r, err := http.NewRequest("GET", url+"memos", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/event-stream")
		r.Header.Set("Last-Event-ID", id)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		for name := ""; lines.Scan(); {
			if text, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = text
			}
			if text, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				return name, text
			}
		}
		t.Fatal("the stream ended")
		return "", ""
	}
	_, id := event("")
	if name, _ := event(id); name != "resumed" {
		t.Errorf("with the same rights: %s", name)
	}
	rule.Store(&other)
	if name, _ := event(id); name != "resync" {
		t.Errorf("with other rights: %s", name)
	}
}
