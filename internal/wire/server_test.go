package wire

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/swampline/live/transport"
)

func TestBuildersWriteTheForms(t *testing.T) {
	row := func(n string) []byte { return []byte(n) }
	milk := `{"key":"42","version":7,"fields":{"id":42,"list_id":7,"title":"milk","done":false}}`
	done := `{"key":"42","version":8,"fields":{"id":42,"list_id":7,"title":"milk","done":true}}`
	soy := `{"key":"42","version":9,"fields":{"id":42,"list_id":7,"title":"soy milk","done":false}}`
	conflict := NewProblem(409, "conflict", "the object was changed by somebody else")
	conflict.Current = row(soy)
	text := "want a string, got the number 7"
	built := map[string]*transport.Frame{
		"server-hello":             Hello("5f2a1c0e-7c1f-4a53-9a55-0b1f0d7a8f11"),
		"server-snapshot":          Snapshot(Listing{ID: 1, Query: "k3", Cursor: "4fk2m9qa.2sy", Reason: "", Rows: row(milk)}),
		"server-resync":            Snapshot(Listing{ID: 1, Query: "k3", Cursor: "4fk2m9qa.2sz", Reason: "history", Rows: row(milk)}),
		"server-resumed":           Resumed(1, "k3", "4fk2m9qa.2sy"),
		"server-change-leave":      Change("k3", "4fk2m9qa.2t3", nil, row(`{"op":"leave","key":"42","version":9}`)),
		"server-message":           ChannelMessage("c5", "4fk2m9qa.2t5", row(`{"text":"hello"}`)),
		"server-cursor":            Cursor("4fk2m9qa.2t6"),
		"server-result":            Result(7, Answer{Cursor: "4fk2m9qa.2t2", Row: row(done)}),
		"server-result-list":       Result(4, Answer{Cursor: "4fk2m9qa.2t2", Listing: &Listing{Rows: row(done)}}),
		"server-result-empty":      Result(8, Answer{Cursor: "4fk2m9qa.2t4"}),
		"server-result-unsent":     Result(7, Answer{Row: row(done), Unsent: true}),
		"server-error":             Error(6, NewProblem(422, "invalid_value", `field "title": `+text).Field("title", text)),
		"server-error-conflict":    Error(7, conflict),
		"server-closed":            Closed(1, NewProblem(403, "forbidden", "you may no longer see these rows")),
		"server-reconnect":         Reconnect(1200, nil),
		"server-reconnect-problem": Reconnect(1200, NewProblem(408, "too_slow", "you do not take what you are sent")),
		"server-status":            Status(true),
		"server-pong":              Pong(9),
	}
	lines := protocol(t, "server-")
	for name, frame := range built { // the hub's own test has the forms whose parts are the schema's
		line := lines[name]
		if !bytes.Equal(frame.Data, line) {
			t.Errorf("%s:\ngot  %s\nwant %s", name, frame.Data, line)
		}
		var m struct{ Type, Cursor string }
		if err := json.Unmarshal(frame.Data, &m); err != nil || frame.Type != m.Type || frame.Cursor != m.Cursor && m.Type != "result" {
			t.Errorf("%s: type %q, cursor %q; %v", name, frame.Type, frame.Cursor, err)
		}
		quiet := m.Type == "hello" || m.Type == "resumed" || m.Type == "cursor"
		if frame.Quiet != quiet {
			t.Errorf("%s: quiet is %v", name, frame.Quiet)
		}
	}
}

func TestItemsAreThePartBetweenTheBrackets(t *testing.T) {
	f := Change("k3", "4f.11", nil, []byte(`{"a":1}`), []byte(`{"b":2}`))
	if string(f.Items) != `{"a":1},{"b":2}` {
		t.Errorf("items %s", f.Items)
	}
	if grown := append(f.Items, "XX"...); bytes.Contains(f.Data, []byte("XX")) {
		t.Errorf("appending to the items wrote into the message: %s, %s", f.Data, grown)
	}
	if f := ChannelMessage("c", "4f.11"); string(f.Data) != `{"type":"message","query":"c","cursor":"4f.11","messages":[]}` {
		t.Errorf("without messages: %s", f.Data)
	}
}

func TestEmptyMembersAreLeftOut(t *testing.T) {
	for want, frame := range map[string]*transport.Frame{
		`{"type":"snapshot","cursor":"4f.11","rows":[]}`:       Snapshot(Listing{ID: 0, Query: "", Cursor: "4f.11", Reason: "", Rows: []byte{}}),
		`{"type":"snapshot","id":2,"query":"c1","cursor":"0"}`: Snapshot(Listing{ID: 2, Query: "c1", Cursor: "0", Reason: "", Rows: nil}),
		`{"type":"snapshot","cursor":"0","rows":[],"relations":{"a":{"router":"r"}}}`: Snapshot(Listing{
			Cursor: "0", Rows: []byte{}, Relations: AppendRelation([]byte(`"a":`), "r", "", "", "", ""),
		}),
		`{"type":"result","id":3,"rows":[],"relations":{"a":{"router":"r","through":"t","field":"f","key":"k","by":"id"}}}`: Result(3, Answer{
			Listing: &Listing{Rows: []byte{}, Relations: AppendRelation([]byte(`"a":`), "r", "t", "f", "k", "id")},
		}),
		`{"type":"result","id":3}`:                                                 Result(3, Answer{}),
		`{"type":"result","id":3,"rows":[]}`:                                       Result(3, Answer{Listing: &Listing{Rows: []byte{}}}),
		`{"type":"result","id":3,"data":null}`:                                     Result(3, Answer{Data: []byte("null")}),
		`{"type":"result","id":3,"cursor":"a.1","rows":[1,2],"data":{}}`:           Result(3, Answer{Cursor: "a.1", Listing: &Listing{Rows: []byte("1,2")}, Data: []byte("{}")}),
		`{"type":"error","problem":{"title":"Not Found","status":404,"code":"x"}}`: Error(0, NewProblem(404, "x", "")),
	} {
		if string(frame.Data) != want {
			t.Errorf("got  %s\nwant %s", frame.Data, want)
		}
	}
}

func TestStringsAreJSONAndUTF8(t *testing.T) {
	for _, s := range []string{"", "plain", `"quoted" \`, "line\nbreak\r\t", "<b>&amp;", "é世界😀", "\u2028\u2029", "\x00\x1f\x7f", "\xff\xfe", "a\xc3", "\xed\xa0\x80"} {
		b := AppendString([]byte("x"), s)[1:]
		var got string
		if err := json.Unmarshal(b, &got); err != nil || got != strings.ToValidUTF8(s, "\uFFFD") && utf8.ValidString(s) {
			t.Errorf("%q: %s, read as %q, %v", s, b, got, err)
		}
		if !utf8.Valid(b) || bytes.ContainsAny(b, "\n\r") || bytes.Contains(b, []byte("\u2028")) {
			t.Errorf("%q: %q may break a line or a frame", s, b)
		}
	}
}

type verbatim string

func (v verbatim) MarshalJSON() ([]byte, error) { return []byte(v), nil }

func TestMarshalIsOneLineOfUTF8(t *testing.T) {
	b, err := Marshal(map[string]any{"a": verbatim("{\n \"b\" : \"\xff<\" }")})
	if err != nil || string(b) != `{"a":{"b":"`+"\uFFFD"+`<"}}` {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := Marshal(verbatim("{")); err == nil {
		t.Error("what is no JSON was taken")
	}
}

func TestAProblemCanAlwaysBeSent(t *testing.T) {
	p := &Problem{Status: 409, Code: "conflict", Current: json.RawMessage("{"), Detail: "\xff"}
	var got Problem
	if b := p.JSON(); json.Unmarshal(b, &got) != nil || got.Title != "Conflict" || got.Current != nil || !utf8.Valid(b) {
		t.Errorf("%s", b)
	}
	if p.Title != "" {
		t.Error("JSON changed the problem")
	}
}
