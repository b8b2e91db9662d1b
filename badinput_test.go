package live_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/transport/transporttest"
)

// badInput is a message that is refused, the same over HTTP where that can be said, and the problem that both get.
type badInput struct {
	name string
	// message has ID where its id belongs. When it is too broken to have one, noID is set.
	message string
	noID    bool
	// http is a request: method, URL, body, If-Match. Said, in pairs, is what its problem words differently: a query string has
	// text where a message has JSON.
	http []string
	said []string

	status int
	code   string
	detail string
	errors string // as JSON; none if empty
	more   string // members behind
}

func (in badInput) problem() string {
	p := fmt.Sprintf(`{"title":"%s","status":%d,"code":"%s","detail":%s`, title(in.status), in.status, in.code, quoted(in.detail))
	if in.errors != "" {
		p += `,"errors":` + in.errors
	}
	return p + in.more + "}"
}

func title(status int) string {
	if status == http.StatusUnprocessableEntity {
		return "Unprocessable Content"
	}
	return http.StatusText(status)
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b))
}

// field is the errors of one field.
func field(name, message string) string { return `{"` + name + `":[` + quoted(message) + `]}` }

const (
	subscribeWhere = `{"type":"subscribe","id":ID,"router":"memos","where":`
	callMemos      = `{"type":"call","id":ID,"router":"memos","verb":`
	noSuchRow      = "no such row, or not one that you may see"
	sayVersion     = "say which version you saw: the member version, or the header If-Match"
	cannotWrite    = "this field cannot be written"
)

var badInputs = []badInput{
	{name: "unknown router", message: `{"type":"subscribe","id":ID,"router":"nothing"}`, http: []string{"GET", "/live/nothing"},
		status: 404, code: "unknown_router", detail: `no router "nothing"`},
	{name: "call of an unknown router", message: `{"type":"call","id":ID,"router":"nothing","verb":"get","key":"1"}`, http: []string{"GET", "/live/nothing/1"},
		status: 404, code: "unknown_router", detail: `no router "nothing"`},
	{name: "long name", message: `{"type":"subscribe","id":ID,"router":"` + strings.Repeat("x", 99) + `"}`, http: []string{"GET", "/live/" + strings.Repeat("x", 99)},
		status: 404, code: "unknown_router", detail: `no router "` + strings.Repeat("x", 40) + `…"`},

	{name: "unknown field", message: subscribeWhere + `{"colour":"red"}}`, http: []string{"GET", "/live/memos?colour=red"},
		status: 400, code: "unknown_field", detail: `unknown field "colour"`, errors: field("colour", `unknown field "colour"`)},
	{name: "field that serves rights", message: subscribeWhere + `{"owner_id":1}}`, http: []string{"GET", "/live/memos?owner_id=1"},
		status: 400, code: "unknown_field", detail: `unknown field "owner_id"`, errors: field("owner_id", `unknown field "owner_id"`)},
	{name: "field that cannot be filtered by", message: subscribeWhere + `{"note":"x"}}`, http: []string{"GET", "/live/memos?note=x"},
		status: 400, code: "field_not_filterable", detail: `field "note": it may not be filtered or ordered by`, errors: field("note", "it may not be filtered or ordered by")},
	{name: "wrong type", message: subscribeWhere + `{"list_id":"abc"}}`, http: []string{"GET", "/live/memos?list_id=abc"}, said: []string{`the string \"abc\"`, `\"abc\"`},
		status: 400, code: "invalid_value", detail: `field "list_id": want an integer, got the string "abc"`, errors: field("list_id", `want an integer, got the string "abc"`)},
	{name: "unknown operator", message: subscribeWhere + `{"list_id__like":7}}`, http: []string{"GET", "/live/memos?list_id__like=7"},
		status: 400, code: "unknown_operator", detail: `field "list_id": unknown lookup "like", want one of eq, ne, in, lt, lte, gt, gte, contains, icontains, startswith, isnull`,
		errors: field("list_id", `unknown lookup "like", want one of eq, ne, in, lt, lte, gt, gte, contains, icontains, startswith, isnull`)},
	{name: "operator of another type", message: subscribeWhere + `{"list_id":{"contains":"7"}}}`, http: []string{"GET", "/live/memos?list_id__contains=7"},
		status: 400, code: "unknown_operator", detail: `field "list_id": a field of type int has no "contains", want one of eq, ne, in, lt, lte, gt, gte, isnull`,
		errors: field("list_id", `a field of type int has no "contains", want one of eq, ne, in, lt, lte, gt, gte, isnull`)},
	{name: "no filter", message: subscribeWhere + `7}`,
		status: 400, code: "malformed_filter", detail: `a filter is an object of conditions or an array of filters, not the number 7`},
	{name: "null for a filter", message: subscribeWhere + `null}`,
		status: 400, code: "malformed_filter", detail: `a filter is an object of conditions or an array of filters, not null`},
	{name: "filter that is too large", message: subscribeWhere + `{"list_id__in":[1` + strings.Repeat(",1", 100) + `]}}`, http: []string{"GET", "/live/memos?list_id__in=1" + strings.Repeat(",1", 100)},
		status: 400, code: "filter_too_large", detail: `field "list_id": "in" has more than 100 values`, errors: field("list_id", `"in" has more than 100 values`)},
	{name: "filter of a call", message: callMemos + `"list","where":{"colour":"red"}}`,
		status: 400, code: "unknown_field", detail: `unknown field "colour"`, errors: field("colour", `unknown field "colour"`)},
	{name: "order by an unknown field", message: `{"type":"subscribe","id":ID,"router":"memos","order":"-colour"}`, http: []string{"GET", "/live/memos?order=-colour"},
		status: 400, code: "unknown_field", detail: `unknown field "colour"`, errors: field("colour", `unknown field "colour"`)},
	{name: "order by a field that cannot", message: callMemos + `"list","order":"loud"}`, http: []string{"GET", "/live/memos?order=loud"},
		status: 400, code: "field_not_filterable", detail: `field "loud": it may not be filtered or ordered by`, errors: field("loud", "it may not be filtered or ordered by")},
	{name: "no order", message: `{"type":"subscribe","id":ID,"router":"memos","order":"title,-"}`, http: []string{"GET", "/live/memos?order=title,-"},
		status: 400, code: "malformed_order", detail: `an order is field names separated by commas, with "-" in front for descending`},

	{name: "no query string", http: []string{"GET", "/live/memos?list_id=%zz"}, status: 400, code: "malformed_message", detail: "the query string cannot be read"},
	{name: "no cursor", message: `{"type":"subscribe","id":ID,"router":"memos","cursor":"yesterday"}`, http: []string{"GET", "/live/memos?cursor=yesterday"},
		status: 400, code: "malformed_cursor", detail: `"yesterday" is no cursor`, errors: field("cursor", "want a cursor that the server gave")},
	{name: "no cursor for a channel", message: `{"type":"subscribe","id":ID,"channel":"chat","cursor":"1.2"}`, http: []string{"GET", "/live/?channel=chat&cursor=1.2"},
		status: 400, code: "malformed_cursor", detail: `"1.2" is no cursor`, errors: field("cursor", "want a cursor that the server gave")},

	{name: "no JSON", message: `{"type":"ping","id":ID`, noID: true, status: 400, code: "malformed_message", detail: "unexpected EOF"},
	{name: "broken JSON", message: `{"type":ping}`, noID: true, status: 400, code: "malformed_message", detail: "not JSON at byte 9"},
	{name: "no object", message: `["ping"]`, noID: true, status: 400, code: "malformed_message", detail: "want a JSON object, got array"},
	{name: "two values", message: `{"type":"ping","id":ID} {}`, status: 400, code: "malformed_message", detail: "want one JSON object a line"},
	{name: "no id", message: `{"type":"ping"}`, noID: true, status: 400, code: "malformed_message", detail: "want an id, a positive integer", errors: field("id", "want a positive integer")},
	{name: "negative id", message: `{"type":"ping","id":-1}`, noID: true, status: 400, code: "malformed_message", detail: "want an id, a positive integer", errors: field("id", "want a positive integer")},
	{name: "id that JavaScript has not", message: `{"type":"ping","id":9007199254740992}`, noID: true, status: 400, code: "malformed_message", detail: "want an id, a positive integer", errors: field("id", "want a positive integer")},
	{name: "text for an id", message: `{"type":"ping","id":"7"}`, noID: true, status: 400, code: "malformed_message", detail: "id: got string"},
	{name: "unknown member", message: `{"type":"ping","id":ID,"colour":"red"}`, status: 400, code: "malformed_message", detail: `unknown field "colour"`},
	{name: "wrong type of a member", message: `{"type":"call","id":ID,"router":"memos","verb":"get","key":1}`, status: 400, code: "malformed_message", detail: "key: got number"},
	{name: "member of another type", message: `{"type":"ping","id":ID,"router":"memos"}`, status: 400, code: "malformed_message", detail: `ping has no member "router" here`},
	{name: "no type", message: `{"id":ID}`, status: 400, code: "malformed_message", detail: "want a type"},
	{name: "unknown type", message: `{"type":"shout","id":ID}`, status: 400, code: "unknown_type", detail: `no message type "shout" (want subscribe, unsubscribe, publish, call or ping)`},
	{name: "subscription to nothing", message: `{"type":"subscribe","id":ID}`, status: 400, code: "malformed_message", detail: "subscribe: want a router or a channel"},
	{name: "subscription to two things", message: `{"type":"subscribe","id":ID,"router":"memos","channel":"chat"}`, status: 400, code: "malformed_message", detail: `subscribe has no member "router" here`},
	{name: "end of no subscription", message: `{"type":"unsubscribe","id":ID}`, status: 404, code: "not_found", detail: "no such subscription"},

	{name: "unknown verb", message: callMemos + `"destroy","key":"1"}`, status: 405, code: "unknown_verb", detail: `router memos has no verb "destroy"`},
	{name: "key that does not exist", message: callMemos + `"get","key":"99"}`, http: []string{"GET", "/live/memos/99"}, status: 404, code: "not_found", detail: noSuchRow},
	{name: "key that may not be seen", message: callMemos + `"get","key":"2"}`, http: []string{"GET", "/live/memos/2"}, status: 404, code: "not_found", detail: noSuchRow},
	{name: "update of what may not be seen", message: callMemos + `"update","key":"2","version":9,"data":{"title":"x"}}`,
		http: []string{"PATCH", "/live/memos/2", `{"title":"x"}`, "9"}, status: 404, code: "not_found", detail: noSuchRow},
	{name: "delete of what may not be seen", message: callMemos + `"delete","key":"2","version":9}`, http: []string{"DELETE", "/live/memos/2", "", "9"},
		status: 404, code: "not_found", detail: noSuchRow},
	{name: "no key", message: callMemos + `"get","key":"abc"}`, http: []string{"GET", "/live/memos/abc"},
		status: 400, code: "invalid_key", detail: `key: want an integer, got the string "abc"`, errors: field("id", "want an integer")},
	{name: "empty key", message: callMemos + `"delete","version":1}`,
		status: 400, code: "invalid_key", detail: `key: want an integer, got the string ""`, errors: field("id", "want an integer")},

	{name: "field that cannot be written", message: callMemos + `"create","data":{"title":"x","stars":5}}`, http: []string{"POST", "/live/memos", `{"title":"x","stars":5}`},
		status: 422, code: "field_not_writable", detail: `field "stars": ` + cannotWrite, errors: field("stars", cannotWrite)},
	{name: "update of a field that cannot be written", message: callMemos + `"update","key":"1","version":4,"data":{"title":"x","id":5}}`,
		http: []string{"PATCH", "/live/memos/1", `{"title":"x","id":5}`, "4"}, status: 422, code: "field_not_writable", detail: `field "id": ` + cannotWrite, errors: field("id", cannotWrite)},
	{name: "unknown field in data", message: callMemos + `"create","data":{"title":"x","colour":1}}`, http: []string{"POST", "/live/memos", `{"title":"x","colour":1}`},
		status: 422, code: "unknown_field", detail: `field "colour": no such field`, errors: field("colour", "no such field")},
	{name: "wrong type in data", message: callMemos + `"create","data":{"title":7}}`, http: []string{"POST", "/live/memos", `{"title":7}`},
		status: 422, code: "invalid_value", detail: `field "title": want a string, got the number 7`, errors: field("title", "want a string, got the number 7")},
	{name: "all that is wrong in data", message: callMemos + `"update","key":"1","version":4,"data":{"title":7,"loud":1,"owner_id":2,"list_id":null,"note":"fine"}}`,
		http:   []string{"PATCH", "/live/memos/1", `{"title":7,"loud":1,"owner_id":2,"list_id":null,"note":"fine"}`, "4"},
		status: 422, code: "invalid_value", detail: `field "list_id": want an integer, got null`,
		errors: `{"list_id":["want an integer, got null"],"loud":["this field is computed"],"owner_id":["no such field"],"title":["want a string, got the number 7"]}`},
	{name: "data that is no object", message: callMemos + `"create","data":7}`, http: []string{"POST", "/live/memos", `7`},
		status: 400, code: "malformed_message", detail: "data: want an object of fields, got the number 7"},
	{name: "no data", message: callMemos + `"create"}`, http: []string{"POST", "/live/memos", " "},
		status: 400, code: "malformed_message", detail: "data: want an object of fields, got nothing"},
	{name: "data that is no JSON", http: []string{"POST", "/live/memos", `{"title":`}, status: 400, code: "malformed_message", detail: "data: want an object of fields, got what is not JSON"},

	{name: "no version", message: callMemos + `"update","key":"1","data":{"title":"x"}}`, http: []string{"PATCH", "/live/memos/1", `{"title":"x"}`},
		status: 428, code: "version_required", detail: sayVersion, errors: field("version", "is required")},
	{name: "delete without a version", message: callMemos + `"delete","key":"1"}`, http: []string{"DELETE", "/live/memos/1"},
		status: 428, code: "version_required", detail: sayVersion, errors: field("version", "is required")},
	{name: "version of the wrong type", message: callMemos + `"delete","key":"1","version":"abc"}`, http: []string{"DELETE", "/live/memos/1", "", `"abc"`},
		status: 400, code: "invalid_version", detail: `version: want an integer, got the string "abc"`, errors: field("version", "want an integer")},
	{name: "version of before", message: callMemos + `"update","key":"1","version":3,"data":{"title":"x"}}`, http: []string{"PATCH", "/live/memos/1", `{"title":"x"}`, `"3"`},
		status: 409, code: "conflict", detail: "the row was changed by somebody else", more: `,"current":` + milk},
	{name: "mutation that is none", message: callMemos + `"create","data":{"title":"x"},"mutation":"mine"}`,
		status: 400, code: "malformed_message", detail: "mutation: want a UUID", errors: field("mutation", "want a UUID")},

	{name: "channel that does not exist", message: `{"type":"subscribe","id":ID,"channel":"nothing"}`, http: []string{"GET", "/live/?channel=nothing"},
		status: 404, code: "not_found", detail: "no such channel, or not one that you may use"},
	{name: "publish on a channel that takes none", message: `{"type":"publish","id":ID,"channel":"chat","data":1}`,
		status: 404, code: "not_found", detail: "no such channel, or not one that you may use"},
	{name: "publish without data", message: `{"type":"publish","id":ID,"channel":"chat"}`, status: 400, code: "malformed_message", detail: "publish: want a channel and data"},
	{name: "body over the limit", message: callMemos + `"create","data":{"title":"` + strings.Repeat("x", 4<<10) + `"}}`, noID: true,
		http:   []string{"POST", "/live/memos", `{"title":"` + strings.Repeat("x", 4<<10) + `"}`},
		status: 413, code: "message_too_large", detail: "a message may have 4 KiB at most"},
}

func TestBadInputGetsTheSameAnswerOnEachTransport(t *testing.T) {
	for _, transport := range transporttest.All {
		t.Run(transport, func(t *testing.T) {
			m := desk()
			b := newBench(t, live.Options{MaxMessageBytes: 4 << 10}, m, &live.Channel{Name: "chat", Subscribe: anyone})
			before := m.snapshot()
			f := follow(t, transport, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos"}`)
			f.want("snapshot")
			for i, in := range badInputs {
				if in.message == "" {
					continue
				}
				id := fmt.Sprint(100 + 2*i)
				f.say(strings.ReplaceAll(in.message, "ID", id))
				head := `{"type":"error","id":` + id
				if in.noID {
					head = `{"type":"error"`
				}
				equal(t, in.name, f.next().Raw, head+`,"problem":`+in.problem()+"}")
				// The next message works.
				id = fmt.Sprint(101 + 2*i)
				f.say(`{"type":"call","id":` + id + `,"router":"memos","verb":"get","key":"1"}`)
				equal(t, "after "+in.name, f.next().Raw, `{"type":"result","id":`+id+`,"row":`+milk+`}`)
			}
			// Nothing was applied, and what was subscribed to goes on.
			equal(t, "table", m.snapshot(), before)
			if len(b.spy.entries) != 0 {
				t.Errorf("on the log: %s", b.spy.entries)
			}
			if err := m.Created(limit(t), memo{ID: 9, OwnerID: 1, Title: "x", Version: 1}); err != nil {
				t.Fatal(err)
			}
			if change := f.want("change"); len(change.Changes) != 1 || change.Changes[0].Key != "9" {
				t.Errorf("afterwards: %s", change.Raw)
			}
			if log := b.log.String(); log != "" {
				t.Errorf("a client's mistakes are logged: %s", log)
			}
		})
	}
}

func TestBadInputGetsTheSameAnswerOverHTTP(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{MaxMessageBytes: 4 << 10}, m, &live.Channel{Name: "chat", Subscribe: anyone})
	before := m.snapshot()
	for _, in := range badInputs {
		if in.http == nil {
			continue
		}
		t.Run(in.name, func(t *testing.T) {
			b := *b
			b.T = t
			parts := append(in.http[:len(in.http):len(in.http)], "", "", "")
			method, url, body, version := parts[0], parts[1], parts[2], parts[3]
			want := strings.NewReplacer(in.said...).Replace(in.problem())
			w := b.want(in.status, want, method, url, body, "If-Match", version)
			equal(t, "Cache-Control", w.Header().Get("Cache-Control"), "no-store")
			if method == "GET" && !strings.Contains(url, "/memos/") && !strings.HasSuffix(url, "/1") {
				b.want(in.status, want, "GET", url, "", "Accept", "text/event-stream")
			}
		})
	}
	b.want(200, milk, "GET", "/live/memos/1", "")
	equal(t, "table", m.snapshot(), before)
	if len(b.spy.entries) != 0 || b.log.String() != "" {
		t.Errorf("on the log: %s\nlogged: %s", b.spy.entries, b.log)
	}
}

func TestMessagesOfOneRequestCountForThemselves(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{}, m)
	answers := strings.Join(b.say(
		`{"type":"ping","id":1}`, `nonsense`, ``, `{"type":"call","id":2,"router":"memos","verb":"get","key":"1"}`, `{"type":"shout","id":3}`,
	), "\n")
	for _, want := range []string{`{"type":"pong","id":1}`, `{"type":"error","problem":`, `{"type":"result","id":2,`, `{"type":"error","id":3,`} {
		if strings.Count(answers, want) != 1 {
			t.Errorf("want %s once in\n%s", want, answers)
		}
	}
}

func TestSubscriptionsOfASessionAreBounded(t *testing.T) {
	b := newBench(t, live.Options{MaxSubscriptions: 2}, desk())
	answers := b.say(`{"type":"subscribe","id":1,"router":"memos"}`, `{"type":"subscribe","id":1,"router":"memos"}`,
		`{"type":"subscribe","id":2,"router":"memos"}`, `{"type":"subscribe","id":3,"router":"memos"}`)
	text := strings.Join(answers, "\n")
	for _, want := range []string{
		`{"type":"error","id":1,"problem":{"title":"Conflict","status":409,"code":"id_in_use","detail":"subscription 1 exists: unsubscribe it first"}}`,
		`{"type":"error","id":3,"problem":{"title":"Too Many Requests","status":429,"code":"too_many_subscriptions","detail":"a session may have 2 subscriptions"}}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %s in\n%s", want, text)
		}
	}
}
