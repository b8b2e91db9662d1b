package wire

import (
	"encoding/json"
	"slices"
	"strings"
)

// Ask is what a subscribe asks for, without what is the subscription's own: its id, and where its client was. Nobody may modify it: those that
// ask for the same share one.
type Ask struct {
	router, channel, order, where string
	include                       []string
	limit                         int
	count, capped                 bool
	// rare is the whole message when it has more than that, and is not shared.
	rare *Message
}

// AskOf returns what a subscribe asks for: known, if that is the same.
func AskOf(m *Message, known *Ask) *Ask {
	if m.Presence != nil || m.Keys != nil || m.Key != "" || m.Params != nil {
		rare := *m
		rare.Cursor, rare.Bound, rare.Tag = "", nil, ""
		return &Ask{rare: &rare}
	}
	if known != nil && known.is(m) {
		return known
	}
	return &Ask{
		router: strings.Clone(m.Router), channel: strings.Clone(m.Channel), order: strings.Clone(m.Order), where: string(m.Where),
		include: m.Include, limit: m.Limit, count: m.Count, capped: m.Capped,
	}
}

// is reports whether a message that is not rare asks for the same.
func (a *Ask) is(m *Message) bool {
	return a.rare == nil && a.router == m.Router && a.channel == m.Channel && a.order == m.Order && a.where == string(m.Where) &&
		slices.Equal(a.include, m.Include) && a.limit == m.Limit && a.count == m.Count && a.capped == m.Capped
}

// Shared reports whether others may ask for the same.
func (a *Ask) Shared() bool { return a.rare == nil }

// Message returns the subscribe of an id that asks for it from the beginning.
func (a *Ask) Message(id int64, origin *Origin) Message {
	if a.rare != nil {
		m := *a.rare
		m.ID, m.Origin = id, origin
		return m
	}
	m := Message{
		Type: Subscribe, ID: id, Router: a.router, Channel: a.channel, Order: a.order,
		Include: a.include, Limit: a.limit, Count: a.count, Capped: a.capped, Origin: origin,
	}
	if a.where != "" {
		m.Where = json.RawMessage(a.where)
	}
	return m
}
