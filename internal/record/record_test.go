package record

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func version(n int64) *int64 { return &n }

func TestRoundTrip(t *testing.T) {
	for name, e := range map[string]Entry{
		"empty": {},
		"create": {Changes: []Change{{
			Router: "todos", Key: "1", Op: Create, Version: version(1), Now: Fields{"id": json.RawMessage("1")},
		}}},
		"update": {Changes: []Change{{
			Router: "todos", Key: "1", Op: Update, Version: version(-1 << 63), Mutation: "m",
			Now: Fields{"a": json.RawMessage(`"<&>\u2028"`)}, Was: Fields{"a": json.RawMessage("null")}, Changed: []string{"a"},
		}}},
		"put without version": {Changes: []Change{{Router: "todos", Key: "k\"\n", Op: Put, Now: Fields{}}}},
		"delete":              {Changes: []Change{{Router: "todos", Key: "1", Op: Delete, Was: Fields{"a": json.RawMessage("[]")}}}},
		"nothing changed":     {Changes: []Change{{Router: "todos", Key: "1", Op: Update, Now: Fields{}, Was: Fields{}, Changed: []string{}}}},
		"of an outbox":        {ID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", By: "ann"},
		"sent":                {Sent: 1<<63 - 1, Recheck: []string{"ann"}},
		"messages":            {Messages: []Message{{Channel: "c", Data: json.RawMessage(`{"a":[1,null]}`)}, {Channel: "c", Data: json.RawMessage("null")}}},
	} {
		data, err := Encode(e)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if strings.Contains(string(data), "\n") {
			t.Errorf("%s: %s: more than one line", name, data)
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatalf("%s: %s: %v", name, data, err)
		}
		e.Format = Format
		if !reflect.DeepEqual(got, e) {
			t.Errorf("%s: %s:\ngot  %+v\nwant %+v", name, data, got, e)
		}
	}
}

func TestDecodeIsStrict(t *testing.T) {
	for name, data := range map[string]string{
		"nothing":                ``,
		"no JSON":                `{`,
		"an array":               `[]`,
		"another format":         `{"v":2}`,
		"no format":              `{}`,
		"null":                   `null`,
		"an unknown member":      `{"v":1,"more":1}`,
		"an unknown in changes":  `{"v":1,"changes":[{"router":"r","key":"k","op":"delete","more":1}]}`,
		"two values":             `{"v":1}{"v":1}`,
		"a brace too many":       `{"v":1}}`,
		"a bracket too many":     `{"v":1}]`,
		"text behind":            `{"v":1} x`,
		"no router":              `{"v":1,"changes":[{"key":"k","op":"delete"}]}`,
		"no key":                 `{"v":1,"changes":[{"router":"r","op":"delete"}]}`,
		"no op":                  `{"v":1,"changes":[{"router":"r","key":"k"}]}`,
		"an unknown op":          `{"v":1,"changes":[{"router":"r","key":"k","op":"upsert","now":{}}]}`,
		"a delete with fields":   `{"v":1,"changes":[{"router":"r","key":"k","op":"delete","now":{"a":1}}]}`,
		"an update without":      `{"v":1,"changes":[{"router":"r","key":"k","op":"update"}]}`,
		"a version of text":      `{"v":1,"changes":[{"router":"r","key":"k","op":"delete","version":"1"}]}`,
		"two lines":              "{\"v\":1,\n\"messages\":[]}",
		"a line at the end":      "{\"v\":1}\n",
		"a return in data":       "{\"v\":1,\"messages\":[{\"channel\":\"c\",\"data\":{\"a\":\r1}}]}",
		"not UTF-8":              "{\"v\":1,\"messages\":[{\"channel\":\"c\",\"data\":\"\xff\"}]}",
		"too large":              `{"v":1,"messages":[{"channel":"c","data":"` + strings.Repeat("x", MaxBytes) + `"}]}`,
		"a message without data": `{"v":1,"messages":[{"channel":"c"}]}`,
		"a message to nobody":    `{"v":1,"messages":[{"data":1}]}`,
		"an id too short":        `{"v":1,"id":"ABCDEFGHIJKLMNOPQRSTUVWXY"}`,
		"an id too long":         `{"v":1,"id":"` + strings.Repeat("A", 65) + `"}`,
		"an id of small letters": `{"v":1,"id":"abcdefghijklmnopqrstuvwxyz"}`,
		"an id with a zero":      `{"v":1,"id":"ABCDEFGHIJKLMNOPQRSTUVWXY0"}`,
		"an id of a number":      `{"v":1,"id":1}`,
		"sent before 1970":       `{"v":1,"sent":-1}`,
		"sent as text":           `{"v":1,"sent":"1"}`,
		"sent in between":        `{"v":1,"sent":1.5}`,
		"sent too late":          `{"v":1,"sent":9223372036854775808}`,
		"a broken version":       `{"v":1,"changes":[{"router":"r","key":"k","op":"delete","version":1.5}]}`,
	} {
		if e, err := Decode([]byte(data)); err == nil {
			t.Errorf("%s: %s was read as %+v", name, data, e)
		}
	}
}

func TestEncodeRefusesWhatIsNoJSON(t *testing.T) {
	if data, err := Encode(Entry{Messages: []Message{{Channel: "c", Data: json.RawMessage("{")}}}); err == nil {
		t.Errorf("encoded as %s", data)
	}
}

// An application's own MarshalJSON writes what it likes.
func TestWhatIsEncodedCanBeDecoded(t *testing.T) {
	data, err := Encode(Entry{Changes: []Change{{Router: "r", Key: "\xff\n\u2028", Op: Create, Now: Fields{"a": json.RawMessage("[ 1,\r\n\"\xff\u2028\" ]")}}}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := Decode(data)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	if got := string(e.Changes[0].Now["a"]); got != "[1,\"\uFFFD\u2028\"]" {
		t.Errorf("got %q", got)
	}
}

func TestAppendVersion(t *testing.T) {
	if got := string(AppendVersion([]byte("x"), version(-7), "c")); got != "x-7" {
		t.Errorf("a model's version: %s", got)
	}
	if got := string(AppendVersion(nil, nil, "4f.11")); got != `"4f.11"` {
		t.Errorf("a cursor: %s", got)
	}
}

// FuzzDecode holds Decode to this: what it accepts, Encode writes so that Decode reads the same.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"v":1}`, `{"v":1}}`, `{"V":1,"changes":[]}`,
		`{"v":1,"changes":[{"router":"r","key":"k","op":"update","version":3,"now":{"a":1},"was":{"a":2},"changed":["a"],"mutation":"m"}]}`,
		`{"v":1,"messages":[{"channel":"c","data": {"a" : 1}}]}`, `{"v":1,"messages":[{"channel":"c"}]}`,
		`{"v":1,"id":"ABCDEFGHIJKLMNOPQRSTUVWXYZ","changes":[]}`, `{"v":1,"id":""}`, `{"v":1,"id":"a"}`,
		`{"v":1,"sent":1764000000000,"recheck":["ann"]}`, `{"v":1,"sent":-1}`,
		`{"v":1,"messages":[{"channel":"c","data":1,"note":{"except":"1.2"}},{"channel":"d","data":2,"note":null}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Decode(data)
		if err != nil {
			return
		}
		for _, m := range e.Messages {
			if m.Data == nil || !json.Valid(m.Data) || bytes.ContainsAny(m.Data, "\r\n") {
				t.Fatalf("%q: a message with the data %q", data, m.Data)
			}
		}
		again, err := Encode(e)
		if err != nil {
			t.Fatalf("%q: decoded, but not encoded: %v", data, err)
		}
		other, err := Decode(again)
		if err != nil {
			t.Fatalf("%q: encoded as %q, which is refused: %v", data, again, err)
		}
		third, err := Encode(other)
		if err != nil || string(third) != string(again) {
			t.Fatalf("%q: %q and then %q, %v", data, again, third, err)
		}
	})
}

func TestBulkChangeIsAFilterAndNothingElse(t *testing.T) {
	for _, data := range []string{
		`{"v":1,"changes":[{"router":"todos","key":"","op":"where"}]}`,
		`{"v":1,"changes":[{"router":"","key":"","op":"where","where":{}}]}`,
		`{"v":1,"changes":[{"router":"todos","key":"1","op":"where","where":{}}]}`,
		`{"v":1,"changes":[{"router":"todos","key":"","op":"where","where":{},"now":{}}]}`,
		`{"v":1,"changes":[{"router":"todos","key":"1","op":"delete","where":{}}]}`,
	} {
		if e, err := Decode([]byte(data)); err == nil {
			t.Errorf("%s is read as %+v", data, e)
		}
	}
	in := Entry{
		Changes: []Change{{Router: "todos", Op: Bulk, Where: json.RawMessage(`{"done":true}`)}},
		Recheck: []string{"", "7"}, Disconnect: []string{"8"}, Mutation: "m",
	}
	data, err := Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"v":1,"changes":[{"router":"todos","key":"","op":"where","where":{"done":true}}],"recheck":["","7"],"disconnect":["8"],"mutation":"m"}`
	if string(data) != want {
		t.Errorf("written as\n%s\nwant\n%s", data, want)
	}
	if out, err := Decode(data); err != nil || len(out.Recheck) != 2 || out.Changes[0].Op != Bulk {
		t.Error(out, err)
	}
}
