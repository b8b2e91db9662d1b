package pusher

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// Event is what Go code publishes for Pusher's clients, with live.Hub.Publish. Clients of this module's own protocol are told it as it is on the log:
//
//	hub.Publish(ctx, "orders", pusher.Event{Name: "shipped", Data: order})
//	{"event":"shipped","data":"{\"id\":7}"}
type Event struct {
	// Name is what clients bind to. It may not be empty, have more than 200 characters, or begin with "pusher:" or "pusher_internal:".
	Name string
	// Data is what encoding/json can encode.
	Data any
}

// MarshalJSON is the event as it is on the log: the data is a string that holds its JSON.
func (e Event) MarshalJSON() ([]byte, error) {
	if err := checkEvent(e.Name); err != nil {
		return nil, fmt.Errorf("pusher: %w", err)
	}
	data, err := wire.Marshal(e.Data)
	if err != nil {
		return nil, fmt.Errorf("pusher: event %s: %w", e.Name, err)
	}
	return appendEvent(nil, e.Name, string(data), ""), nil
}

// checkEvent refuses the name of an event that nobody may send.
func checkEvent(name string) error {
	switch {
	case name == "" || utf8.RuneCountInString(name) > longestEvent:
		return fmt.Errorf("the name of an event has %d characters: want 1 to %d", utf8.RuneCountInString(name), longestEvent)
	case reserved(name):
		return fmt.Errorf("the event %q is the protocol's own: give it another name", name)
	}
	return nil
}

func reserved(name string) bool {
	return bytes.HasPrefix([]byte(name), []byte("pusher:")) || bytes.HasPrefix([]byte(name), []byte("pusher_internal:"))
}

// appendEvent appends an event as it is on the log. User is who sent it, empty for nobody in particular.
func appendEvent(b []byte, name, data, user string) []byte {
	b = wire.AppendString(append(b, `{"event":`...), name)
	b = wire.AppendString(append(b, `,"data":`...), data)
	if user != "" {
		b = wire.AppendString(append(b, `,"user_id":`...), user)
	}
	return append(b, '}')
}

// note is what a message on the log says for other nodes alone.
type note struct {
	// Except is the socket id of a connection that is not told.
	Except string `json:"except,omitempty"`
	// Client says that a client sent it.
	Client bool `json:"client,omitempty"`
}

// messageOf is an event on one channel of an app, as it goes on the log.
func messageOf(app *App, channel string, e *outgoing) record.Message {
	m := record.Message{Channel: hubChannel(app, channel), Data: appendEvent(nil, e.name, e.data, e.user)}
	if e.except != "" || e.client {
		m.Note, _ = json.Marshal(note{Except: e.except, Client: e.client}) // of texts: it does not fail
	}
	return m
}

// logged is a message of the log as Pusher's clients see it: its parts are JSON.
type logged struct {
	event, data, user json.RawMessage
}

// plainEvent is what a value that is no event comes to Pusher's clients as.
const plainEvent = "message"

// readMessage reads a message of the log. What Go code published as a plain value is an event, too, and so is what pretends to be one of the
// protocol's own. Who sent it is taken from what a client sent to a node alone.
func readMessage(m *record.Message) (l logged, n note) {
	if m.Note != nil && json.Unmarshal(m.Note, &n) != nil {
		n = note{}
	}
	var e struct {
		Event json.RawMessage `json:"event"`
		Data  json.RawMessage `json:"data"`
		User  json.RawMessage `json:"user_id"`
	}
	d := json.NewDecoder(bytes.NewReader(m.Data))
	d.DisallowUnknownFields()
	var name string
	if d.Decode(&e) != nil || json.Unmarshal(e.Event, &name) != nil || checkEvent(name) != nil || !isString(e.Data) || e.User != nil && !isString(e.User) {
		return logged{event: json.RawMessage(`"` + plainEvent + `"`), data: wire.AppendString(nil, string(m.Data))}, n
	}
	if !n.Client {
		e.User = nil
	}
	return logged{e.Event, e.Data, e.User}, n
}

func isString(data json.RawMessage) bool { return len(data) > 0 && data[0] == '"' }

// frame is what a channel's subscribers are sent.
func (l logged) frame(channel string) *transport.Frame {
	b := make([]byte, 0, 64+len(l.event)+len(channel)+len(l.data)+len(l.user))
	b = append(append(b, `{"event":`...), l.event...)
	b = wire.AppendString(append(b, `,"channel":`...), channel)
	b = append(append(b, `,"data":`...), l.data...)
	if l.user != nil {
		b = append(append(b, `,"user_id":`...), l.user...)
	}
	return framed(append(b, '}'))
}

// told is what a delivery on a channel is to the sessions that follow it.
type told struct {
	frames []*transport.Frame
	except []string // the socket id that is not told, by frame; nil when all are told everything
}

// translated returns what a delivery is to those who call the channel by a name, made once for all of them.
func translated(channel string, d *livequery.Delivery) *told {
	return d.Made(channel, func() any {
		t := &told{}
		for i, m := range d.Messages() {
			l, n := readMessage(m)
			t.frames = append(t.frames, l.frame(channel))
			if n.Except != "" {
				if t.except == nil {
					t.except = make([]string, len(d.Messages()))
				}
				t.except[i] = n.Except
			}
		}
		return t
	}).(*told)
}

// to returns the frames for a connection: nearly always those of all.
func (t *told) to(socket string) []*transport.Frame {
	if t.except == nil {
		return t.frames
	}
	var frames []*transport.Frame
	for i, f := range t.frames {
		if t.except[i] != socket {
			frames = append(frames, f)
		}
	}
	return frames
}
