package transporttest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/swampline/live/internal/mirror"
)

// Message is what the server said, decoded. Members that its type does not have are zero.
type Message struct {
	Type     string
	ID       int64
	Query    string
	Cursor   string
	Reason   string
	Session  string
	Rows     []Row
	Row      *Row
	Changes  []Change
	Messages []json.RawMessage
	Problem  *Problem
	After    int
	Degraded bool
	// Order, Limit and More are what is told of a window, Count the number of rows.
	Tag   string
	Order string
	Limit int
	More  *bool
	Count *int64

	// For are the ids of the client's subscriptions for which a change or message is news.
	For []int64 `json:"-"`
	// Raw is the message as it came.
	Raw string `json:"-"`

	// Connection numbers the sessions of a client: the names of queries and what was answered hold for one. 0 is an answer to
	// a request of its own.
	Connection int `json:"-"`

	// seen says that the client was to ignore it.
	seen bool
}

// Row is one row.
type Row struct {
	Key     string
	Version json.RawMessage
	Fields  map[string]any
}

// Change is what happened to one row.
type Change struct {
	Op       string
	Key      string
	Version  json.RawMessage
	Fields   map[string]any
	Mutation string
	// By is who made the change, if the server says.
	By json.RawMessage
}

// Problem is an error as clients see it.
type Problem struct {
	Title  string
	Status int
	Code   string
	Detail string
	Errors map[string][]string
}

// after reports whether a cursor follows another, or cannot be compared with it.
func after(cursor, other string) bool {
	a, _, _ := strings.Cut(cursor, ".")
	b, _, _ := strings.Cut(other, ".")
	return a != b || cursor > other
}

// ledger is the client's half of the cursor rule: its subscriptions, and where each is.
type ledger struct {
	subscriptions []*subscription
	connection    int
	queries       map[string][]*subscription
}

type subscription struct {
	id      int64
	message map[string]json.RawMessage // as the test sent it
	cursor  string
	known   bool // was answered at some time
	current bool // was answered on this connection
	tag     string
	// window holds the rows of a subscription with a limit: how far they reach must be told when it continues.
	window *mirror.Client
}

// subscribe notes a message. It reports false if that is not a subscribe that can be kept.
func (l *ledger) subscribe(raw string) bool {
	var head struct {
		Type   string
		ID     int64
		Cursor string
		Limit  int
	}
	var message map[string]json.RawMessage
	if json.Unmarshal([]byte(raw), &head) != nil || json.Unmarshal([]byte(raw), &message) != nil {
		return false
	}
	if head.Type != "subscribe" || head.ID <= 0 || l.find(head.ID) != nil {
		return false
	}
	s := &subscription{id: head.ID, message: message, cursor: head.Cursor}
	if head.Limit > 0 && head.Cursor == "" {
		s.follow(head.Limit)
	}
	l.subscriptions = append(l.subscriptions, s)
	return true
}

// follow keeps the rows of a window.
func (s *subscription) follow(limit int) {
	s.window = mirror.New()
	feed := &mirror.Feed{}
	feed.Limit = limit
	s.window.Feeds[s.id] = feed
	s.message["limit"], _ = json.Marshal(limit)
}

// take applies a message to the rows of a window. The error says what the server did wrong.
func (s *subscription) take(m *Message) error {
	if s.window == nil && m.Limit > 0 && s.message != nil {
		s.follow(m.Limit)
	}
	if s.window == nil {
		return nil
	}
	if feed := s.window.Feeds[s.id]; feed != nil && m.Type == "resumed" {
		feed.Answered = false
	}
	return s.window.Receive([]byte(m.Raw))
}

// unsubscribe notes a message. It reports false if that is no unsubscribe of a subscription.
func (l *ledger) unsubscribe(raw string) (id int64, ok bool) {
	var head struct {
		Type string
		ID   int64
	}
	if json.Unmarshal([]byte(raw), &head) != nil || head.Type != "unsubscribe" || l.find(head.ID) == nil {
		return 0, false
	}
	l.remove(head.ID)
	return head.ID, true
}

func (l *ledger) find(id int64) *subscription {
	for _, s := range l.subscriptions {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (l *ledger) remove(id int64) {
	l.subscriptions = slices.DeleteFunc(l.subscriptions, func(s *subscription) bool { return s.id == id })
	for query, members := range l.queries {
		l.queries[query] = slices.DeleteFunc(members, func(s *subscription) bool { return s.id == id })
	}
}

// apply moves the subscriptions, and notes on the message what it is for. The error says what the server did wrong to a window.
func (l *ledger) apply(m *Message) (err error) {
	if m.Connection == 0 {
		return nil
	}
	if m.Connection != l.connection || l.queries == nil {
		l.connection, l.queries = m.Connection, map[string][]*subscription{}
		for _, s := range l.subscriptions {
			s.current = false
		}
	}
	switch m.Type {
	case "snapshot", "resync", "resumed":
		err = l.answer(m)
	case "change", "message", "count":
		m.For = nil
		for _, s := range l.queries[m.Query] {
			fill := (m.More != nil || m.Count != nil) && m.Cursor == s.cursor
			if after(m.Cursor, s.cursor) || fill {
				s.cursor, m.For = m.Cursor, append(m.For, s.id)
				err = cmp.Or(err, s.take(m))
			}
		}
		m.seen = len(m.For) == 0
	case "cursor":
		for _, s := range l.subscriptions {
			if s.current && after(m.Cursor, s.cursor) {
				s.cursor = m.Cursor
				err = cmp.Or(err, s.take(m))
			}
		}
	case "error", "closed":
		if s := l.find(m.ID); s != nil && (m.Type == "closed" || !s.current) {
			l.remove(m.ID)
		}
	}
	return err
}

// answer takes what the server says to a subscribe. That one goes on as before, on the next poll, is no news. A snapshot that nobody
// asked for answers the subscription that was made by the URL of a single router.
func (l *ledger) answer(m *Message) error {
	s := l.find(m.ID)
	if s == nil {
		s = &subscription{id: m.ID}
		l.subscriptions = append(l.subscriptions, s)
	}
	if !slices.Contains(l.queries[m.Query], s) { // a resync may be of another query than before: rights changed
		for name := range l.queries {
			l.queries[name] = slices.DeleteFunc(l.queries[name], func(other *subscription) bool { return other == s })
		}
		l.queries[m.Query] = append(l.queries[m.Query], s)
	}
	m.seen = m.Type == "resumed" && s.known
	s.cursor, s.known, s.current = m.Cursor, true, true
	if m.Tag != "" {
		s.tag = m.Tag
	}
	return s.take(m)
}

// messages returns the subscribe messages that go on from here.
func (l *ledger) messages() []string {
	var all []string
	for _, s := range l.subscriptions {
		if s.message == nil {
			continue
		}
		if s.cursor != "" {
			s.message["cursor"], _ = json.Marshal(s.cursor)
		}
		if s.tag != "" {
			s.message["tag"], _ = json.Marshal(s.tag)
		}
		delete(s.message, "bound")
		if s.window != nil && s.cursor != "" && s.window.Feeds[s.id] != nil && s.window.Feeds[s.id].Bound != nil {
			s.message["bound"], _ = json.Marshal(s.window.Feeds[s.id].Bound)
		}
		raw, _ := json.Marshal(s.message)
		all = append(all, string(raw))
	}
	return all
}
