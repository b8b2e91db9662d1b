package record

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// written are entries as Encode writes them.
var written = []Entry{
	{},
	{Recheck: []string{"ann", "bob"}, Disconnect: []string{"eve"}, Mutation: "m", By: "b", Sent: math.MaxInt64, ID: strings.Repeat("A", 26)},
	{Changes: []Change{
		{Router: "todos", Key: "1", Op: Create, Version: version(math.MinInt64), Now: Fields{"id": json.RawMessage("1"), "title": json.RawMessage(`"a \u00e9 \"b\" ü \\"`)}},
		{Router: "todos", Key: "\u00fc", Op: Update, Now: Fields{"a": json.RawMessage("-1.5e+7"), "b": json.RawMessage("null"), "c": json.RawMessage(`{"x":[1,{},[],true,false]}`)},
			Was: Fields{"a": json.RawMessage("0"), "c": json.RawMessage("{}")}, Changed: []string{"a", "c"}, Mutation: "m", By: json.RawMessage(`{"name":"ann"}`)},
		{Router: "todos", Key: "2", Op: Put, Now: Fields{}, Changed: []string{}},
		{Router: "todos", Key: "3", Op: Delete, Was: Fields{"z": json.RawMessage("1"), "a": json.RawMessage("2")}},
		{Router: "todos", Op: Bulk, Where: json.RawMessage(`{"list__in":[1,2]}`)},
	}},
	{Messages: []Message{{Channel: "c", Data: json.RawMessage("[1e5,0.25,-0]")}, {Channel: "d", Data: json.RawMessage("null")}}},
	{Messages: []Message{{Channel: "c", Data: json.RawMessage("1"), Note: json.RawMessage(`{"except":"1.2"}`)}, {Channel: "d", Data: json.RawMessage("2")}}},
}

// TestScanReadsWhatEncodeWrites: else every entry would go the long way.
func TestScanReadsWhatEncodeWrites(t *testing.T) {
	for _, e := range written {
		data, err := Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := scan(data); !ok {
			t.Errorf("not scanned: %s", data)
		}
		agree(t, data)
	}
	for _, text := range []string{ // and nothing that JSON has not
		``, `{`, `{"v":1`, `{"v":01}`, `{"v":1,}`, `{,"v":1}`, `{"v":1}}`, `{"v" :1}`, `{"V":1}`, `{"v":1,"v":1}`, `{"v":1.0}`, `{"v":99999999999999999999}`,
		`{"v":1,"messages":[{"channel":"c","data":}]}`, `{"v":1,"messages":[{"channel":"c","data":[1,]}]}`, `{"v":1,"messages":[{"channel":"c","data":"\x"}]}`,
		`{"v":1,"messages":[{"channel":"c","data":"\u12g4"}]}`, `{"v":1,"messages":[{"channel":"c","data":1.}]}`, `{"v":1,"messages":[{"channel":"c","data":-}]}`,
		`{"v":1,"messages":[{"channel":"c","data":1e}]}`, `{"v":1,"messages":[{"channel":"c","data":tru}]}`, "{\"v\":1,\"by\":\"a\x01\"}", `{"v":1,"by":"a`, `{"v":1,"by":null}`,
		`{"v":1,"messages":[{"channel":"c","data":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}]}`, `{"v":1,"changes":[{"op":"x"}]}`,
		`{"v":1,"messages":[{"channel":"c","data":1,"note":1,"note":2}]}`, `{"v":1,"messages":[{"channel":"c","data":1,"note":}]}`,
	} {
		if e, ok := scan([]byte(text)); ok {
			t.Errorf("%s was scanned as %+v", text, e)
		}
	}
}

// FuzzScan holds what is scanned against what encoding/json makes of it.
func FuzzScan(f *testing.F) {
	for _, e := range written {
		data, err := Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(agree)
}

func agree(t *testing.T, data []byte) {
	e, ok := scan(data)
	if !ok {
		return
	}
	want, err := parse(data)
	if err != nil {
		t.Fatalf("%q: %v, but it was scanned as %+v", data, err, e)
	}
	// encoding/json puts a sign in the place of what is no UTF-8, which Decode refuses before.
	if strings.ToValidUTF8(string(data), "") == string(data) && !reflect.DeepEqual(e, want) {
		t.Errorf("%q\nscanned %+v\nwant    %+v", data, e, want)
	}
}

// TestAnEntryIsHeldOnce: the application's values stand in the data, and nobody who appends to one writes over the next.
func TestAnEntryIsHeldOnce(t *testing.T) {
	data, err := Encode(written[2])
	if err != nil {
		t.Fatal(err)
	}
	e, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	within := func(raw json.RawMessage) {
		t.Helper()
		at, from := uintptr(unsafe.Pointer(&raw[0])), uintptr(unsafe.Pointer(&data[0]))
		if at < from || at >= from+uintptr(len(data)) || cap(raw) != len(raw) {
			t.Errorf("%s is a copy, or may grow", raw)
		}
	}
	for _, c := range e.Changes {
		for _, fields := range []Fields{c.Now, c.Was} {
			for _, raw := range fields {
				within(raw)
			}
		}
	}
	within(e.Changes[1].By)
	within(e.Changes[4].Where)
	if n := testing.AllocsPerRun(100, func() { _, _ = Decode(data) }); n > 40 {
		t.Errorf("%v allocations", n)
	}
}
