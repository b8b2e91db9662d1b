package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/swampline/live"
)

// show is a hook's Write as text.
func show(w *live.Write[memo]) string {
	row := func(m *memo) string {
		if m == nil {
			return "-"
		}
		return fmt.Sprintf("%d/%s/%d", m.ID, m.Title, m.Version)
	}
	return fmt.Sprint(w.Verb, " ", row(w.Was), " → ", row(w.Now), " ", w.Fields)
}

func TestHooksSeeTheRowAndWhatWasWritten(t *testing.T) {
	for message, want := range map[string]string{
		strings.Replace(createMemo, `"x"`, `"x","list_id":7`, 1): "before create - → 0/x/0 [list_id title], after create - → 3/x/1 [list_id title]",
		updateMemo: "before update 1/milk/4 → 1/x/4 [title], after update 1/milk/4 → 1/x/5 [title]",
		deleteMemo: "before delete 1/milk/4 → - [], after delete 1/milk/4 → - []",
	} {
		m := desk()
		var seen []string
		m.Before = func(_ context.Context, w *live.Write[memo]) error { seen = append(seen, "before "+show(w)); return nil }
		m.After = func(_ context.Context, w *live.Write[memo]) { seen = append(seen, "after "+show(w)) }
		b := newBench(t, live.Options{}, m)
		b.say(message)
		equal(t, message, strings.Join(seen, ", "), want)
	}
}

func TestBeforeChangesWhatIsStored(t *testing.T) {
	m := desk()
	m.Before = func(ctx context.Context, w *live.Write[memo]) error {
		switch w.Verb {
		case "create":
			w.Now.OwnerID, w.Now.Stars, w.Now.Title = visitor(ctx), 5, "the router's"
		case "update":
			now := *w.Now // another row in its place counts as well
			now.Note = "was " + w.Was.Title
			w.Now = &now
			w.Was.Title = "hooks cannot change the past"
		}
		return nil
	}
	b := newBench(t, live.Options{}, m)
	b.want(201, `{"key":"3","version":1,"fields":{"id":3,"list_id":0,"title":"the router's","note":"","stars":5,"version":1,"loud":"THE ROUTER'S"}}`,
		"POST", "/live/memos", `{"title":"x"}`)
	b.want(200, `{"key":"1","version":5,"fields":{"id":1,"list_id":7,"title":"x","note":"was milk","stars":3,"version":5,"loud":"X"}}`,
		"PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4")
	if last := b.spy.entries[len(b.spy.entries)-1]; !strings.Contains(last, `"title":"milk"`) || strings.Contains(last, "the past") {
		t.Errorf("published %s", last)
	}
}

func TestBeforeRefuses(t *testing.T) {
	m := desk()
	m.Before = func(context.Context, *live.Write[memo]) error {
		return &live.Error{Code: "closed", Detail: "come back tomorrow"}
	}
	m.Validate = func(context.Context, *memo, memo) error { t.Error("validated before Before"); return nil }
	m.After = func(context.Context, *live.Write[memo]) { t.Error("After is called for what was not stored") }
	b := newBench(t, live.Options{}, m)
	before := m.snapshot()
	for _, message := range []string{createMemo, updateMemo, deleteMemo} {
		equal(t, message, b.say(message)[0], `{"type":"error","id":5,"problem":{"title":"Forbidden","status":403,"code":"closed","detail":"come back tomorrow"}}`)
	}
	equal(t, "rows", m.snapshot(), before)
	b.wantTold()
}

func TestBeforeThatLosesTheRowIsAMistake(t *testing.T) {
	m := desk()
	m.Before = func(_ context.Context, w *live.Write[memo]) error {
		if w.Now == nil {
			w.Now = &memo{ID: 1}
		} else {
			w.Now = nil
		}
		return nil
	}
	b := newBench(t, live.Options{}, m)
	before := m.snapshot()
	for _, message := range []string{createMemo, updateMemo, deleteMemo} {
		if answer := b.say(message)[0]; !strings.Contains(answer, `"code":"internal"`) {
			t.Error(answer)
		}
	}
	if !strings.Contains(b.log.String(), "Before changed whether there is a row to store") {
		t.Error(b.log)
	}
	equal(t, "rows", m.snapshot(), before)
}

func TestWhatIsRefusedReachesNoHook(t *testing.T) {
	m := desk()
	m.Before = func(_ context.Context, w *live.Write[memo]) error { t.Errorf("Before %s", show(w)); return nil }
	b := newBench(t, live.Options{}, m)
	b.refused(422, "invalid_value", "POST", "/live/memos", `{"title":7}`)
	b.refused(409, "conflict", "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "3")
	b.refused(404, "not_found", "DELETE", "/live/memos/2", "", "If-Match", "9")
}

func TestAfterPublishesWithTheRow(t *testing.T) {
	m, red := desk(), marksOf("red")
	m.After = func(ctx context.Context, w *live.Write[memo]) {
		w.Now = nil // only the hook's own
		_ = red.Created(ctx, mark{1, w.Verb})
	}
	b := newBench(t, live.Options{}, m, red)
	f := b.follow(`{"type":"subscribe","id":1,"router":"red"}`)
	f.want("snapshot")
	f.say(strings.Replace(updateMemo, `"version":4,`, `"version":4,"mutation":"`+mutation+`",`, 1))
	change, result := f.want("change"), f.want("result")
	if result.Cursor != change.Cursor || result.Row.Fields["title"] != "x" {
		t.Errorf("%s after %s", result.Raw, change.Raw)
	}
	b.wantTold("update memos 1 M, create red 1 M")
}

func TestAfterThatPanicsLeavesSubscribersRight(t *testing.T) {
	for message, want := range map[string]string{createMemo: "create memos 3", updateMemo: "update memos 1", deleteMemo: "delete memos 1"} {
		m, red := desk(), marksOf("red")
		m.After = func(ctx context.Context, _ *live.Write[memo]) {
			_ = red.Created(ctx, mark{1, "a"})
			panic("oh")
		}
		b := newBench(t, live.Options{}, m, red)
		equal(t, message, b.say(message)[0], `{"type":"error","id":5,"problem":{"title":"Internal Server Error","status":500,"code":"internal","detail":"the server failed to answer this"}}`)
		if !strings.Contains(b.log.String(), "After: panic: oh") {
			t.Error(b.log)
		}
		b.wantTold(want) // there was no transaction to undo, so that is how it is
	}
}

// song validates itself, and puts itself in order.
type song struct {
	ID    int64  `live:"id,key"`
	Title string `live:"title,write"`
	Beats int    `live:"beats,write"`
	Price int    `live:"price,write"`
}

func (s *song) Validate(ctx context.Context) error {
	s.Title = strings.TrimSpace(s.Title)
	wrong := live.Invalid{}
	switch {
	case ctx.Value(visitorKey{}) == nil:
		return errors.New("not the caller's context")
	case s.Title == "secret":
		return errors.New("secret reason")
	case s.Title == "panic":
		panic("secret reason")
	case s.Title == "forbidden":
		return live.ErrForbidden
	case s.Title == "nothing":
		return live.Invalid{}
	case s.Title == "":
		wrong["title"] = []string{"must not be empty"}
	}
	if s.Beats < 0 {
		wrong["beats"] = []string{"must not be negative", "really not"}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("song: %w", wrong)
	}
	return nil
}

func TestRowsAreValidated(t *testing.T) {
	row := song{1, "Yesterday", 97, 0}
	writes := 0
	songs := &live.Router[song]{
		Name: "songs", Scope: live.Everyone,
		Get:    func(context.Context, live.Key) (song, error) { return row, nil },
		Create: func(_ context.Context, in song) (song, error) { writes++; in.ID = 2; return in, nil },
		Update: func(_ context.Context, _, now song) (song, error) { writes++; return now, nil },
		Validate: func(_ context.Context, was *song, now song) error {
			wrong := live.Invalid{}
			if was != nil && was.Beats > now.Beats {
				wrong["beats"] = []string{"must not fall"}
			}
			if now.Title == "Yesterday" && now.Price > 0 {
				wrong[""] = []string{"this song is free"}
			}
			if len(wrong) == 0 {
				return nil
			}
			return wrong
		},
	}
	b := newBench(t, live.Options{}, songs)
	invalid := func(detail, fields string) string {
		return `{"title":"Unprocessable Content","status":422,"code":"invalid","detail":` + quoted(detail) + fields + `}`
	}
	const internal = `{"title":"Internal Server Error","status":500,"code":"internal","detail":"the server failed to answer this"}`
	for _, test := range []struct{ data, create, update string }{
		{`{"title":" "}`, invalid(`field "title": must not be empty`, `,"errors":{"title":["must not be empty"]}`),
			invalid(`field "title": must not be empty`, `,"errors":{"title":["must not be empty"]}`)},
		{`{"title":"","beats":-1}`, invalid(`field "beats": must not be negative`, `,"errors":{"beats":["must not be negative","really not"],"title":["must not be empty"]}`),
			invalid(`field "beats": must not be negative`, `,"errors":{"beats":["must not be negative","really not","must not fall"],"title":["must not be empty"]}`)},
		{`{"title":"Yesterday ","price":1,"beats":98}`, invalid("this song is free", `,"errors":{"":["this song is free"]}`), invalid("this song is free", `,"errors":{"":["this song is free"]}`)},
		{`{"title":"nothing","beats":98}`, invalid("what was sent is not valid", ""), invalid("what was sent is not valid", "")},
		{`{"title":"forbidden"}`, `{"title":"Forbidden","status":403,"code":"forbidden","detail":"you may not do this"}`, `{"title":"Forbidden","status":403,"code":"forbidden","detail":"you may not do this"}`},
		{`{"title":"secret"}`, internal, internal},
		{`{"title":"panic"}`, internal, internal},
	} {
		var problem struct{ Status int }
		_ = json.Unmarshal([]byte(test.create), &problem)
		b.want(problem.Status, test.create, "POST", "/live/songs", test.data)
		b.want(problem.Status, test.update, "PATCH", "/live/songs/1", test.data)
		equal(t, "create", b.say(`{"type":"call","id":5,"router":"songs","verb":"create","data":` + test.data + `}`)[0], `{"type":"error","id":5,"problem":`+test.create+`}`)
		equal(t, "update", b.say(`{"type":"call","id":5,"router":"songs","verb":"update","key":"1","data":` + test.data + `}`)[0], `{"type":"error","id":5,"problem":`+test.update+`}`)
	}
	if writes != 0 || len(b.spy.entries) != 0 {
		t.Errorf("%d were stored, published %v", writes, b.spy.entries)
	}
	// What puts itself in order is stored so.
	w := b.want(201, "…", "POST", "/live/songs", `{"title":"  Help "}`)
	if !strings.Contains(w.Body.String(), `"title":"Help"`) {
		t.Error(w.Body)
	}
}

// plain validates itself by value.
type plain struct {
	ID    int64  `live:"id,key"`
	Title string `live:"title,write"`
}

func (p plain) Validate(context.Context) error { return live.Invalid{"title": {p.Title + "?"}} }

func TestValidateByValue(t *testing.T) {
	b := newBench(t, live.Options{}, &live.Router[plain]{
		Name: "plains", Scope: live.Everyone,
		Create: func(_ context.Context, in plain) (plain, error) { return in, nil },
	})
	w := b.refused(422, "invalid", "POST", "/live/plains", `{"title":"x"}`)
	if !strings.Contains(w.Body.String(), `"errors":{"title":["x?"]}`) {
		t.Error(w.Body)
	}
}

func TestInvalidIsAnErrorLikeOthers(t *testing.T) {
	for want, err := range map[string]error{
		`invalid: field "a": no`:              live.Invalid{"b": {"nor this"}, "a": {"no"}},
		`invalid: what was sent is not valid`: live.Invalid(nil),
	} {
		equal(t, "error", err.Error(), want)
	}
	m := desk()
	m.Create = func(context.Context, memo) (memo, error) {
		return memo{}, fmt.Errorf("db: %w", live.Invalid{"title": {"is taken"}}) // such as a unique index says
	}
	b := newBench(t, live.Options{}, m)
	b.want(422, `{"title":"Unprocessable Content","status":422,"code":"invalid","detail":"field \"title\": is taken","errors":{"title":["is taken"]}}`, "POST", "/live/memos", `{}`)
}
