package live_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// say posts messages, as a short-poll does, and returns the answers without the cursor at the end, which is not there when the hub
// has only just begun.
func (b *bench) say(messages ...string) []string {
	b.Helper()
	w := b.ask("POST", "/live/", strings.Join(messages, "\n"), "Content-Type", "application/x-ndjson")
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	if w.Code != http.StatusOK {
		b.Fatalf("%s\ngot %d %s", messages, w.Code, w.Body)
	}
	if last := len(lines) - 1; strings.HasPrefix(lines[last], `{"type":"cursor"`) {
		lines = lines[:last]
	}
	return lines
}

func TestVerbsDoWhatTheyAreAskedTo(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{}, m)
	b.want(200, milk, "GET", "/live/memos/1", "")
	created := `{"key":"3","version":1,"fields":{"id":3,"list_id":7,"title":"tea","note":"","stars":0,"version":1,"loud":"TEA"}}`
	w := b.want(201, created, "POST", "/live/memos", `{"title":"tea","list_id":7}`)
	equal(t, "Location", w.Header().Get("Location"), "memos/3")
	equal(t, "ETag", w.Header().Get("ETag"), `"1"`)
	if w.Header().Get("Live-Cursor") == "" {
		t.Error("a create has no Live-Cursor")
	}
	b.want(200, strings.NewReplacer("tea", "coffee", "TEA", "COFFEE", `"version":1`, `"version":2`).Replace(created),
		"PATCH", "/live/memos/3", `{"title":"coffee"}`, "If-Match", `"1"`)
	b.want(204, "", "DELETE", "/live/memos/3", "", "If-Match", `"2"`)
	b.refused(404, "not_found", "GET", "/live/memos/3", "")
	equal(t, "on the log", fmt.Sprint(b.spy.changes(t)), "[create 3 update 3 delete 3]")
}

func TestVerbExistsOnlyIfItsFuncIsSet(t *testing.T) {
	for _, test := range []struct {
		verb        string
		remove      func(*memos)
		method, url string
		allow       string
	}{
		{"list", func(m *memos) { m.List = nil }, "GET", "/live/memos", "POST"},
		{"get", func(m *memos) { m.Get, m.Update, m.Delete = nil, nil, nil }, "GET", "/live/memos/1", ""},
		{"create", func(m *memos) { m.Create = nil }, "POST", "/live/memos", "GET, HEAD"},
		{"update", func(m *memos) { m.Update = nil }, "PATCH", "/live/memos/1", "GET, HEAD, DELETE"},
		{"delete", func(m *memos) { m.Delete = nil }, "DELETE", "/live/memos/1", "GET, HEAD, PATCH"},
	} {
		t.Run(test.verb, func(t *testing.T) {
			m := desk()
			test.remove(m)
			b := newBench(t, live.Options{}, m)
			body := ""
			if test.method == "POST" || test.method == "PATCH" {
				body = `{"title":"x"}`
			}
			problem := `{"title":"Method Not Allowed","status":405,"code":"unknown_verb","detail":"router memos has no verb \"` + test.verb + `\""}`
			w := b.want(405, problem, test.method, test.url, body)
			equal(t, "Allow", w.Header().Get("Allow"), test.allow)
			answers := b.say(`{"type":"call","id":1,"router":"memos","verb":"` + test.verb + `","key":"1","version":4,"data":{"title":"x"}}`)
			equal(t, "called", answers[0], `{"type":"error","id":1,"problem":`+problem+`}`)
			if test.verb == "list" {
				equal(t, "subscribed", b.say(`{"type":"subscribe","id":1,"router":"memos"}`)[0], `{"type":"error","id":1,"problem":`+problem+`}`)
				b.want(405, problem, "GET", "/live/memos?cursor=0", "")
			}
			if got := b.spy.changes(t); len(got) != 0 {
				t.Errorf("changed: %v", got)
			}
		})
	}
}

func TestNobodyWritesIntoWhatIsNotHis(t *testing.T) {
	m := desk()
	m.Scope = func(context.Context) (where.Where, error) {
		return where.And(where.Eq("owner_id", 1), where.In("list_id", 7, 8)), nil
	}
	b := newBench(t, live.Options{}, m)
	before := m.snapshot()
	const forbidden = `{"title":"Forbidden","status":403,"code":"forbidden","detail":"this would put the row where you may not see it"}`
	b.want(403, forbidden, "POST", "/live/memos", `{"list_id":9}`)
	b.want(403, forbidden, "PATCH", "/live/memos/1", `{"list_id":9}`, "If-Match", "4")
	if after := m.snapshot(); after != before || len(b.spy.changes(t)) != 0 {
		t.Errorf("applied: %s, published %v", after, b.spy.changes(t))
	}
	b.want(201, "…", "POST", "/live/memos", `{"list_id":8}`)
	b.want(200, "…", "PATCH", "/live/memos/1", `{"list_id":8}`, "If-Match", "4")
	// What the client did not write is the application's, which may have its reasons: then the answer is empty.
	w := b.want(201, "", "POST", "/live/memos", `{"title":"no list"}`)
	equal(t, "Location", w.Header().Get("Location"), "")
}

// tag has what a draft of a new row cannot be encoded with: no key, and an enum whose zero value is none.
type tag struct {
	Name string `live:"name,key"`
	Kind kind   `live:"kind,write,filter"`
	Team string `live:"team,write,filter"`
}

type kind string

func (k kind) MarshalText() ([]byte, error) {
	if k == "" {
		return nil, errors.New("a kind must be given")
	}
	return []byte(k), nil
}

func (k *kind) UnmarshalText(text []byte) error { *k = kind(text); return nil }

func TestScopeIsCheckedForRowsThatAreNotCompleteYet(t *testing.T) {
	var stored []tag
	tags := &live.Router[tag]{
		Name:  "tags",
		Scope: func(context.Context) (where.Where, error) { return where.Eq("team", "mine"), nil },
		Create: func(_ context.Context, in tag) (tag, error) {
			in.Name, in.Kind = "t", "k"
			stored = append(stored, in)
			return in, nil
		},
	}
	b := newBench(t, live.Options{}, tags)
	b.refused(403, "forbidden", "POST", "/live/tags", `{"team":"yours"}`)
	if len(stored) != 0 {
		t.Fatalf("stored %v", stored)
	}
	b.want(201, "…", "POST", "/live/tags", `{"team":"mine"}`)
}

func TestRowThatMayNotBeSeenIsAnsweredAsOneThatIsMissing(t *testing.T) {
	const missing = `{"title":"Not Found","status":404,"code":"not_found","detail":"no such row, or not one that you may see"}`
	b := newBench(t, live.Options{}, desk())
	for _, key := range []string{"2", "99"} { // hidden, missing
		url := "/live/memos/" + key
		b.want(404, missing, "GET", url, "")
		b.want(404, missing, "PATCH", url, `{"title":"x"}`, "If-Match", "9")
		b.want(404, missing, "PATCH", url, `{"title":"x"}`)
		b.want(404, missing, "PATCH", url, `{"title":"x"}`, "If-Match", "8")
		b.want(404, missing, "PATCH", url, `{"secret":1}`, "If-Match", "abc")
		b.want(404, missing, "PATCH", url, `[]`, "If-Match", "9")
		b.want(404, missing, "DELETE", url, "", "If-Match", "9")
		b.want(404, missing, "DELETE", url, "")
		b.want(404, missing, "DELETE", url, "", "If-Match", "8")
		for _, verb := range []string{"get", "update", "delete"} {
			answers := b.say(`{"type":"call","id":5,"router":"memos","verb":"` + verb + `","key":"` + key + `"}`)
			equal(t, verb+" of "+key, answers[0], `{"type":"error","id":5,"problem":`+missing+`}`)
		}
	}
}

func TestVersionsKeepWritersFromOverwritingEachOther(t *testing.T) {
	const (
		conflict = `{"title":"Conflict","status":409,"code":"conflict","detail":"the row was changed by somebody else","current":` + milk + `}`
		required = `{"title":"Precondition Required","status":428,"code":"version_required","detail":"say which version you saw: the member version, or the header If-Match","errors":{"version":["is required"]}}`
	)
	invalid := func(got string) string {
		return `{"title":"Bad Request","status":400,"code":"invalid_version","detail":"version: want an integer, got ` + got + `","errors":{"version":["want an integer"]}}`
	}
	m := desk()
	b := newBench(t, live.Options{}, m)
	before := m.snapshot()
	for _, test := range []struct {
		ifMatch, member string
		status          int
		want            string
	}{
		{"", "", 428, required},
		{`"3"`, `,"version":3`, 409, conflict},
		{`5`, `,"version":5`, 409, conflict},
		{`W/"abc"`, `,"version":"abc"`, 400, invalid(`the string \"abc\"`)},
		{`*`, `,"version":"*"`, 400, invalid(`the string \"*\"`)},
		{`4.5`, `,"version":"4.5"`, 400, invalid(`the string \"4.5\"`)},
	} {
		b.want(test.status, test.want, "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", test.ifMatch)
		b.want(test.status, test.want, "DELETE", "/live/memos/1", "", "If-Match", test.ifMatch)
		for _, verb := range []string{`"update","data":{"title":"x"}`, `"delete"`} {
			answers := b.say(`{"type":"call","id":5,"router":"memos","key":"1","verb":` + verb + test.member + `}`)
			equal(t, verb+test.member, answers[0], `{"type":"error","id":5,"problem":`+test.want+`}`)
		}
	}
	for member, got := range map[string]string{"4.5": "the number 4.5", "null": "null", "{}": "an object", `"4"`: `the string \"4\"`} {
		answers := b.say(`{"type":"call","id":5,"router":"memos","key":"1","verb":"delete","version":` + member + `}`)
		equal(t, member, answers[0], `{"type":"error","id":5,"problem":`+invalid(got)+`}`)
	}
	if after := m.snapshot(); after != before {
		t.Errorf("applied: %s", after)
	}
	b.want(200, "…", "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", `W/"4"`)
}

func TestConflictThatTheApplicationFindsCarriesTheRow(t *testing.T) {
	m := desk()
	store := m.Update
	m.Update = func(ctx context.Context, was, now memo) (memo, error) {
		m.put(memo{ID: 1, OwnerID: 1, ListID: 7, Title: "soy", Version: 5}) // another writer was faster
		return store(ctx, was, now)
	}
	b := newBench(t, live.Options{}, m)
	b.want(409, `{"title":"Conflict","status":409,"code":"conflict","detail":"the row was changed by somebody else","current":`+
		`{"key":"1","version":5,"fields":{"id":1,"list_id":7,"title":"soy","note":"","stars":0,"version":5,"loud":"SOY"}}}`,
		"PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4")

	m.Update = func(ctx context.Context, was, now memo) (memo, error) {
		m.put(memo{ID: 1, OwnerID: 2, Title: "given away", Version: 6}) // and now it is somebody else's
		return memo{}, live.ErrConflict
	}
	b.refused(404, "not_found", "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "5")
}

// mark is a model without a version.
type mark struct {
	ID   int64  `live:"id,key"`
	Text string `live:"text,write"`
}

func TestModelWithoutVersionIsWrittenWithoutOne(t *testing.T) {
	row := mark{1, "a"}
	refuse := false
	b := newBench(t, live.Options{}, &live.Router[mark]{
		Name: "marks", Scope: live.Everyone,
		Get: func(context.Context, live.Key) (mark, error) { return row, nil },
		Update: func(_ context.Context, _, now mark) (mark, error) {
			if refuse {
				return now, live.ErrConflict
			}
			row = now
			return now, nil
		},
	})
	w := b.want(200, "…", "PATCH", "/live/marks/1", `{"text":"b"}`)
	cursor := w.Header().Get("Live-Cursor")
	equal(t, "answer", w.Body.String(), `{"key":"1","version":"`+cursor+`","fields":{"id":1,"text":"b"}}`+"\n")
	equal(t, "ETag", w.Header().Get("ETag"), "")
	b.want(200, "…", "PATCH", "/live/marks/1", `{"text":"c"}`, "If-Match", `"whatever"`)
	refuse = true
	if w := b.refused(409, "conflict", "PATCH", "/live/marks/1", `{"text":"d"}`); !strings.Contains(w.Body.String(), `"fields":{"id":1,"text":"c"}`) {
		t.Errorf("no current row: %s", w.Body)
	}
}

func TestErrorsOfTheApplication(t *testing.T) {
	full := &live.Error{Code: "quota", Status: 402, Detail: "pay first", Errors: map[string][]string{"title": {"too long", "too loud"}}}
	const internal = `{"title":"Internal Server Error","status":500,"code":"internal","detail":"the server failed to answer this"}`
	for _, test := range []struct {
		name string
		err  error
		want string
		log  string // what the log must say; nothing must be logged without
	}{
		{"in full", full, `{"title":"Payment Required","status":402,"code":"quota","detail":"pay first","errors":{"title":["too long","too loud"]}}`, ""},
		{"wrapped", fmt.Errorf("db secret: %w", full), `{"title":"Payment Required","status":402,"code":"quota","detail":"pay first","errors":{"title":["too long","too loud"]}}`, ""},
		{"joined", errors.Join(errors.New("db secret"), live.ErrForbidden), `{"title":"Forbidden","status":403,"code":"forbidden","detail":"you may not do this"}`, ""},
		{"empty", &live.Error{}, `{"title":"Forbidden","status":403,"code":"forbidden"}`, ""},
		{"with field errors", &live.Error{Code: "invalid", Errors: map[string][]string{"title": {"empty"}}},
			`{"title":"Unprocessable Content","status":422,"code":"invalid","detail":"field \"title\": empty","errors":{"title":["empty"]}}`, ""},
		{"with a status that is no error", &live.Error{Code: "odd", Status: 42}, `{"title":"Forbidden","status":403,"code":"odd"}`, ""},
		{"another", errors.New("db secret"), internal, "db secret"},
		{"nil as an error", (*live.Error)(nil), internal, "nil *live.Error"},
		{"a context that ended", context.DeadlineExceeded, `{"title":"Service Unavailable","status":503,"code":"unavailable","detail":"not answered in time"}`, "deadline"},
	} {
		t.Run(test.name, func(t *testing.T) { checkFailures(t, func() error { return test.err }, test.want, test.log) })
	}
	t.Run("panic", func(t *testing.T) { checkFailures(t, func() error { panic("db secret") }, internal, "db secret") })
	t.Run("panic with an Error", func(t *testing.T) { checkFailures(t, func() error { panic(full) }, internal, "pay first") })
}

// checkFailures has each func of a router fail, and wants one answer, whatever was asked and however.
func checkFailures(t *testing.T, fail func() error, want, log string) {
	for _, test := range []struct {
		name    string
		set     func(*memos)
		verbs   string
		created bool
	}{
		{"Scope", func(m *memos) { m.Scope = func(context.Context) (where.Where, error) { return where.Where{}, fail() } }, "list get create update delete subscribe", false},
		{"List", func(m *memos) { m.List = func(context.Context, live.Query) ([]memo, error) { return nil, fail() } }, "list subscribe", false},
		{"Get", func(m *memos) { m.Get = func(context.Context, live.Key) (memo, error) { return memo{}, fail() } }, "get update delete", false},
		{"Create", func(m *memos) { m.Create = func(context.Context, memo) (memo, error) { return memo{}, fail() } }, "create", false},
		{"Update", func(m *memos) { m.Update = func(context.Context, memo, memo) (memo, error) { return memo{}, fail() } }, "update", false},
		{"Delete", func(m *memos) { m.Delete = func(context.Context, memo) error { return fail() } }, "delete", false},
		{"Allow", func(m *memos) { m.Allow = func(context.Context, string) error { return fail() } }, "list get create update delete subscribe", false},
		{"AllowRow", func(m *memos) { m.AllowRow = func(context.Context, string, memo) error { return fail() } }, "get update delete", false},
		{"Before", func(m *memos) { m.Before = func(context.Context, *live.Write[memo]) error { return fail() } }, "create update delete", false},
		{"Validate", func(m *memos) { m.Validate = func(context.Context, *memo, memo) error { return fail() } }, "create update", false},
		{"Tx", func(m *memos) { m.Tx = func(context.Context, func(context.Context) error) error { return fail() } }, "create update delete", false},
		{"Tx at the end", func(m *memos) {
			m.Tx = func(ctx context.Context, do func(context.Context) error) error { return errors.Join(do(ctx), fail()) }
			m.Create = func(_ context.Context, in memo) (memo, error) { in.ID = 9; return in, nil }
			m.Update = func(_ context.Context, _, now memo) (memo, error) { return now, nil }
			m.Delete = func(context.Context, memo) error { return nil }
		}, "create update delete", false},
		{"a func in a Tx", func(m *memos) {
			m.Tx = func(ctx context.Context, do func(context.Context) error) error { return do(ctx) }
			m.Create = func(context.Context, memo) (memo, error) { return memo{}, fail() }
			m.Update = func(context.Context, memo, memo) (memo, error) { return memo{}, fail() }
			m.Delete = func(context.Context, memo) error { return fail() }
		}, "create update delete", false},
	} {
		m := desk()
		test.set(m)
		b := newBench(t, live.Options{}, m)
		status := 0
		_, _ = fmt.Sscanf(want[strings.Index(want, `"status":`):], `"status":%d`, &status)
		for verb := range strings.FieldsSeq(test.verbs) {
			message := `{"type":"call","id":5,"router":"memos","verb":"` + verb + `"}`
			switch verb {
			case "list":
				b.want(status, want, "GET", "/live/memos", "")
			case "get":
				b.want(status, want, "GET", "/live/memos/1", "")
				message = `{"type":"call","id":5,"router":"memos","verb":"get","key":"1"}`
			case "create":
				b.want(status, want, "POST", "/live/memos", `{"title":"x"}`)
				message = `{"type":"call","id":5,"router":"memos","verb":"create","data":{}}`
			case "update":
				b.want(status, want, "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4")
				message = `{"type":"call","id":5,"router":"memos","verb":"update","key":"1","version":4,"data":{}}`
			case "delete":
				b.want(status, want, "DELETE", "/live/memos/1", "", "If-Match", "4")
				message = `{"type":"call","id":5,"router":"memos","verb":"delete","key":"1","version":4}`
			case "subscribe":
				message = `{"type":"subscribe","id":5,"router":"memos"}`
			}
			equal(t, test.name+": "+verb, b.say(message)[0], `{"type":"error","id":5,"problem":`+want+`}`)
		}
		if got := b.spy.changes(t); len(got) != 0 {
			t.Errorf("%s: published %v", test.name, got)
		}
		logged := b.log.String()
		if log == "" && logged != "" || !strings.Contains(logged, log) {
			t.Errorf("%s: logged %q, want %q", test.name, logged, log)
		}
		if strings.Contains(t.Name(), "panic") && !strings.Contains(logged, "router_test.go") {
			t.Errorf("%s: no stack in the log: %s", test.name, logged)
		}
	}
}

func TestScopeThatIsWrongIsTheApplicationsMistake(t *testing.T) {
	m := desk()
	m.Scope = func(context.Context) (where.Where, error) { return where.Eq("note", "x"), nil }
	b := newBench(t, live.Options{}, m)
	b.refused(500, "internal", "GET", "/live/memos", "")
	if !strings.Contains(b.log.String(), "a scope may use the fields tagged key, version, filter or scope") {
		t.Error(b.log)
	}
}

func TestRowThatCannotBeReadIsNotCalledMissing(t *testing.T) {
	type big struct {
		ID    int64  `live:"id,key"`
		Large uint64 `live:"large,filter"`
	}
	row := big{1, 1 << 63}
	r := &live.Router[big]{
		Name: "bigs", Scope: live.Everyone,
		Get: func(context.Context, live.Key) (big, error) { return row, nil },
	}
	b := newBench(t, live.Options{}, r)
	b.refused(500, "internal", "GET", "/live/bigs/1", "")
	if got := b.log.String(); !strings.Contains(got, `field \"large\": invalid_value"`) || strings.Contains(got, "9223372036854775808") {
		t.Error(got)
	}
	// Every hub would have to take such an entry for a change to any row.
	if err := r.Created(t.Context(), row); err == nil || len(b.spy.changes(t)) != 0 {
		t.Errorf("published %v: %v", b.spy.changes(t), err)
	}
}
