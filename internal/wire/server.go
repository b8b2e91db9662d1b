package wire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/swampline/live/transport"
)

// Version is the version of the protocol that this package speaks.
const Version = 1

// Marshal is json.Marshal that leaves <, > and & as they are: what goes out is JSON, never HTML. It is always UTF-8,
// whatever a MarshalJSON returns, for a WebSocket breaks over anything else.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	data := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	return data, nil
}

// AppendString appends s as a JSON string.
func AppendString(b []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	quoted, _ := Marshal(s) // a string always marshals
	return append(b, quoted...)
}

// head begins a message.
func head(typ string) []byte {
	b := make([]byte, 0, 128)
	b = append(b, `{"type":"`...)
	b = append(b, typ...)
	return append(b, '"')
}

func member(b []byte, name, value string) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	return AppendString(b, value)
}

func number(b []byte, name string, value int64) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	return strconv.AppendInt(b, value, 10)
}

func raw(b []byte, name string, value []byte) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	return append(b, value...)
}

// Hello greets a new session.
func Hello(session string) *transport.Frame {
	b := number(head("hello"), "protocol", Version)
	return &transport.Frame{Type: "hello", Data: append(member(b, "session", session), '}'), Quiet: true}
}

// Listing is what a snapshot says. Members that are zero are left out.
type Listing struct {
	// ID is the subscription's; Query, how data messages name what it shares.
	ID            int64
	Query, Cursor string
	// Reason makes it a resync.
	Reason string
	// Tag names what the caller may see of a router; he sends it when he resumes.
	Tag string
	// Order is the effective order of the rows, which ends with the key.
	Order string
	// Limit is told when the client did not name it; More, in a window, whether rows are beyond it.
	Limit int
	More  *bool
	// Count is the number of rows, in place of them.
	Count *int64
	// Rows are joined JSON objects without the brackets; nil for none, as a channel has it.
	Rows []byte
	// Relations are joined members, whose values AppendRelation writes; nil when none were asked for.
	Relations []byte
}

// AppendRelation appends where the rows of a relation are; what is empty is left out. By is the key field of the router.
func AppendRelation(b []byte, router, through, field, key, by string) []byte {
	b = append(b, `{"router":`...)
	b = AppendString(b, router)
	if through != "" {
		b = member(b, "through", through)
	}
	if field != "" {
		b = member(b, "field", field)
	}
	if key != "" {
		b = member(member(b, "key", key), "by", by)
	}
	return append(b, '}')
}

// Snapshot answers a subscribe.
func Snapshot(l Listing) *transport.Frame {
	typ := "snapshot"
	if l.Reason != "" {
		typ = "resync"
	}
	b := head(typ)
	if l.ID != 0 {
		b = number(b, "id", l.ID)
	}
	if l.Query != "" {
		b = member(b, "query", l.Query)
	}
	b = member(b, "cursor", l.Cursor)
	if l.Reason != "" {
		b = member(b, "reason", l.Reason)
	}
	return &transport.Frame{Type: typ, Cursor: l.Cursor, Data: append(l.append(b), '}')}
}

// append appends what lists have wherever they stand.
func (l *Listing) append(b []byte) []byte {
	if l.Tag != "" {
		b = member(b, "tag", l.Tag)
	}
	if l.Order != "" {
		b = member(b, "order", l.Order)
	}
	if l.Limit != 0 {
		b = number(b, "limit", int64(l.Limit))
	}
	if l.More != nil {
		b = raw(b, "more", strconv.AppendBool(nil, *l.More))
	}
	if l.Count != nil {
		b = number(b, "count", *l.Count)
	}
	if l.Rows != nil {
		b = append(b, `,"rows":[`...)
		b = append(b, l.Rows...)
		b = append(b, ']')
	}
	if l.Relations != nil {
		b = append(b, `,"relations":{`...)
		b = append(b, l.Relations...)
		b = append(b, '}')
	}
	return b
}

// Resumed answers a subscribe whose cursor history covers.
func Resumed(id int64, query, cursor string) *transport.Frame {
	b := number(head("resumed"), "id", id)
	b = member(member(b, "query", query), "cursor", cursor)
	return &transport.Frame{Type: "resumed", Cursor: cursor, Data: append(b, '}'), Quiet: true}
}

// Change tells what one entry did to the rows of a query. Items are joined JSON objects without the brackets. More, in a
// window, makes it a fill: it says whether rows are beyond.
func Change(query, cursor string, more *bool, items ...[]byte) *transport.Frame {
	if more == nil {
		return data("change", "changes", query, cursor, nil, items)
	}
	f := data("change", "changes", query, cursor, raw(nil, "more", strconv.AppendBool(nil, *more)), items)
	f.More, f.Quiet = more, len(items) == 0
	return f
}

// Whole is a Change that tells all rows of a window: a client drops what it does not name.
func Whole(query, cursor string, more bool, items ...[]byte) *transport.Frame {
	further := raw(raw(nil, "more", strconv.AppendBool(nil, more)), "whole", []byte("true"))
	f := data("change", "changes", query, cursor, further, items)
	f.More, f.Whole = &more, true
	return f
}

// Count tells how many rows match a query.
func Count(query, cursor string, n int64) *transport.Frame {
	b := member(member(head("count"), "query", query), "cursor", cursor)
	return &transport.Frame{Type: "count", Cursor: cursor, Data: append(number(b, "count", n), '}')}
}

// ChannelMessage tells what one entry published on a channel.
func ChannelMessage(query, cursor string, items ...[]byte) *transport.Frame {
	return data("message", "messages", query, cursor, nil, items)
}

func data(typ, list, query, cursor string, further []byte, items [][]byte) *transport.Frame {
	size := len(query) + len(cursor) + len(further) + 64
	for _, item := range items {
		size += len(item) + 1
	}
	b := make([]byte, 0, size)
	b = append(b, `{"type":"`...)
	b = append(b, typ...)
	b = append(b, `","query":"`...)
	b = append(b, query...)
	b = append(b, `","cursor":"`...)
	b = append(b, cursor...)
	b = append(b, '"')
	b = append(b, further...)
	b = append(b, `,"`...)
	b = append(b, list...)
	b = append(b, `":[`...)
	from := len(b)
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, item...)
	}
	to := len(b)
	b = append(b, `]}`...)
	return &transport.Frame{Type: typ, Cursor: cursor, Data: b, Items: b[from:to:to]}
}

// Cursor moves the answered subscriptions of a session.
func Cursor(cursor string) *transport.Frame {
	return &transport.Frame{Type: "cursor", Cursor: cursor, Data: append(member(head("cursor"), "cursor", cursor), '}'), Quiet: true}
}

// Answer is what a call, publish or unsubscribe comes to.
type Answer struct {
	// Cursor is the position of the last change that it caused, or empty.
	Cursor string
	// Unsent says that it caused changes that are not on the log yet: then there is no cursor.
	Unsent bool
	// Row is the row of get, create and update.
	Row []byte
	// Listing is what list answers with, and create and update of many rows; nil for other verbs.
	Listing *Listing
	// Data is what a verb of the application's own returned, or an explanation, as JSON.
	Data []byte
	// Key and Version are those of Row.
	Key     string
	Version *int64
}

// Result answers a message that went well.
func Result(id int64, a Answer) *transport.Frame {
	b := number(head("result"), "id", id)
	if a.Cursor != "" {
		b = member(b, "cursor", a.Cursor)
	}
	if a.Row != nil {
		b = raw(b, "row", a.Row)
	}
	if a.Listing != nil {
		b = a.Listing.append(b)
	}
	if a.Data != nil {
		b = raw(b, "data", a.Data)
	}
	if a.Unsent {
		b = raw(b, "unsent", []byte("true"))
	}
	return &transport.Frame{Type: "result", Data: append(b, '}')}
}

// Error refuses a message; id 0 when it had none.
func Error(id int64, p *Problem) *transport.Frame { return refusal("error", id, p) }

// Closed ends a subscription.
func Closed(id int64, p *Problem) *transport.Frame { return refusal("closed", id, p) }

func refusal(typ string, id int64, p *Problem) *transport.Frame {
	b := head(typ)
	if id != 0 {
		b = number(b, "id", id)
	}
	problem := p.JSON()
	return &transport.Frame{Type: typ, Data: append(raw(b, "problem", problem), '}'), Problem: problem, Status: p.Status}
}

// Reconnect asks the client to come back after so many milliseconds. The problem, unless it is nil, says why it is sent away.
func Reconnect(after int64, p *Problem) *transport.Frame {
	b := number(head("reconnect"), "after", after)
	if p != nil {
		b = raw(b, "problem", p.JSON())
	}
	return &transport.Frame{Type: "reconnect", Data: append(b, '}')}
}

// Status tells whether the hub's broker can be reached.
func Status(degraded bool) *transport.Frame {
	return &transport.Frame{Type: "status", Data: append(raw(head("status"), "degraded", strconv.AppendBool(nil, degraded)), '}')}
}

// Pong answers ping.
func Pong(id int64) *transport.Frame {
	return &transport.Frame{Type: "pong", Data: append(number(head("pong"), "id", id), '}')}
}
