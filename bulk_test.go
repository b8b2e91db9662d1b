package live_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// shelf is a bank with rows 1 (version 4), 2 (somebody else's), 3 and 4 (version 1).
func shelf() *bank {
	k := newBank()
	k.put(memo{OwnerID: 1, ListID: 7, Title: "tea"})
	k.put(memo{OwnerID: 1, ListID: 7, Title: "bread"})
	return k
}

func bulkCall(verb, data string) string {
	return `{"type":"call","id":5,"router":"memos","verb":"` + verb + `","data":` + data + `,"mutation":"` + mutation + `"}`
}

func memoRow(id, list int, title string, version int) string {
	return fmt.Sprintf(`{"key":"%d","version":%d,"fields":{"id":%d,"list_id":%d,"title":"%s","note":"","stars":0,"version":%d,"loud":"%s"}}`,
		id, version, id, list, title, version, strings.ToUpper(title))
}

func TestBulkWritesManyRowsAsOne(t *testing.T) {
	const updates, deletes = `[{"key":"3","version":1,"data":{"title":"x"}},{"key":"4","version":1,"data":{"title":"y"}}]`, `[{"key":"4","version":1},{"key":"3","version":1}]`
	for _, test := range []struct {
		verb, data string
		method     string
		status     int
		rows       string
		told       string
		steps      string
	}{
		{"create", `[{"title":"a"},{"title":"b","list_id":8}]`, "POST", 201, memoRow(5, 0, "a", 1) + "," + memoRow(6, 8, "b", 1),
			"create memos 5, create memos 6",
			"begin, scope, before create, validate, before create, validate, create, after create, create, after create, commit"},
		{"update", updates, "PATCH", 200, memoRow(3, 7, "x", 2) + "," + memoRow(4, 7, "y", 2),
			"update memos 3, update memos 4",
			"begin, scope, get 3, allow row update, before update, validate, get 4, allow row update, before update, validate, update, after update, update, after update, commit"},
		{"delete", deletes, "DELETE", 204, "",
			"delete memos 4, delete memos 3",
			"begin, scope, get 4, allow row delete, before delete, get 3, allow row delete, before delete, delete, after delete, delete, after delete, commit"},
	} {
		t.Run(test.verb, func(t *testing.T) {
			k := shelf()
			b := newBench(t, live.Options{}, k)
			f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
			f.want("snapshot")
			k.steps = nil
			f.say(bulkCall(test.verb, test.data))
			change, result := f.want("change"), f.want("result")
			rows := ""
			if test.rows != "" {
				rows = `,"rows":[` + test.rows + `]`
			}
			equal(t, "result", result.Raw, `{"type":"result","id":5,"cursor":"`+change.Cursor+`"`+rows+`}`)
			var ops []string
			for _, c := range change.Changes {
				ops = append(ops, c.Op+" memos "+c.Key+" "+strings.Replace(c.Mutation, mutation, "M", 1))
			}
			equal(t, "change", strings.Join(ops, ", "), strings.ReplaceAll(test.told, ",", " M,")+" M")
			equal(t, "steps", strings.Join(k.steps, ", "), test.steps)
			b.wantTold(strings.ReplaceAll(test.told, ",", " M,") + " M")

			k = shelf()
			b = newBench(t, live.Options{}, k)
			body := ""
			if test.rows != "" {
				body = `{"rows":[` + test.rows + `]}`
			}
			w := b.want(test.status, body, test.method, "/live/memos", test.data)
			if w.Header().Get("Live-Cursor") == "" || w.Header().Get("Location") != "" || w.Header().Get("ETag") != "" {
				t.Errorf("headers: %v", w.Header())
			}
			b.wantTold(test.told)
		})
	}
}

func TestBulkStoresAllRowsOrNone(t *testing.T) {
	problem := func(status int, code, detail, fields, more string) string {
		return fmt.Sprintf(`{"title":"%s","status":%d,"code":"%s","detail":%s,"errors":%s%s}`, title(status), status, code, quoted(detail), fields, more)
	}
	const missing, changed = "no such row, or not one that you may see", "the row was changed by somebody else"
	for _, test := range []struct {
		name, verb, data string
		set              func(*bank)
		status           int
		want             string
	}{
		{"fields", "create", `[{"title":"fine"},{"title":7,"stars":1},{"note":null,"nothing":1}]`, nil, 422,
			problem(422, "field_not_writable", `field "stars": this field cannot be written`,
				`{"1.stars":["this field cannot be written"],"1.title":["want a string, got the number 7"],"2.note":["want a string, got null"],"2.nothing":["no such field"]}`, "")},
		{"no object", "create", `[{"title":"fine"},7]`, nil, 400,
			problem(400, "malformed_message", "data: want an object of fields, got the number 7", `{"1":["data: want an object of fields, got the number 7"]}`, "")},
		{"validation", "create", `[{"title":"x"},{"title":""},{"list_id":"x"},{"title":""}]`, func(k *bank) {
			k.Validate = func(_ context.Context, _ *memo, now memo) error {
				if now.Title == "" {
					return live.Invalid{"title": {"must not be empty"}, "": {"is no memo"}}
				}
				return nil
			}
		}, 422, problem(422, "invalid", "is no memo",
			`{"1":["is no memo"],"1.title":["must not be empty"],"2.list_id":["want an integer, got the string \"x\""],"3":["is no memo"],"3.title":["must not be empty"]}`, "")},
		{"a scope", "create", `[{"list_id":8},{"list_id":9}]`, func(k *bank) {
			k.Scope = func(context.Context) (where.Where, error) { return where.In("list_id", 7, 8), nil }
		}, 403, problem(403, "forbidden", "this would put the row where you may not see it", `{"1":["this would put the row where you may not see it"]}`, "")},
		{"a hidden row", "update", `[{"key":"3","version":1,"data":{}},{"key":"2","version":9,"data":{}},{"key":"99","version":9,"data":{}}]`, nil, 404,
			problem(404, "not_found", missing, `{"1":["`+missing+`"],"2":["`+missing+`"]}`, "")},
		{"a conflict", "update", `[{"key":"3","version":1,"data":{}},{"key":"1","version":3,"data":{"title":"x"}}]`, nil, 409,
			problem(409, "conflict", changed, `{"1":["`+changed+`"]}`, `,"current":`+milk)},
		{"a conflict that the func finds", "delete", `[{"key":"3","version":1},{"key":"1","version":4}]`, func(k *bank) {
			remove := k.Delete
			k.Delete = func(ctx context.Context, was memo) error {
				if was.ID == 1 {
					return fmt.Errorf("db: %w", live.ErrConflict)
				}
				return remove(ctx, was)
			}
		}, 409, problem(409, "conflict", changed, `{"1":["`+changed+`"]}`, `,"current":`+milk)},
		{"versions", "update", `[{"key":"3","data":{}},{"key":"1","version":"4","data":{}}]`, nil, 428,
			problem(428, "version_required", "say which version you saw: the member version, or the header If-Match", `{"0.version":["is required"],"1.version":["want an integer"]}`, "")},
		{"keys", "delete", `[{"key":"abc","version":1},{"key":3},{},{"key":""},{"key":"3","version":1},{"key":"03","version":1}]`, nil, 400,
			problem(400, "invalid_key", `key: want an integer, got the string "abc"`,
				`{"0.id":["want an integer"],"1.key":["want a string"],"2.key":["want a string"],"3.key":["want a string"],"5.key":["row 4 has this key already"]}`, "")},
		{"members", "delete", `[{"key":"3","version":1,"data":{}},"3"]`, nil, 400,
			problem(400, "malformed_message", `a row has no member "data" here`, `{"0":["a row has no member \"data\" here"],"1":["want an object with a key, got the string \"3\""]}`, "")},
		{"no data", "update", `[{"key":"3","version":1}]`, nil, 400,
			problem(400, "malformed_message", "data: want an object of fields, got nothing", `{"0":["data: want an object of fields, got nothing"]}`, "")},
		{"AllowRow", "delete", `[{"key":"1","version":4},{"key":"3","version":1}]`, func(k *bank) {
			k.AllowRow = func(_ context.Context, _ string, row memo) error {
				if row.ID == 3 {
					return &live.Error{Code: "locked"}
				}
				return nil
			}
		}, 403, `{"title":"Forbidden","status":403,"code":"locked","errors":{"1":["locked"]}}`},
		{"the func", "create", `[{"title":"a"},{"title":"b"}]`, func(k *bank) {
			create := k.Create
			k.Create = func(ctx context.Context, in memo) (memo, error) {
				if in.Title == "b" {
					return in, live.Invalid{"title": {"is taken"}}
				}
				return create(ctx, in)
			}
		}, 422, problem(422, "invalid", `field "title": is taken`, `{"1.title":["is taken"]}`, "")},
		{"an error", "create", `[{"title":"a"},{"title":7}]`, func(k *bank) {
			k.Before = func(context.Context, *live.Write[memo]) error { return errors.New("secret") }
		}, 500, `{"title":"Internal Server Error","status":500,"code":"internal","detail":"the server failed to answer this"}`},
		{"a panic", "create", `[{"title":"a"},{"title":"b"}]`, func(k *bank) {
			k.After = func(_ context.Context, w *live.Write[memo]) {
				if w.Now.Title == "b" {
					panic("secret")
				}
			}
		}, 500, `{"title":"Internal Server Error","status":500,"code":"internal","detail":"the server failed to answer this"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := shelf()
			if test.set != nil {
				test.set(k)
			}
			b := newBench(t, live.Options{}, k)
			before := k.snapshot()
			b.want(test.status, test.want, map[string]string{"create": "POST", "update": "PATCH", "delete": "DELETE"}[test.verb], "/live/memos", test.data)
			equal(t, "called", b.say(bulkCall(test.verb, test.data))[0], `{"type":"error","id":5,"problem":`+test.want+`}`)
			equal(t, "rows", k.snapshot(), before)
			b.wantTold()
		})
	}
}

func TestBulkOfNothing(t *testing.T) {
	k := shelf()
	b := newBench(t, live.Options{}, k)
	b.want(201, `{"rows":[]}`, "POST", "/live/memos", `[]`)
	b.want(200, `{"rows":[]}`, "PATCH", "/live/memos", ` [ ] `)
	b.want(204, "", "DELETE", "/live/memos", `[]`)
	equal(t, "called", b.say(bulkCall("create", "[]"))[0], `{"type":"result","id":5,"rows":[]}`)
	equal(t, "called", b.say(strings.Replace(bulkCall("delete", "[]"), mutation, another, 1))[0], `{"type":"result","id":5}`)
	if k.steps != nil {
		t.Errorf("something happened: %v", k.steps)
	}
}

func TestBulkIsBounded(t *testing.T) {
	for limit, options := range map[int]live.Options{100: {}, 2: {MaxBulk: 2}} {
		k := shelf()
		b := newBench(t, options, k)
		many := "[{}" + strings.Repeat(",{}", limit) + "]"
		b.want(422, fmt.Sprintf(`{"title":"Unprocessable Content","status":422,"code":"bulk_too_large","detail":"data: %d rows are too many, a call may write %d"}`, limit+1, limit),
			"POST", "/live/memos", many)
		b.want(201, "…", "POST", "/live/memos", strings.Replace(many, "{},", "", 1))
	}
}

func TestBulkNeedsATransaction(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{}, m)
	const problem = `{"title":"Method Not Allowed","status":405,"code":"unknown_verb","detail":"router memos has no create of many rows: it has no transaction to store all of them or none"}`
	w := b.want(405, problem, "POST", "/live/memos", `[{"title":"x"}]`)
	equal(t, "Allow", w.Header().Get("Allow"), "GET, HEAD, POST")
	equal(t, "called", b.say(bulkCall("create", "[{}]"))[0], `{"type":"error","id":5,"problem":`+problem+`}`)
	for _, method := range []string{"PATCH", "DELETE"} {
		b.refused(405, "method_not_allowed", method, "/live/memos", `[]`)
	}
	b.wantTold()

	b = newBench(t, live.Options{}, shelf())
	w = b.refused(405, "method_not_allowed", "PUT", "/live/memos", `[]`)
	equal(t, "Allow", w.Header().Get("Allow"), "GET, HEAD, POST, PATCH, DELETE")
	b.refused(400, "malformed_message", "PATCH", "/live/memos", `{"title":"x"}`)
	b.refused(400, "malformed_message", "DELETE", "/live/memos", `[1`)
	b.refused(415, "unsupported_media_type", "DELETE", "/live/memos", `[]`, "Content-Type", "text/plain")
	answer := b.say(`{"type":"call","id":5,"router":"memos","verb":"delete","version":1,"data":[{"key":"1","version":4}]}`)[0]
	if !strings.Contains(answer, `"errors":{"version":["each row of data has its own"]}`) {
		t.Error(answer)
	}
	answer = b.say(`{"type":"call","id":5,"router":"memos","verb":"update","key":"1","version":4,"data":[]}`)[0]
	if !strings.Contains(answer, `data: want an object of fields, got an array`) {
		t.Error(answer)
	}
	b.wantTold()
}

func TestBulkHidesRowsThatTheCallerDoesNotSee(t *testing.T) {
	k := shelf()
	k.Before = func(_ context.Context, w *live.Write[memo]) error {
		w.Now.OwnerID = int64(len(w.Now.Title))
		return nil
	}
	create := k.Create
	k.Create = func(ctx context.Context, in memo) (memo, error) {
		owner := in.OwnerID
		row, err := create(ctx, in)
		row.OwnerID = owner
		return k.put(row), err
	}
	b := newBench(t, live.Options{}, k)
	b.want(201, `{"rows":[null,`+memoRow(6, 0, "a", 1)+`]}`, "POST", "/live/memos", `[{"title":"ab"},{"title":"a"}]`)
}

func TestBulkRowThatAnotherRowsFuncPublished(t *testing.T) {
	k := shelf()
	update := k.Update
	k.Update = func(ctx context.Context, was, now memo) (memo, error) {
		other, _ := k.get(7 - was.ID)
		now, err := update(ctx, was, now)
		return now, errors.Join(err, k.Changed(ctx, other))
	}
	b := newBench(t, live.Options{}, k)
	b.want(200, "…", "PATCH", "/live/memos", `[{"key":"3","version":1,"data":{"title":"x"}},{"key":"4","version":1,"data":{"title":"y"}}]`)
	b.wantTold("put memos 4, update memos 3, put memos 3, update memos 4")
}
