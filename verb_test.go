package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
)

// rating is the input of a verb: each kind of field is there.
type rating struct {
	Stars  int       `json:"stars"`
	Small  int8      `json:"small"`
	Text   string    `json:"text"`
	At     time.Time `json:"at"`
	Tags   []string  `json:"tags"`
	Inside struct {
		Flag bool    `json:"flag"`
		Part float64 `json:"part"`
	} `json:"inside"`
}

func (r rating) Validate(context.Context) error {
	switch {
	case r.Stars > 5:
		return live.Invalid{"stars": {"want 5 at most"}}
	case r.Text == "panic":
		panic("secret")
	}
	return nil
}

// rated is a desk with custom verbs; called collects what they were called with.
func rated() (m *memos, called *[]string) {
	m, called = desk(), &[]string{}
	note := func(ctx context.Context, v ...any) {
		*called = append(*called, strings.TrimSpace(fmt.Sprintln(append(v, "by", visitor(ctx))...)))
	}
	m.Verbs = map[string]live.CustomVerb{
		"rate": live.RowVerb[memo, rating, map[string]any](func(ctx context.Context, row memo, in rating) (map[string]any, error) {
			note(ctx, "rate", row.Title, in.Stars)
			now := row
			now.Stars = in.Stars
			now.Version++
			return map[string]any{"stars": in.Stars, "<": "&"}, m.Updated(ctx, row, m.put(now))
		}),
		"touch": live.RowVerb[memo, struct{}, struct{}](func(ctx context.Context, row memo, _ struct{}) (struct{}, error) {
			note(ctx, "touch", row.Title)
			return struct{}{}, nil
		}),
		"sweep": live.Verb[*rating, []string](func(ctx context.Context, in *rating) ([]string, error) {
			if in == nil {
				note(ctx, "sweep all")
				return nil, nil
			}
			note(ctx, "sweep", in.Stars, in.Tags)
			return in.Tags, nil
		}),
		"count": live.Verb[int, int](func(ctx context.Context, in int) (int, error) { note(ctx, "count", in); return in + 1, nil }),
		"fail": live.Verb[string, struct{}](func(ctx context.Context, in string) (out struct{}, err error) {
			if err := m.Changed(ctx, memo{ID: 1}); err != nil {
				return out, err
			}
			switch in {
			case "panic":
				panic("secret")
			case "quota":
				return out, &live.Error{Code: "quota", Status: 402}
			}
			return out, errors.New("secret")
		}),
		"mute": live.Verb[struct{}, any](func(context.Context, struct{}) (any, error) { return func() {}, nil }),
	}
	return m, called
}

// callVerb is a call of a verb. Rest is more members.
func callVerb(verb, rest string) string {
	return `{"type":"call","id":5,"router":"memos","verb":"` + verb + `"` + rest + `}`
}

func TestCustomVerbsAreCalled(t *testing.T) {
	for _, test := range []struct{ name, message, url, body, want, called string }{
		{"a row", callVerb("rate", `,"key":"1","data":{"stars":5,"tags":["a"]}`), "/live/memos/1/rate", `{"stars":5,"tags":["a"]}`, `{"<":"&","stars":5}`, "rate milk 5 by 1"},
		{"a row in canonical form", callVerb("rate", `,"key":"01","data":{}`), "/live/memos/01/rate", `{}`, `{"<":"&","stars":0}`, "rate milk 0 by 1"},
		{"no data", callVerb("rate", `,"key":"1"`), "/live/memos/1/rate", ``, `{"<":"&","stars":0}`, "rate milk 0 by 1"},
		{"null", callVerb("rate", `,"key":"1","data":null`), "/live/memos/1/rate", `null`, `{"<":"&","stars":0}`, "rate milk 0 by 1"},
		{"nothing in and out", callVerb("touch", `,"key":"1"`), "/live/memos/1/touch", ``, `{}`, "touch milk by 1"},
		{"nothing in, said", callVerb("touch", `,"key":"1","data":{}`), "/live/memos/1/touch", ` {} `, `{}`, "touch milk by 1"},
		{"the router", callVerb("sweep", `,"data":{"stars":1,"tags":["x","y"]}`), "/live/memos/sweep", `{"stars":1,"tags":["x","y"]}`, `["x","y"]`, "sweep 1 [x y] by 1"},
		{"a nil", callVerb("sweep", ``), "/live/memos/sweep", ``, `null`, "sweep all by 1"},
		{"no object", callVerb("count", `,"data":7`), "/live/memos/count", `7`, `8`, "count 7 by 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, called := rated()
			b := newBench(t, live.Options{}, m)
			result := `{"type":"result","id":5,"data":` + test.want + `}`
			if strings.Contains(test.message, "rate") { // which publishes
				result = strings.Replace(result, `"data"`, `"cursor":"C","data"`, 1)
			}
			equal(t, "called", scrub(b.say(test.message)[0]), result)
			m.put(memo{ID: 1, OwnerID: 1, ListID: 7, Title: "milk", Version: 4})
			w := b.want(200, test.want, "POST", test.url, test.body)
			equal(t, "Content-Type", w.Header().Get("Content-Type"), jsonType)
			equal(t, "calls", strings.Join(*called, ", "), test.called+", "+test.called)
		})
	}
}

func TestCustomVerbsPublishOneEntryBeforeTheResult(t *testing.T) {
	m, _ := rated()
	red := marksOf("red")
	m.Verbs["archive"] = live.RowVerb[memo, struct{}, string](func(ctx context.Context, row memo, _ struct{}) (string, error) {
		return "done", errors.Join(m.Deleted(ctx, row), red.Created(ctx, mark{1, row.Title}))
	})
	m.Tx = func(context.Context, func(context.Context) error) error { t.Error("a transaction"); return nil }
	b := newBench(t, live.Options{}, m, red)
	f := b.follow(`{"type":"subscribe","id":1,"router":"red"}`)
	f.want("snapshot")
	f.say(callVerb("archive", `,"key":"1","version":4,"mutation":"`+mutation+`"`))
	change := f.want("change")
	equal(t, "result", f.want("result").Raw, `{"type":"result","id":5,"cursor":"`+change.Cursor+`","data":"done"}`)
	b.wantTold("delete memos 1 M, create red 1 M")
	if w := b.want(200, `"done"`, "POST", "/live/memos/1/archive", ""); w.Header().Get("Live-Cursor") == "" {
		t.Error("no Live-Cursor")
	}
}

func TestCustomVerbsRefuseWhatTheyDoNotTake(t *testing.T) {
	for _, test := range []struct {
		name, verb, key, data string
		status                int
		code, detail, fields  string
	}{
		{"an unknown member", "rate", "1", `{"stars":1,"colour":2}`, 422, "unknown_field", `field "colour": no such field`, `,"errors":{"colour":["no such field"]}`},
		{"an unknown member inside", "rate", "1", `{"inside":{"colour":2}}`, 422, "unknown_field", `field "colour": no such field`, `,"errors":{"colour":["no such field"]}`},
		{"something for nothing", "touch", "1", `{"x":1}`, 422, "unknown_field", `field "x": no such field`, `,"errors":{"x":["no such field"]}`},
		{"a wrong type", "rate", "1", `{"stars":"5"}`, 422, "invalid_value", `field "stars": want an integer that fits int, got a string`, `,"errors":{"stars":["want an integer that fits int, got a string"]}`},
		{"a wrong type inside", "rate", "1", `{"inside":{"flag":[]}}`, 422, "invalid_value", `field "inside.flag": want true or false, got an array`, `,"errors":{"inside.flag":["want true or false, got an array"]}`},
		{"no array", "rate", "1", `{"tags":{"a":1}}`, 422, "invalid_value", `field "tags": want an array, got an object`, `,"errors":{"tags":["want an array, got an object"]}`},
		{"no object inside", "rate", "1", `{"inside":true}`, 422, "invalid_value", `field "inside": want an object, got true or false`, `,"errors":{"inside":["want an object, got true or false"]}`},
		{"a number that does not fit", "rate", "1", `{"small":300}`, 422, "invalid_value", `field "small": want an integer that fits int8, got the number 300`, `,"errors":{"small":["want an integer that fits int8, got the number 300"]}`},
		{"what a type cannot read", "rate", "1", `{"at":"yesterday"}`, 422, "invalid_value", `data: a value is not of the right form`, ``},
		{"no object", "rate", "1", `[]`, 400, "malformed_message", `data: want an object, got an array`, ``},
		{"no number", "count", "", `"x"`, 400, "malformed_message", `data: want an integer that fits int, got the string "x"`, ``},
		{"what is not valid", "rate", "1", `{"stars":6}`, 422, "invalid", `field "stars": want 5 at most`, `,"errors":{"stars":["want 5 at most"]}`},
		{"what is not valid, by pointer", "sweep", "", `{"stars":6}`, 422, "invalid", `field "stars": want 5 at most`, `,"errors":{"stars":["want 5 at most"]}`},
		{"a panic of Validate", "rate", "1", `{"text":"panic"}`, 500, "internal", "the server failed to answer this", ``},
		{"a hidden row", "rate", "2", `{"nonsense":1}`, 404, "not_found", "no such row, or not one that you may see", ``},
		{"a missing row", "rate", "99", `{}`, 404, "not_found", "no such row, or not one that you may see", ``},
		{"no key", "rate", "abc", `{}`, 400, "invalid_key", `key: want an integer, got the string "abc"`, `,"errors":{"id":["want an integer"]}`},
		{"an error", "fail", "", `"x"`, 500, "internal", "the server failed to answer this", ``},
		{"a panic", "fail", "", `"panic"`, 500, "internal", "the server failed to answer this", ``},
		{"an Error", "fail", "", `"quota"`, 402, "quota", "", ``},
		{"an answer that is no JSON", "mute", "", `{}`, 500, "internal", "the server failed to answer this", ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, called := rated()
			b := newBench(t, live.Options{}, m)
			problem := fmt.Sprintf(`{"title":"%s","status":%d,"code":"%s","detail":%s%s}`, title(test.status), test.status, test.code, quoted(test.detail), test.fields)
			problem = strings.Replace(problem, `,"detail":""`, "", 1)
			member, url := "", "/live/memos/"+test.verb
			if test.key != "" {
				member, url = `,"key":"`+test.key+`"`, "/live/memos/"+test.key+"/"+test.verb
			}
			equal(t, "called", b.say(callVerb(test.verb, member+`,"data":`+test.data))[0], `{"type":"error","id":5,"problem":`+problem+`}`)
			b.want(test.status, problem, "POST", url, test.data)
			if len(*called) != 0 {
				t.Errorf("called: %v", *called)
			}
			if strings.Contains(b.log.String(), "secret") != (test.status == 500 && test.verb != "mute") {
				t.Errorf("logged %s", b.log)
			}
			b.wantTold()
		})
	}
}

func TestCustomVerbsOfTheWrongKind(t *testing.T) {
	m, called := rated()
	b := newBench(t, live.Options{}, m)
	for _, test := range [][2]string{
		{callVerb("rate", ""), `{"title":"Bad Request","status":400,"code":"invalid_key","detail":"key: want an integer, got the string \"\"","errors":{"id":["want an integer"]}}`},
		{callVerb("count", `,"key":"1"`), `{"title":"Bad Request","status":400,"code":"malformed_message","detail":"key: the verb count works on no row","errors":{"key":["want none"]}}`},
		{callVerb("count", `,"version":1`), `{"title":"Bad Request","status":400,"code":"malformed_message","detail":"version: the verb count works on no row","errors":{"version":["want none"]}}`},
		{callVerb("fly", ""), `{"title":"Method Not Allowed","status":405,"code":"unknown_verb","detail":"router memos has no verb \"fly\""}`},
	} {
		equal(t, test[0], b.say(test[0])[0], `{"type":"error","id":5,"problem":`+test[1]+`}`)
	}
	for _, test := range []struct{ method, url, code, allow string }{
		{"POST", "/live/memos/rate", "method_not_allowed", "GET, HEAD, PATCH, DELETE"},
		{"PUT", "/live/memos/count", "method_not_allowed", "GET, HEAD, PATCH, DELETE, POST"},
		{"GET", "/live/memos/1/rate", "method_not_allowed", "POST"},
		{"DELETE", "/live/memos/1/count", "method_not_allowed", ""},
		{"POST", "/live/memos/1/fly", "unknown_verb", ""},
	} {
		w := b.refused(405, test.code, test.method, test.url, "{}")
		equal(t, test.method+" "+test.url, w.Header().Get("Allow"), test.allow)
	}
	b.refused(400, "malformed_message", "POST", "/live/memos/1/count", "1")
	b.refused(415, "unsupported_media_type", "POST", "/live/memos/count", "1", "Content-Type", "text/plain")
	b.refused(400, "malformed_message", "POST", "/live/memos/count", "1 2")
	b.refused(400, "malformed_message", "POST", "/live/memos/count", "{")
	b.refused(413, "message_too_large", "POST", "/live/memos/count", `"`+strings.Repeat("x", 1<<16)+`"`)
	if len(*called) != 0 {
		t.Errorf("called: %v", *called)
	}
}

func TestRowVerbChecksAVersionThatIsGiven(t *testing.T) {
	m, called := rated()
	b := newBench(t, live.Options{}, m)
	const conflict = `{"title":"Conflict","status":409,"code":"conflict","detail":"the row was changed by somebody else","current":` + milk + `}`
	b.want(409, conflict, "POST", "/live/memos/1/touch", "", "If-Match", `"3"`)
	equal(t, "called", b.say(callVerb("touch", `,"key":"1","version":5`))[0], `{"type":"error","id":5,"problem":`+conflict+`}`)
	b.refused(400, "invalid_version", "POST", "/live/memos/1/touch", "", "If-Match", `"x"`)
	if len(*called) != 0 {
		t.Errorf("called: %v", *called)
	}
	b.want(200, "{}", "POST", "/live/memos/1/touch", "", "If-Match", `"4"`)
}

func TestRouterMayHaveCustomVerbsOnly(t *testing.T) {
	b := newBench(t, live.Options{}, &live.Router[mark]{
		Name: "tools", Scope: live.Everyone,
		Verbs: map[string]live.CustomVerb{"echo": live.Verb[json.RawMessage, json.RawMessage](func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })},
	})
	b.want(200, `{"a":[1]}`, "POST", "/live/tools/echo", `{"a":[1]}`)
}

func TestVerbsURLsBelowAnyPrefix(t *testing.T) {
	m, called := rated()
	b := newBench(t, live.Options{}, m)
	again, _ := rated()
	o := newBench(t, live.Options{Prefix: "/a/live"}, again)
	for name, h := range map[string]http.Handler{
		"a mux": muxed("/a/live/", b.hub), "stripped": muxed("/a/live/", http.StripPrefix("/a/live", b.hub)),
		"a custom mux": withVisitor(byHand{"/a/live/", b.hub}), "a custom mux with the option": withVisitor(byHand{"/a/live/", o.hub}),
	} {
		for url, want := range map[string]string{"/a/live/memos/1/touch": "{}", "/a/live/memos/count": "1"} {
			if w := ask(t, withVisitor(h), "POST", url, ""); strings.TrimSpace(w.Body.String()) != want {
				t.Errorf("%s: %s: %d %s", name, url, w.Code, w.Body)
			}
		}
	}
	if len(*called) != 6 {
		t.Errorf("called: %v", *called)
	}
}
