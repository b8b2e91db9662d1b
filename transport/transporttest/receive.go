package transporttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// testReceive calls verbs.
func testReceive(t *testing.T, e *env) {
	c := e.dial(t)
	e.send(t, c, `{"type":"ping","id":9}`)
	if m := e.next(t, c, answered, "pong"); m.ID != 9 {
		broken(t, answered, "the answer to ping 9 is %s", m.Raw)
	}

	e.send(t, c, `{"type":"call","id":10,"router":"items","verb":"create","data":{"title":"milk"}}`)
	m := e.next(t, c, answered, "result")
	if m.ID != 10 || m.Row == nil || m.Row.Fields["title"] != "milk" {
		broken(t, answered, "the answer to create 10 is %s", m.Raw)
	}

	e.held = e.createAll(t, 7, 0, 1)
	snapshot := e.subscribe(t, c, 1, 7)
	if len(snapshot.Rows) != 1 {
		broken(t, answersSubscribe, "list 7 holds one row, got %s", snapshot.Raw)
	}
	key := snapshot.Rows[0].Key
	e.send(t, c, fmt.Sprintf(`{"type":"call","id":11,"router":"items","verb":"update","key":%q,"version":%s,"data":{"title":"green tea"},`+
		`"mutation":"01890a5d-ac96-774b-bcce-b302099a8058"}`, key, snapshot.Rows[0].Version))
	e.updated(t, c)
}

// updated waits for the result of call 11 and for the change that it made.
func (e *env) updated(t *testing.T, c *Client) {
	t.Helper()
	var result, change bool
	for !result || !change {
		m := e.next(t, c, answered, "result", "change", "resumed")
		switch m.Type {
		case "result":
			if m.ID != 11 || m.Row == nil || m.Row.Fields["title"] != "green tea" || m.Cursor == "" {
				broken(t, answered, "the answer to update 11 is %s", m.Raw)
			}
			if e.transport == WebSocket && !change {
				broken(t, resultLast, "got %s first", m.Raw)
			}
			result = true
		case "change":
			if m.Changes[0].Op != "update" && len(e.news(m)) == 0 {
				continue
			}
			if len(m.Changes) != 1 || m.Changes[0].Op != "update" || m.Changes[0].Fields["title"] != "green tea" {
				broken(t, exact, "got %s", m.Raw)
			}
			if m.Changes[0].Mutation != "01890a5d-ac96-774b-bcce-b302099a8058" {
				broken(t, `docs/protocol.md: "the change that the write causes carries [the mutation], so that a client recognises its own write."`,
					"got %s", m.Raw)
			}
			change = true
		}
	}
}

// refusals are messages that are answered with an error, and go on.
var refusals = []struct {
	message string
	id      int64
	status  int
	code    string
}{
	{`{`, 0, 400, "malformed_message"},
	{`[]`, 0, 400, "malformed_message"},
	{`"hello"`, 0, 400, "malformed_message"},
	{`{"type":"ping","id":0}`, 0, 400, "malformed_message"},
	{`{"type":"ping","id":"one"}`, 0, 400, "malformed_message"},
	{`{"type":"wish","id":20}`, 20, 400, "unknown_type"},
	{`{"type":"subscribe","id":21,"router":"nothing"}`, 21, 404, "unknown_router"},
	{`{"type":"subscribe","id":22,"router":"items","where":{"nothing":1}}`, 22, 400, "unknown_field"},
	{`{"type":"subscribe","id":23,"router":"items","where":{"list_id":"seven"}}`, 23, 400, "invalid_value"},
	{`{"type":"subscribe","id":24,"router":"items","cursor":"?"}`, 24, 400, "malformed_cursor"},
	{`{"type":"call","id":25,"router":"items","verb":"dance"}`, 25, 405, "unknown_verb"},
	{`{"type":"call","id":26,"router":"items","verb":"get","key":"999999"}`, 26, 404, "not_found"},
}

// testRefusals sends what is wrong, with something right behind it.
func testRefusals(t *testing.T, e *env) {
	c := e.dial(t)
	e.subscribe(t, c, 1, 7)
	for _, test := range refusals {
		e.send(t, c, test.message)
		m := e.next(t, c, eachItself, "error")
		if m.ID != test.id {
			broken(t, `docs/protocol.md: "error refuses the client's message id (absent when the message was too broken to have one)."`,
				"%s is answered with %s", test.message, m.Raw)
		}
		checkProblem(t, m.Problem, test.status, test.code, test.message)

		e.send(t, c, test.message, `{"type":"ping","id":9}`)
		for range 2 {
			if m := e.next(t, c, eachItself, "error", "pong"); m.Type == "pong" && m.ID != 9 {
				broken(t, eachItself, "the answer to ping 9 behind %s is %s", test.message, m.Raw)
			}
		}
	}
	e.expect(t, c, e.createAll(t, 7, 0, 3))
}

// checkProblem compares an error with the table of the protocol.
func checkProblem(t *testing.T, p *Problem, status int, code, what string) {
	t.Helper()
	if p == nil {
		broken(t, oneShape, "%s is refused without a problem", what)
	}
	if p.Status != status || p.Code != code || p.Detail == "" || p.Title == "" {
		broken(t, oneShape, "%s is refused with %+v, want status %d, code %s, a title and a detail", what, *p, status, code)
	}
}

// testTooLarge sends more than the limit.
func testTooLarge(t *testing.T, e *env) {
	c := e.dial(t)
	e.subscribe(t, c, 1, 7)
	for _, times := range []int{1, 3} {
		padding := strings.Repeat("x", times*e.app.MaxMessageBytes)
		e.send(t, c, `{"type":"call","id":5,"router":"items","verb":"create","data":{"title":"`+padding+`"}}`)
		m := e.next(t, c, eachItself, "error")
		checkProblem(t, m.Problem, http.StatusRequestEntityTooLarge, "message_too_large", fmt.Sprintf("a message of %d × the limit", times))
		e.send(t, c, `{"type":"ping","id":9}`)
		e.next(t, c, eachItself, "pong")
	}
	e.expect(t, c, e.createAll(t, 7, 0, 3))
}

// testSingleErrors asks a single router for what is refused: the same problem comes as the answer to the request. Only what a WebSocket
// says after it was opened is a message.
func testSingleErrors(t *testing.T, e *env) {
	e.start(t)
	for _, test := range []struct {
		path   string
		status int
		code   string
	}{
		{"nothing", 404, "unknown_router"},
		{"items?nothing=1", 400, "unknown_field"},
		{"items?list_id=seven", 400, "invalid_value"},
		{"items?list_id=7&cursor=!", 400, "malformed_cursor"},
	} {
		checkProblem(t, e.singleRefusal(t, test.path), test.status, test.code, "GET /live/"+test.path)
	}
}

func (e *env) singleRefusal(t *testing.T, path string) *Problem {
	t.Helper()
	if e.transport == WebSocket {
		return e.socketRefusal(t, path)
	}
	answer := e.get(t, path, nil)
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		broken(t, oneShape, "GET /live/%s is answered with 200", path)
	}
	var refusal *Refusal
	if err := refusalOf(answer, errors.New("no problem")); !errors.As(err, &refusal) {
		broken(t, oneShape, "GET /live/%s: %v", path, err)
	}
	return &refusal.Problem
}

func (e *env) socketRefusal(t *testing.T, path string) *Problem {
	t.Helper()
	c, err := Dial(e.ctx(t), WebSocket, e.url(path), ClientOptions{HTTP: e.server.Client()})
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return &refusal.Problem
	}
	if err != nil {
		broken(t, oneShape, "a WebSocket at /live/%s: %v", path, err)
	}
	defer c.Drop()
	return e.next(t, c, oneShape, "error").Problem
}

// raw decodes an object of which a test wants to know which members it has.
func raw(t *testing.T, data string) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(data), &m); err != nil {
		t.Fatalf("%.500q: %v", data, err)
	}
	return m
}
