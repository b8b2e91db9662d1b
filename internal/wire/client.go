package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/swampline/live/broker"
)

// Message is what a client sends: one of the types below, with the members that the type has.
type Message struct {
	Type    string          `json:"type"`
	ID      int64           `json:"id"`
	Router  string          `json:"router"`
	Channel string          `json:"channel"`
	Where   json.RawMessage `json:"where"`
	Order   string          `json:"order"`
	Cursor  string          `json:"cursor"`
	Verb    string          `json:"verb"`
	Key     string          `json:"key"`
	Version json.RawMessage `json:"version"`
	Data    json.RawMessage `json:"data"`
	// Base, of an update, holds the values that the writer saw of the fields that he writes: they make it a merge.
	Base     json.RawMessage `json:"base"`
	Mutation string          `json:"mutation"`
	Retry    string          `json:"retry"`
	// Include names relations that the answer is to tell of.
	Include []string `json:"include"`
	// Limit makes a window of a list: its first rows. Bound, with a cursor, says up to where the client holds them: the values
	// of the effective order's fields. Count asks for the number of rows alone.
	Limit int               `json:"limit"`
	Bound []json.RawMessage `json:"bound"`
	Count bool              `json:"count"`
	// Tag, with a cursor, names the rows that the client was sent before: if it may see others now, it is told all.
	Tag string `json:"tag"`
	// Presence asks who is at the object of Key, at those of Keys, or on the channel.
	Presence *Presence `json:"presence"`
	Keys     []string  `json:"keys"`

	// Capped says that the limit is not the client's but the router's, because more rows matched than it lists.
	Capped bool `json:"-"`
	// Params is the filter of a request whose URL names the router, in place of Where: its values are text.
	Params url.Values `json:"-"`
	// Origin is the subscription that the message asked for; nil for other messages.
	Origin *Origin `json:"-"`
}

// The types of a client's messages.
const (
	Subscribe   = "subscribe"
	Unsubscribe = "unsubscribe"
	Publish     = "publish"
	Call        = "call"
	Ping        = "ping"
	Explain     = "explain"
)

// MaxID is the largest id: the largest integer that JavaScript holds exactly.
const MaxID = 1<<53 - 1

// Parse reads one message, which may be nested so deep. When it fails, the message that it returns holds the id if there was one, for the
// answer.
func Parse(line []byte, depth int) (Message, *Problem) {
	var m Message
	if Deeper(line, depth) {
		return Message{ID: idOf(line)}, TooDeep(depth)
	}
	if !utf8.Valid(line) { // data would travel on to other clients, whose WebSockets would break
		return Message{ID: idOf(line)}, malformed("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Message{ID: idOf(line)}, malformed(sentence(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return Message{ID: m.ID}, malformed("want one JSON object a line")
	}
	if p := exact(line); p != nil {
		return Message{ID: idOf(line)}, p
	}
	if m.ID <= 0 || m.ID > MaxID {
		return Message{}, malformed("want an id, a positive integer").Field("id", "want a positive integer")
	}
	if p := m.check(); p != nil {
		return Message{ID: m.ID}, p
	}
	return m, nil
}

// check refuses members that the message's type does not have, and the lack of those that it must have.
func (m *Message) check() *Problem {
	var allowed string
	switch m.Type {
	case Subscribe:
		allowed = " router where order limit bound cursor tag include "
		if m.Count {
			allowed = " router where count cursor tag "
		}
		switch {
		case m.Presence != nil:
			allowed = " router channel key keys presence order limit bound count cursor tag "
			if m.Channel != "" {
				allowed = " channel presence order limit bound count cursor tag "
			}
		case m.Channel != "":
			allowed = " channel cursor "
		}
		if m.Router == "" && m.Channel == "" {
			return malformed("subscribe: want a router or a channel")
		}
	case Unsubscribe, Ping:
		allowed = " "
	case Publish:
		allowed = " channel data mutation retry "
		if m.Channel == "" || m.Data == nil {
			return malformed("publish: want a channel and data")
		}
	case Call:
		allowed = " router verb where order limit key version data mutation retry "
		if m.Router == "" || m.Verb == "" {
			return malformed("call: want a router and a verb")
		}
		switch m.Verb {
		case "list":
			allowed += "include "
		case "update":
			allowed += "base "
		}
	case Explain: // whether it exists, and what it needs, is the hub's affair
		allowed = " router where key "
	case "":
		return malformed("want a type")
	default:
		return UnknownType(m.Type)
	}
	for name, set := range map[string]bool{
		"router": m.Router != "", "channel": m.Channel != "", "where": m.Where != nil, "order": m.Order != "",
		"cursor": m.Cursor != "", "verb": m.Verb != "", "key": m.Key != "", "version": m.Version != nil,
		"data": m.Data != nil, "mutation": m.Mutation != "", "include": m.Include != nil, "retry": m.Retry != "",
		"presence": m.Presence != nil, "keys": m.Keys != nil, "tag": m.Tag != "", "limit": m.Limit != 0, "bound": m.Bound != nil, "count": m.Count,
		"base": m.Base != nil,
	} {
		if set && !strings.Contains(allowed, " "+name+" ") {
			return malformed(fmt.Sprintf("%s has no member %q here", m.Type, name))
		}
	}
	if m.Limit < 0 {
		return malformed("limit: want a positive number").Field("limit", "want a positive number")
	}
	if m.Bound != nil && (m.Cursor == "" || m.Limit == 0) {
		return malformed("bound: it goes with a cursor and a limit").Field("bound", "goes with a cursor and a limit")
	}
	if m.Presence != nil {
		if p := m.checkPresence(); p != nil {
			return p
		}
	}
	if len(m.Mutation) > 64 {
		return malformed("mutation: want a UUID").Field("mutation", "want a UUID")
	}
	return m.checkNames()
}

// UnknownType refuses a type that does not exist.
func UnknownType(typ string) *Problem {
	return NewProblem(http.StatusBadRequest, "unknown_type",
		fmt.Sprintf("no message type %q (want subscribe, unsubscribe, publish, call or ping)", clip(typ)))
}

// After returns the position of the message's cursor, and whether it has one.
func (m *Message) After() (broker.Position, bool, *Problem) { return position("cursor", m.Cursor) }

// Retried returns the position at which the message was sent first, and whether it says that it was sent before.
func (m *Message) Retried() (broker.Position, bool, *Problem) { return position("retry", m.Retry) }

func position(member, cursor string) (broker.Position, bool, *Problem) {
	if cursor == "" {
		return broker.Position{}, false, nil
	}
	p, err := broker.ParsePosition(cursor)
	if err != nil {
		return p, false, NewProblem(http.StatusBadRequest, "malformed_cursor",
			fmt.Sprintf("%q is no cursor", clip(cursor))).Field(member, "want a cursor that the server gave")
	}
	return p, true, nil
}

// exact refuses what encoding/json lets pass: members in another case, and members that come twice.
func exact(line []byte) *Problem { return exactly(line, names) }

// exactly refuses members that are none of the names.
func exactly(line []byte, names string) *Problem {
	d := json.NewDecoder(bytes.NewReader(line))
	if brace, _ := d.Token(); brace != json.Delim('{') {
		return malformed("want a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		token, _ := d.Token()
		name, _ := token.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return malformed(sentence(err))
		}
		switch {
		case !strings.Contains(names, " "+name+" "):
			return malformed(fmt.Sprintf("unknown field %q", clip(name)))
		case seen[name]:
			return malformed(fmt.Sprintf("the member %q comes twice", name))
		}
		seen[name] = true
	}
	return nil
}

// names are the members that a message can have.
const names = " tag type id router channel where order limit bound count cursor verb key version data base mutation include retry presence keys "

func malformed(detail string) *Problem {
	return NewProblem(http.StatusBadRequest, "malformed_message", detail)
}

// idOf finds the id of a message that is otherwise wrong.
func idOf(line []byte) int64 {
	var m struct {
		ID int64 `json:"id"`
	}
	if json.Unmarshal(line, &m) != nil || m.ID < 0 || m.ID > MaxID {
		return 0
	}
	return m.ID
}

// sentence words an error of encoding/json for people.
func sentence(err error) string {
	switch e := err.(type) {
	case *json.UnmarshalTypeError:
		if e.Field == "" {
			return "want a JSON object, got " + e.Value
		}
		return fmt.Sprintf("%s: got %s", e.Field, e.Value)
	case *json.SyntaxError:
		return fmt.Sprintf("not JSON at byte %d", e.Offset)
	}
	return clip(strings.TrimPrefix(err.Error(), "json: "))
}

// clip shortens what came from a client before it is quoted.
func clip(s string) string {
	const limit = 40
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
