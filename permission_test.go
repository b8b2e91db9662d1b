package live_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

func TestAllowIsAskedBeforeAnythingElse(t *testing.T) {
	m := desk()
	var asked []string
	m.Allow = func(ctx context.Context, verb string) error {
		asked = append(asked, fmt.Sprint(verb, " of ", visitor(ctx)))
		return &live.Error{Code: "readers_only", Detail: "not for you"}
	}
	m.Scope = func(context.Context) (where.Where, error) { t.Error("Scope is evaluated"); return where.Where{}, nil }
	m.Get = func(context.Context, live.Key) (memo, error) { t.Error("Get is called"); return memo{}, nil }
	m.Verbs = map[string]live.CustomVerb{
		"sweep":   live.Verb[struct{}, int](func(context.Context, struct{}) (int, error) { t.Error("sweep is called"); return 1, nil }),
		"archive": live.RowVerb[memo, struct{}, int](func(context.Context, memo, struct{}) (int, error) { t.Error("archive is called"); return 1, nil }),
	}
	b := newBench(t, live.Options{}, m)
	const problem = `{"title":"Forbidden","status":403,"code":"readers_only","detail":"not for you"}`
	for _, test := range []struct{ verb, message, method, url, body string }{
		{"list", `{"type":"subscribe","id":5,"router":"memos","where":{"nonsense":1}}`, "GET", "/live/memos?nonsense=1", ""},
		{"list", `{"type":"call","id":5,"router":"memos","verb":"list","where":{"nonsense":1}}`, "GET", "/live/memos?cursor=0", ""},
		{"get", `{"type":"call","id":5,"router":"memos","verb":"get","key":"nonsense"}`, "GET", "/live/memos/nonsense", ""},
		{"create", `{"type":"call","id":5,"router":"memos","verb":"create","data":7}`, "POST", "/live/memos", "7"},
		{"update", `{"type":"call","id":5,"router":"memos","verb":"update","key":"nonsense","data":7}`, "PATCH", "/live/memos/nonsense", "7"},
		{"delete", `{"type":"call","id":5,"router":"memos","verb":"delete","key":"nonsense"}`, "DELETE", "/live/memos/nonsense", ""},
		{"sweep", `{"type":"call","id":5,"router":"memos","verb":"sweep","data":7}`, "POST", "/live/memos/sweep", "7"},
		{"archive", `{"type":"call","id":5,"router":"memos","verb":"archive","key":"nonsense","data":7}`, "POST", "/live/memos/nonsense/archive", "7"},
	} {
		asked = nil
		equal(t, test.message, b.say(test.message)[0], `{"type":"error","id":5,"problem":`+problem+`}`)
		b.want(403, problem, test.method, test.url, test.body, "Visitor", "8")
		equal(t, test.verb, fmt.Sprint(asked), fmt.Sprintf("[%s of 1 %[1]s of 8]", test.verb))
	}
	f := b.follow(`{"type":"subscribe","id":5,"router":"memos"}`)
	equal(t, "over a socket", f.want("error").Raw, `{"type":"error","id":5,"problem":`+problem+`}`)
	// A verb that does not exist does not exist for anybody.
	asked = nil
	if answer := b.say(`{"type":"call","id":5,"router":"memos","verb":"fly"}`)[0]; !strings.Contains(answer, "unknown_verb") || asked != nil {
		t.Errorf("%s, asked %v", answer, asked)
	}
}

func TestAllowLetsThrough(t *testing.T) {
	m := desk()
	m.Allow = func(_ context.Context, verb string) error {
		if verb == "delete" {
			return live.ErrForbidden
		}
		return nil
	}
	b := newBench(t, live.Options{}, m)
	b.want(200, "…", "GET", "/live/memos", "")
	b.want(200, "…", "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4")
	b.refused(403, "forbidden", "DELETE", "/live/memos/1", "", "If-Match", "5")
	b.follow(`{"type":"subscribe","id":1,"router":"memos"}`).want("snapshot")
	b.wantTold("update memos 1")
}

func TestAllowRowIsAskedForRowsThatTheCallerSees(t *testing.T) {
	m := desk()
	var asked []string
	m.AllowRow = func(ctx context.Context, verb string, row memo) error {
		asked = append(asked, fmt.Sprint(verb, " ", row.Title, " of ", visitor(ctx)))
		return live.ErrForbidden
	}
	m.Verbs = map[string]live.CustomVerb{
		"sweep":   live.Verb[struct{}, int](func(context.Context, struct{}) (int, error) { return 1, nil }),
		"archive": live.RowVerb[memo, struct{}, int](func(context.Context, memo, struct{}) (int, error) { t.Error("archive is called"); return 1, nil }),
	}
	b := newBench(t, live.Options{}, m)
	before := m.snapshot()
	for _, test := range []struct{ verb, method, url, body string }{
		{"get", "GET", "/live/memos/1", ""},
		{"update", "PATCH", "/live/memos/1", "7"}, // neither the version nor the data tell anything first
		{"delete", "DELETE", "/live/memos/1", ""},
		{"archive", "POST", "/live/memos/1/archive", `{"nonsense":1}`},
	} {
		asked = nil
		b.refused(403, "forbidden", test.method, test.url, test.body)
		answer := b.say(`{"type":"call","id":5,"router":"memos","verb":"` + test.verb + `","key":"1"}`)[0]
		if !strings.Contains(answer, `"code":"forbidden"`) {
			t.Error(answer)
		}
		equal(t, test.verb, fmt.Sprint(asked), fmt.Sprintf("[%s milk of 1 %[1]s milk of 1]", test.verb))
		asked = nil
		b.refused(404, "not_found", test.method, strings.Replace(test.url, "/1", "/2", 1), test.body)
		if asked != nil {
			t.Errorf("%s: asked for a row that the caller does not see: %v", test.verb, asked)
		}
	}
	equal(t, "rows", m.snapshot(), before)
	b.wantTold()
	b.want(200, "…", "GET", "/live/memos", "")
	b.want(201, "…", "POST", "/live/memos", `{"title":"x"}`)
	b.want(200, "1", "POST", "/live/memos/sweep", "")
}
