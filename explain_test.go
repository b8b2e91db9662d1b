package live_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

func TestExplainSaysWhatStopsARow(t *testing.T) {
	m := desk()
	blind := &live.Router[memo]{Name: "blind", Scope: live.Everyone, List: m.List}
	closed := newMemos()
	closed.Name = "closed"
	closed.Scope = func(context.Context) (where.Where, error) { return where.Where{}, live.ErrForbidden }
	b := newBench(t, live.Options{}, m, blind, closed)
	ctx := context.WithValue(t.Context(), visitorKey{}, int64(1))
	for _, test := range []struct {
		router, key string
		where       where.Where
		want        live.Explanation
	}{
		{"memos", "1", where.Where{}, live.Explanation{Visible: true, Because: "scope and filter let it through"}},
		{"memos", "1", where.Eq("title", "tea"), live.Explanation{Because: `filter: title = "tea", and the row has "milk"`}},
		{"memos", "2", where.Eq("title", "tea"), live.Explanation{Because: "scope: owner_id = 1, and the row has 2"}},
		{"memos", "3", where.Where{}, live.Explanation{Because: "no such row"}},
		{"blind", "1", where.Where{}, live.Explanation{Because: "router blind has no Get to load the row with"}},
		{"closed", "1", where.Where{}, live.Explanation{Because: "scope: it refuses: forbidden: you may not do this"}},
	} {
		got, err := b.hub.Explain(ctx, live.Subscription{Router: test.router, Where: test.where}, live.Key(test.key))
		if err != nil || got != test.want {
			t.Errorf("%s %s: %+v %v, want %+v", test.router, test.key, got, err, test.want)
		}
	}
	for _, test := range []struct {
		s    live.Subscription
		key  live.Key
		want string
	}{
		{live.Subscription{Router: "nothing"}, "1", "unknown_router"},
		{live.Subscription{Router: "memos"}, "x", "invalid_key"},
		{live.Subscription{Router: "memos", Where: where.Eq("owner_id", 1)}, "1", "unknown_field"},
	} {
		if _, err := b.hub.Explain(ctx, test.s, test.key); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test.s, err)
		}
	}
	down := errors.New("down")
	broken := newMemos()
	broken.Name = "broken"
	broken.Get = func(context.Context, live.Key) (memo, error) { return memo{}, down }
	b.hub.Register(broken)
	if _, err := b.hub.Explain(ctx, live.Subscription{Router: "broken"}, "1"); !errors.Is(err, down) {
		t.Error(err)
	}
}

func TestClientsMayAskOnlyInDebug(t *testing.T) {
	const ask = `{"type":"explain","id":11,"router":"memos","where":{"title":"tea"},"key":"KEY"}`
	key := func(k string) string { return strings.ReplaceAll(ask, "KEY", k) }
	b := newBench(t, live.Options{Debug: true}, desk())
	equal(t, "filtered", b.say(key("1"))[0], `{"type":"result","id":11,"data":{"visible":false,"because":"filter: title = \"tea\", and the row has \"milk\""}}`)
	equal(t, "hidden", b.say(key("2"))[0], `{"type":"result","id":11,"data":{"visible":false,"because":"scope: owner_id = 1, and the row has 2"}}`)
	equal(t, "lacking", b.say(`{"type":"explain","id":11,"router":"memos"}`)[0],
		`{"type":"error","id":11,"problem":{"title":"Bad Request","status":400,"code":"malformed_message","detail":"explain: want a router and a key"}}`)
	for where, code := range map[string]string{`{"owner_id":1}`: "unknown_field", `7`: "malformed_filter"} {
		if answer := b.say(strings.ReplaceAll(key("1"), `{"title":"tea"}`, where))[0]; !strings.Contains(answer, `"`+code+`"`) {
			t.Errorf("%s: %s", where, answer)
		}
	}

	b = newBench(t, live.Options{}, desk())
	unknown := b.say(strings.ReplaceAll(`{"type":"wish","id":11}`, "KEY", "1"))[0]
	for _, ask := range []string{key("1"), key("x"), `{"type":"explain","id":11}`} {
		equal(t, ask, b.say(ask)[0], strings.ReplaceAll(unknown, "wish", "explain"))
	}
}
