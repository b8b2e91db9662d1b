package sse

import (
	"strings"
	"testing"

	"github.com/swampline/live/transport"
)

// dispatched is what an EventSource hands to the page.
type dispatched struct{ kind, id, data string }

// parse reads a stream as the WHATWG has it (HTML, section 9.2.6): lines end with CR LF, LF or CR, an empty one dispatches.
func parse(stream string) (events []dispatched) {
	var e dispatched
	var data []string
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n"), "\n")
	for _, line := range lines[:len(lines)-1] { // what no line end follows is not there yet
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if data != nil {
				e.data = strings.Join(data, "\n")
				events = append(events, e)
			}
			e.kind, data = "", nil // the id stays
		case name == "event":
			e.kind = value
		case name == "data":
			data = append(data, value)
		case name == "id" && !strings.Contains(value, "\x00"):
			e.id = value
		}
	}
	return events
}

// checkEvent wants of a frame, whatever is in it, that it comes out as one event, and as itself.
func checkEvent(t *testing.T, kind, cursor, tag, data string) {
	t.Helper()
	var b []byte
	b = event(b, &transport.Frame{Type: "hello", Data: []byte("{}")}, "")
	b = event(b, &transport.Frame{Type: kind, Cursor: cursor, Data: []byte(data)}, tag)
	b = event(b, &transport.Frame{Type: "pong", Data: []byte("{}")}, "")
	events := parse(string(b))
	word := func(s string) string {
		if end := strings.IndexAny(s, "\r\n\x00"); end >= 0 {
			return s[:end]
		}
		return s
	}
	id := ""
	if cursor != "" {
		id = cursor
		if tag != "" {
			id += "~" + tag
		}
		id = word(id)
	}
	lines := strings.ReplaceAll(strings.ReplaceAll(data, "\r\n", "\n"), "\r", "\n")
	want := []dispatched{{"hello", "", "{}"}, {word(kind), id, lines}, {"pong", id, "{}"}}
	if len(events) != 3 || events[0] != want[0] || events[1] != want[1] || events[2] != want[2] {
		t.Fatalf("got  %q\nwant %q\nfrom %q", events, want, string(b))
	}
}

var forgeries = []struct{ kind, cursor, tag, data string }{
	{"change", "e.7", "tag", `{"a":1}`},
	{"change", "e.7", "", "{\n\nevent: forged\ndata: {}\n\n}"},
	{"change", "e.7", "", "{\r\rid: 9\r}"},
	{"change", "e.7", "", "{\r\n\r\n}"},
	{"change\ndata: forged", "e.7", "", "{}"},
	{"change", "e.7\n\ndata: forged\n\n", "x\rretry: 1", "{}"},
	{"change", "e.7\x00", "", "{}"},
	{"change", "", "x", "\u2028event: forged\u2029\u0085\v\f"},
	{"", " ", " ", " leading"},
	{"change", "e.7", "", "\n"},
	{"change", "e.7", "", ""},
}

func TestEventsCannotBeForged(t *testing.T) {
	for _, f := range forgeries {
		checkEvent(t, f.kind, f.cursor, f.tag, f.data)
	}
}

func FuzzEvent(f *testing.F) {
	for _, s := range forgeries {
		f.Add(s.kind, s.cursor, s.tag, s.data)
	}
	f.Fuzz(checkEvent)
}
