package checker

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/mirror"
)

// kind is what a subscription is to.
type kind int

const (
	rows kind = iota
	window
	count
	channel
)

// interest is what a subscription asks for.
type interest struct {
	kind    kind
	channel string
	list    int64 // negative for all
	order   string
	limit   int
	// places are where it asks who is there, nil for one to rows or messages; joins says that its client is there, too.
	places []string
	joins  bool
}

// String names it in findings.
func (i interest) String() string {
	if i.meets() {
		return fmt.Sprintf("who is at %s (kind %d, limit %d, joins %v)", strings.Join(i.places, " "), i.kind, i.limit, i.joins)
	}
	switch i.kind {
	case channel:
		return "channel " + i.channel
	case window:
		return fmt.Sprintf("first %d of list %d by %s", i.limit, i.list, i.order)
	case count:
		return fmt.Sprintf("count of list %d", i.list)
	}
	return fmt.Sprintf("list %d", i.list)
}

// message is the subscribe message, as far as it does not change.
func (i interest) message(id int64) map[string]any {
	m := map[string]any{"type": "subscribe", "id": id}
	if i.kind == channel {
		m["channel"] = i.channel
		return m
	}
	if i.meets() {
		i.asks(m)
	} else if m["router"] = router; i.list >= 0 {
		m["where"] = map[string]any{"list": i.list}
	}
	switch i.kind {
	case window:
		m["order"], m["limit"] = i.order, i.limit
	case count:
		m["count"] = true
	}
	return m
}

// subscription is one of a client's, over all its connections. The client's lock guards it.
type subscription struct {
	interest
	id   int64
	feed *mirror.Feed
	at   broker.Position
	// link is the connection that it listens to: the last that answered it. Asked is the last on which it was asked for; what an older
	// one says of a window then does not count any more.
	link, asked *link
	known       bool   // it was answered at some time
	mask        uint64 // whose rows it was sent, and is
	turns       int    // of the caller's rights, when it was asked for
	before      int    // the same, of when it was asked for before: the answer may be to that
	// read is the stamp before which its last list was read.
	read int64
	// blind are the rows of which it passed a change that was published late, on a hub that could not know that.
	blind map[string]bool
	// member is whom it makes be there, nil for none.
	member *member
}

func newSubscription(id int64, i interest) *subscription {
	s := &subscription{interest: i, id: id}
	s.restart()
	return s
}

// restart forgets everything that was told.
func (s *subscription) restart() {
	s.feed = &mirror.Feed{}
	s.feed.Limit = s.limit
	s.at, s.link, s.known, s.blind = broker.Position{}, nil, false, map[string]bool{}
}

// text is the message that subscribes, or goes on.
func (s *subscription) text(ms *members) string {
	m := s.message(s.id)
	if s.meets() {
		m["presence"] = ms.presence(s.member)
	}
	if s.known {
		m["cursor"] = s.feed.Cursor
		if s.feed.Tag != "" {
			m["tag"] = s.feed.Tag
		}
		if s.kind == window && s.feed.Bound != nil {
			m["bound"] = s.feed.Bound
		}
	}
	text, _ := json.Marshal(m)
	return string(text)
}

// matches reports whether a row belongs to what it was sent.
func (s *subscription) matches(i item) bool {
	return s.mask&(1<<i.Owner) != 0 && (s.list < 0 || s.list == i.List)
}

// shown is what a user would see.
func (s *subscription) shown() string {
	switch s.kind {
	case count:
		if s.feed.Count == nil {
			return "no number"
		}
		return fmt.Sprint(*s.feed.Count)
	case channel:
		return ""
	}
	var b strings.Builder
	for _, r := range s.feed.Shown() {
		fmt.Fprintf(&b, " %s@%s", r.Key, r.Version)
	}
	return b.String()
}
