// Package mirror is a client as docs/protocol.md describes it, for tests: it holds the rows of its subscriptions by the
// cursor rule and the version rule, and says what breaks them.
package mirror

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// Client holds what one connected client was told.
type Client struct {
	// Feeds are its subscriptions by id.
	Feeds map[int64]*Feed
	// Answers are the messages that answer others than subscriptions, in order.
	Answers []Message
}

// Feed is one subscription.
type Feed struct {
	Query, Cursor string
	// Tag is sent with the cursor.
	Tag      string
	Answered bool
	Window
	// Count is what a subscription to a number was told.
	Count *int64
	Rows  map[string]Row
	// Messages are those of a channel.
	Messages []string
	// Resyncs are the reasons of its resyncs.
	Resyncs []string
	// Applied counts the changes and messages that were taken, Ignored those that had been seen.
	Applied, Ignored int
	// Ops are the changes that meant something, as "update 7"; Changes are the same in full.
	Ops     []string
	Changes []Change
	// Ended is the problem with which it was refused or closed.
	Ended json.RawMessage
}

// Row is one row.
type Row struct {
	Key     string                     `json:"key"`
	Version json.RawMessage            `json:"version"`
	Fields  map[string]json.RawMessage `json:"fields"`
}

// Change is what happened to one row: what came, and the row as the feed held it afterwards; of one that went, before.
type Change struct {
	Row
	Op, Mutation string
	// By is who made the change, nil when that is not told.
	By json.RawMessage
	// At is the row's place in a window, nil when it is not told.
	At   *int
	Held Row `json:"-"`
}

// Message is one message of the server's.
type Message struct {
	Type, Query, Cursor, Reason string
	Tag                         string
	ID                          int64
	Rows                        []Row
	Order                       string
	Limit                       int
	More                        *bool
	Whole                       bool
	Count                       *int64
	Changes                     []Change
	Messages                    []json.RawMessage
	Problem                     json.RawMessage
	Row                         *Row
}

// New returns a client without subscriptions.
func New() *Client { return &Client{Feeds: map[int64]*Feed{}} }

// Receive takes one message. The error says what the server did wrong.
func (c *Client) Receive(data []byte) error {
	m, err := Decode(data)
	if err != nil {
		return err
	}
	feed := c.Feeds[m.ID]
	switch m.Type {
	case "snapshot", "resync", "resumed":
		if feed == nil {
			return nil // unsubscribed meanwhile
		}
		return feed.answer(m)
	case "error", "closed":
		if feed != nil && (m.Type == "closed") == feed.Answered {
			feed.Ended = m.Problem
			delete(c.Feeds, m.ID)
		}
	case "change", "message", "count":
		for _, f := range c.Feeds {
			if f.Answered && f.Query == m.Query {
				if _, err := f.Take(m); err != nil {
					return err
				}
			}
		}
		return nil
	case "cursor":
		for _, f := range c.Feeds {
			if f.Answered {
				_, _ = f.Take(m)
			}
		}
		return nil
	}
	c.Answers = append(c.Answers, m)
	return nil
}

// Decode reads one message.
func Decode(data []byte) (Message, error) {
	var m Message
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&m); err != nil || bytes.ContainsAny(data, "\n") {
		return m, fmt.Errorf("no message: %q: %v", data, err)
	}
	return m, nil
}

// answer takes the answer to a subscribe, and checks that there is one.
func (f *Feed) answer(m Message) error {
	switch {
	case m.Type == "resumed" && (f.Answered || m.Cursor != f.Cursor):
		return fmt.Errorf("resumed at %s, the cursor is %s (answered: %v)", m.Cursor, f.Cursor, f.Answered)
	case m.Type == "snapshot" && f.Answered:
		return fmt.Errorf("a second snapshot without a reason")
	}
	_, err := f.Take(m)
	return err
}

// Take takes a message that is for this feed, by the cursor rule and the version rule, whatever connection it came over: that
// it was asked for is the caller's to check. It reports false for what the feed has seen.
func (f *Feed) Take(m Message) (news bool, err error) {
	switch m.Type {
	case "resync":
		if m.Reason == "" {
			return false, fmt.Errorf("a resync without a reason")
		}
		f.Resyncs = append(f.Resyncs, m.Reason)
		return true, f.replace(m)
	case "snapshot":
		return true, f.replace(m)
	case "resumed":
		f.Answered, f.Query = true, m.Query
		return true, nil
	case "cursor":
		if news = After(m.Cursor, f.Cursor); news {
			f.Cursor = m.Cursor
		}
		return news, nil
	}
	return f.data(m)
}

// replace takes a snapshot.
func (f *Feed) replace(m Message) error {
	f.Answered, f.Query, f.Cursor = true, m.Query, m.Cursor
	f.Rows = map[string]Row{}
	for _, r := range m.Rows {
		if _, twice := f.Rows[r.Key]; twice {
			return fmt.Errorf("row %s comes twice", r.Key)
		}
		f.Rows[r.Key] = r
	}
	f.Order, f.Count, f.Tag = m.Order, m.Count, m.Tag
	if m.Limit != 0 {
		f.Limit = m.Limit
	}
	f.settle(true, m.More)
	return nil
}

func (f *Feed) data(m Message) (news bool, err error) {
	fill := (m.More != nil || m.Count != nil) && !After(f.Cursor, m.Cursor)
	if !After(m.Cursor, f.Cursor) && !fill {
		f.Ignored++
		return false, nil
	}
	f.Cursor = m.Cursor
	f.Applied++
	for _, data := range m.Messages {
		f.Messages = append(f.Messages, string(data))
	}
	for _, change := range m.Changes {
		if err := f.apply(change); err != nil {
			return true, err
		}
	}
	if m.Count != nil {
		f.Count = m.Count
	}
	if m.Whole {
		f.keep(m)
	}
	f.settle(m.More != nil, m.More)
	if f.CheckPlaces {
		return true, f.checkPlaces(m)
	}
	return true, nil
}

// keep drops the rows that a message does not name that tells all there are.
func (f *Feed) keep(m Message) {
	named := map[string]bool{}
	for _, c := range m.Changes {
		named[c.Key] = named[c.Key] || c.Op != "leave" && c.Op != "delete"
	}
	maps.DeleteFunc(f.Rows, func(key string, _ Row) bool { return !named[key] })
}

func (f *Feed) apply(change Change) error {
	r := change.Row
	held, ok := f.Rows[r.Key]
	if ok && older(r.Version, held.Version) {
		return nil
	}
	switch change.Op {
	case "create", "enter":
		f.Rows[r.Key] = r
	case "update":
		if !ok {
			return nil
		}
		merged := Row{Key: r.Key, Version: r.Version, Fields: map[string]json.RawMessage{}}
		for _, fields := range []map[string]json.RawMessage{held.Fields, r.Fields} {
			for name, value := range fields {
				merged.Fields[name] = value
			}
		}
		f.Rows[r.Key] = merged
	case "leave", "delete":
		if !ok {
			return nil
		}
		delete(f.Rows, r.Key)
	default:
		return fmt.Errorf("unknown op %q", change.Op)
	}
	if now, here := f.Rows[r.Key]; here {
		held = now
	}
	change.Held = held
	f.Ops = append(f.Ops, change.Op+" "+r.Key)
	f.Changes = append(f.Changes, change)
	return nil
}

// After reports whether a cursor lies after another: in the same epoch.
func After(a, b string) bool {
	epoch, _, _ := strings.Cut(a, ".")
	other, _, _ := strings.Cut(b, ".")
	return epoch == other && a > b
}

// older reports whether a version is known to be before another.
func older(a, b json.RawMessage) bool {
	var m, n int64
	if json.Unmarshal(a, &m) == nil && json.Unmarshal(b, &n) == nil {
		return m < n
	}
	var s, t string
	return json.Unmarshal(a, &s) == nil && json.Unmarshal(b, &t) == nil && After(t, s)
}
