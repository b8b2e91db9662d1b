package pusher

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/swampline/live/internal/record"
)

// FuzzParseFrame: what a client sends is read or refused, and what is made of it for others is one JSON object without a newline.
func FuzzParseFrame(f *testing.F) {
	for _, seed := range []string{
		`{"event":"client-x","channel":"private-x","data":{"a":1}}`, `{"event":"client-x","channel":"private-x","data":"\ud800"}`, "{\"event\":\"client-x\",\"data\":[1,\n2]}",
		`{"event":"pusher:subscribe","data":"{\"channel\":\"x\"}"}`, `{"event":"pusher:ping"}`, `{"event":"pusher:signin","data":{"auth":"a:b","user_data":"{\"id\":7}"}}`, `{"EVENT":"x","event":"y"}`,
		`null`, `{"event":"x","data":"` + strings.Repeat("[", 99) + `"}`,
	} {
		f.Add([]byte(seed))
	}
	app := &App{ID: "1", Key: "k", Secret: "s"}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := parseFrame(data)
		if err != nil {
			return
		}
		var d subscribeData
		if frame.object(&d) == nil && d.ChannelData != nil {
			_, _ = (&connection{app: app}).personOf(d.ChannelData)
		}
		_, _, _ = readUser(frame.text())
		e := outgoing{name: frame.Event, data: frame.text(), user: "u", client: true, except: "1.2"}
		m := messageOf(app, "private-x", &e)
		entry, err := record.Encode(record.Entry{Messages: []record.Message{m}})
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		read, err := record.Decode(entry)
		if err != nil {
			t.Fatalf("%q on the log: %v", entry, err)
		}
		l, n := readMessage(&read.Messages[0])
		if !n.Client || n.Except != "1.2" {
			t.Fatalf("note %+v", n)
		}
		out := l.frame("private-x").Data
		var sent struct{ Event, Channel, Data string }
		if json.Unmarshal(out, &sent) != nil || strings.ContainsAny(string(out), "\r\n") || !utf8.Valid(out) || sent.Channel != "private-x" {
			t.Fatalf("%q became %q", data, out)
		}
		if checkEvent(frame.Event) == nil && (sent.Event != frame.Event || sent.Data != e.data) {
			t.Fatalf("%q became %q", data, out)
		}
	})
}
