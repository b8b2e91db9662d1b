package pusher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/swampline/live/internal/record"
)

// Messages are those of one of the hub's channels, or of a family of them.
//
// A message that is an object of two strings, "event" and "data", as transport/pusher has them, is an event of that name with that data. Any other is an event "message",
// whose data is the message as JSON.
type Messages struct {
	// Name is that of the hub's channel, or a prefix followed by "*", as of a live.Channel. Of several that fit, the one counts that fits closest.
	Name string
	// Channel is that at the service, with a "*" if Name has one: "chat:*" and "private-chat-*" lead from chat:7 to private-chat-7. Empty means
	// the same as Name, which must be in the service's alphabet then: letters, digits and "_-=@,.;". What stands for the "*" is escaped as that of [Rows] is.
	Channel string
	// Public permits a Channel to which anybody may subscribe.
	Public bool
}

// messages is a Messages that was compiled.
type messages struct {
	hub     pattern // of the hub
	channel pattern
}

func (m Messages) prepare() (*messages, error) {
	text := m.Channel
	if text == "" {
		text = m.Name
	}
	prepared := &messages{}
	prepared.hub.prefix, prepared.hub.family = strings.CutSuffix(m.Name, "*")
	if prepared.hub.prefix == "" {
		return nil, fmt.Errorf("channel %q: it names none of the hub's channels: say which, for the hub itself has some that are nobody's business", m.Name)
	}
	var err error
	if prepared.channel, err = parsePattern(text, m.Public); err != nil {
		return nil, fmt.Errorf("channel %s: %w", m.Name, err)
	}
	if prepared.channel.family != prepared.hub.family {
		return nil, fmt.Errorf("channel %s: only one of it and %q has a \"*\": both must, or neither", m.Name, text)
	}
	return prepared, nil
}

// covers reports whether it is for one of the hub's channels, and how closely.
func (m *messages) covers(name string) (rest string, closeness int, ok bool) {
	if !m.hub.family {
		return "", len(name) + 1, name == m.hub.prefix
	}
	rest, ok = strings.CutPrefix(name, m.hub.prefix)
	return rest, len(m.hub.prefix), ok
}

// eventOf returns what a message is at the service; ok is false when nobody wants it.
func eventOf(all []*messages, m record.Message) (e event, ok bool, err error) {
	var best *messages
	var rest string
	closest := -1
	for _, some := range all {
		if r, how, fits := some.covers(m.Channel); fits && how > closest {
			best, rest, closest = some, r, how
		}
	}
	if best == nil {
		return e, false, nil
	}
	name, err := best.channel.name(rest)
	if err == nil && best.channel.family && rest == "" {
		err = errors.New("nothing stands for the \"*\"")
	}
	if err != nil {
		return e, false, err
	}
	e = event{name: "message", channels: []string{name}, data: string(m.Data), short: `{"truncated":true}`, about: m.Channel}
	if named, data, ok := parseEvent(m.Data); ok {
		e.name, e.data = named, data
	}
	return e, true, nil
}

// longestEvent is how long the name of an event may be, in bytes.
const longestEvent = 200

// parseEvent reads a message that is an event.
func parseEvent(message []byte) (name, data string, ok bool) {
	var e struct {
		Event, Data *string
		UserID      json.RawMessage `json:"user_id"` // of whose client sent it, which a server cannot say
	}
	d := json.NewDecoder(bytes.NewReader(message))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Event == nil || e.Data == nil {
		return "", "", false
	}
	name = *e.Event
	reserved := strings.HasPrefix(name, "pusher:") || strings.HasPrefix(name, "pusher_internal:")
	return name, *e.Data, name != "" && len(name) <= longestEvent && !reserved
}
