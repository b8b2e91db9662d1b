package checker

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/mirror"
)

// client is one that follows rows and channels, drops, comes back, changes transports and hubs, and judges what it is told.
type client struct {
	world      *world
	name, who  string
	index      int
	rnd        *rand.Rand
	proxy      *proxy
	http       *http.Client
	compressed bool
	// transports are those that it uses.
	transports []string

	taken atomic.Int64 // deliveries

	mu      sync.Mutex
	random  *rand.Rand // of what happens on connections
	subs    map[int64]*subscription
	next    int64
	links   int
	node    *node
	pending map[int64]bool // unsubscribes without an answer
	calls   map[int64]bool // calls without an answer
	trace   []string
}

func newClient(w *world, index int, who string, interests []interest) *client {
	seed := w.config.Seed
	c := &client{
		world: w, name: "client " + strconv.Itoa(index), who: who, index: index,
		rnd:    rand.New(rand.NewPCG(seed, uint64(10_000+index))),
		random: rand.New(rand.NewPCG(seed, uint64(20_000+index))),
		subs:   map[int64]*subscription{}, pending: map[int64]bool{}, calls: map[int64]bool{}, transports: Transports,
		compressed: index%3 == 0,
	}
	c.node = w.nodes[c.rnd.IntN(len(w.nodes))]
	c.proxy = newProxy(w.tally, c.draw, c.node.address)
	c.http = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	for _, i := range interests {
		c.add(i)
	}
	return c
}

func (c *client) url() string {
	return "http://" + c.proxy.front.Addr().String() + "/as/" + c.who + "/live/"
}

// draw is for what happens on connections, from any goroutine.
func (c *client) draw(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

func (c *client) add(i interest) *subscription {
	c.next++
	s := newSubscription(c.next, i)
	if i.joins {
		s.member = c.world.members.come(c.who, extend.ParsePlace(i.places[0]))
	}
	c.subs[s.id] = s
	return s
}

// begin makes a link, with the messages that ask for all subscriptions on it.
func (c *client) begin(k *connection) (*link, []string) {
	life := k.node.present()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links++
	l := &link{
		number: c.links, transport: k.transport, handle: life.handle, lost: life.handle.lost.Load(), began: life.handle.reached(),
		queries: map[string][]*subscription{}, standing: map[*subscription]*standing{},
	}
	var texts []string
	for _, id := range c.ids() {
		texts = append(texts, c.ask(l, c.subs[id]))
	}
	return l, texts
}

func (c *client) ids() []int64 {
	ids := make([]int64, 0, len(c.subs))
	for id := range c.subs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// ask notes that a subscription is asked for on a link, and returns the message. The lock is held.
func (c *client) ask(l *link, s *subscription) string {
	st := &standing{stamp: c.world.table.now()}
	if s.known {
		st.sent = s.feed.Cursor
		c.world.tally.Resumes.Add(1)
	}
	l.standing[s] = st
	_, turns := c.world.rights.of(c.who)
	if s.before = s.turns; s.asked == nil {
		s.before = turns
	}
	s.asked, s.turns = l, turns
	text := s.text(c.world.members)
	c.note(l, "->", text)
	return text
}

// errGone ends a link on which nothing will come any more.
var errGone = errors.New("the hub said goodbye")

// refused takes an answer that is none.
func (c *client) refused(status int) {
	switch status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway:
	default:
		c.world.tally.Find(Refused, "%s: HTTP status %d", c.name, status)
	}
}

// take judges one message and takes it.
func (c *client) take(l *link, line []byte) error {
	if len(line) == 0 {
		return nil
	}
	c.audit(line)
	m, err := mirror.Decode(line)
	if err != nil {
		c.world.tally.Find(Protocol, "%s (%s): %v", c.name, l.transport, err)
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.over {
		return errGone
	}
	c.world.tally.Frames.Add(1)
	c.note(l, "<-", string(line))
	c.world.tally.Bytes.Add(int64(len(line)))
	switch m.Type {
	case "snapshot", "resync", "resumed":
		c.answer(l, m, line)
	case "change", "message", "count":
		c.data(l, m, line)
	case "cursor":
		for s, st := range l.standing {
			if st.answered && c.subs[s.id] == s {
				c.move(l, s, st, m)
			}
		}
	case "error":
		return c.failed(l, m, line)
	case "closed":
		c.closed(l, m, line)
	case "result":
		delete(c.pending, m.ID)
		delete(c.calls, m.ID)
	case "reconnect":
		return errGone
	}
	return nil
}

// note keeps what was said on a link, for who looks for the cause of a finding. The lock is held.
func (c *client) note(l *link, way string, text string) {
	if !c.world.config.Debug {
		return
	}
	c.trace = append(c.trace, fmt.Sprintf("%d %s %s", l.number, way, text))
}

func (c *client) answer(l *link, m mirror.Message, line []byte) {
	s := c.subs[m.ID]
	var st *standing
	if s != nil {
		st = l.standing[s]
	}
	if st == nil { // unsubscribed meanwhile; what comes of the query is for nobody
		l.queries[m.Query] = append(l.queries[m.Query], nil...)
		return
	}
	switch {
	case m.Type == "resumed" && (st.answered || m.Cursor != st.sent):
		c.find(Protocol, l, s, "asked with %q (answered: %v), got %s", st.sent, st.answered, line)
	case m.Type == "snapshot" && (st.answered || st.sent != "" && s.kind != count):
		c.find(FalseResync, l, s, "asked with %q (answered: %v), got a snapshot without a reason: %.300s", st.sent, st.answered, line)
	case m.Type == "resync":
		c.resync(l, s, m, line)
	}
	st.answered, st.last = true, m.Cursor
	if st.query != m.Query {
		l.queries[st.query] = slices.DeleteFunc(l.queries[st.query], func(o *subscription) bool { return o == s })
		l.queries[m.Query] = append(l.queries[m.Query], s)
		st.query = m.Query
	}
	if s.link != nil && s.link.number > l.number || s.asked != l && (s.kind == window || m.Type != "resumed") {
		if s.link == l {
			s.link = nil
		}
		return // a newer connection is what counts
	}
	s.link = l
	if _, err := s.feed.Take(m); err != nil {
		c.find(Protocol, l, s, "%v: %.300s", err, line)
	}
	s.known = true
	if m.Type == "resumed" {
		return
	}
	s.read, s.blind = c.world.table.now(), map[string]bool{}
	s.at = c.position(m.Cursor)
	if s.kind == channel {
		return
	}
	c.world.tally.Rows.Add(int64(len(m.Rows)))
	if s.meets() {
		c.met(l, s, st, m)
		return
	}
	mask, ok := c.world.rights.named(s.list, m.Tag)
	if !ok {
		c.find(Protocol, l, s, "the tag is of no rights that there are: %.300s", line)
	}
	s.mask = mask
	for _, r := range m.Rows {
		c.fits(l, s, r)
	}
}

func (c *client) position(cursor string) broker.Position {
	p, err := broker.ParsePosition(cursor)
	if err != nil {
		c.world.tally.Find(Protocol, "%s: the cursor %q: %v", c.name, cursor, err)
	}
	return p
}

func (c *client) data(l *link, m mirror.Message, line []byte) {
	members, told := l.queries[m.Query]
	if !told && (l.transport == WebSocket || l.transport == SSE) {
		c.world.tally.Find(Protocol, "%s (%s, %s, link %d): it was not told of a query %q: %.300s", c.name, c.who, l.transport, l.number, m.Query, line)
	}
	for _, s := range members {
		st := l.standing[s]
		if c.subs[s.id] != s || !st.answered {
			continue
		}
		fill := m.More != nil || m.Count != nil
		switch {
		case fill:
		case m.Cursor == st.last:
			c.find(Duplicate, l, s, "it has been told up to %s, and is told %.300s", st.last, line)
		case !mirror.After(m.Cursor, st.last):
			c.find(Inversion, l, s, "it has been told up to %s, and is told %.300s", st.last, line)
		}
		if mirror.After(m.Cursor, st.last) {
			st.last = m.Cursor
		}
		if s.link != l || s.asked != l && s.kind == window {
			continue
		}
		c.apply(l, s, m, line)
	}
}

// apply takes data by the rules of the protocol and judges what it comes to.
func (c *client) apply(l *link, s *subscription, m mirror.Message, line []byte) {
	before := s.at
	news, err := s.feed.Take(m)
	if err != nil {
		c.find(Protocol, l, s, "%v: %.300s", err, line)
	}
	if !news {
		return
	}
	n := int64(len(m.Messages) + len(m.Changes))
	if m.Count != nil {
		n++
	}
	c.taken.Add(n)
	c.world.tally.Deliveries.Add(n)
	s.at = c.position(m.Cursor)
	switch {
	case s.kind == channel:
		c.heard(l, s, before, m)
	case s.meets() && s.kind != count:
		c.news(l, s, m)
		c.accompanies(l, s, before)
	case s.kind != count:
		for _, change := range s.feed.Changes {
			if change.Op != "leave" && change.Op != "delete" {
				c.fits(l, s, change.Held)
			}
		}
		c.leaves(l, s, m)
		c.covers(l, s, before)
	}
	s.feed.Changes, s.feed.Ops, s.feed.Messages, s.feed.Resyncs = s.feed.Changes[:0], s.feed.Ops[:0], s.feed.Messages[:0], s.feed.Resyncs[:0]
}

// move takes a cursor, which claims that everything before it was sent.
func (c *client) move(l *link, s *subscription, st *standing, m mirror.Message) {
	if mirror.After(m.Cursor, st.last) {
		st.last = m.Cursor
	}
	if s.link != l || s.asked != l && s.kind == window {
		return
	}
	before := s.at
	if news, _ := s.feed.Take(m); !news {
		return
	}
	s.at = c.position(m.Cursor)
	switch {
	case s.kind == channel:
		if missed := c.world.oracle.spoken(s.channel, before, s.at); len(missed) > 0 {
			c.find(Gap, l, s, "the cursor moved from %v and passed over %d messages: %v", before, len(missed), missed)
		}
	case s.meets() && s.kind != count:
		c.accompanies(l, s, before)
	case s.kind != count:
		c.covers(l, s, before)
	}
}

// failed takes an error. A subscription that is refused for a reason is one that the client does not have any more.
func (c *client) failed(l *link, m mirror.Message, line []byte) error {
	code := codeOf(m.Problem)
	s := c.subs[m.ID]
	switch {
	case c.pending[m.ID]:
		delete(c.pending, m.ID)
		return nil // it had been closed meanwhile
	case c.calls[m.ID] && code == "not_found": // the hub does not know the member, yet or any more
		delete(c.calls, m.ID)
		return nil
	case code == "unavailable" || code == "rate_limited" || code == "too_many_sessions" || code == "overloaded":
		return errGone
	case !c.calls[m.ID] && m.ID != 0 && m.ID <= c.next && (s == nil || l.standing[s] == nil):
		return nil // the client has unsubscribed meanwhile
	case s == nil:
		c.world.tally.Find(Refused, "%s (%s): %s", c.name, l.transport, line)
		return nil
	case (s.kind == channel || s.meets()) && code == "not_found" && c.lost(s, l.standing[s]):
		c.drop(l, s)
		return nil
	}
	c.find(Refused, l, s, "%s", line)
	c.drop(l, s)
	return nil
}

// closed takes the end of a subscription, which only other rights excuse.
func (c *client) closed(l *link, m mirror.Message, line []byte) {
	s := c.subs[m.ID]
	if s == nil || l.standing[s] == nil {
		return
	}
	if s.kind != channel && !s.meets() || !c.lost(s, l.standing[s]) {
		c.find(Refused, l, s, "%s", line)
	}
	c.drop(l, s)
}

// drop forgets a subscription, and adds it as a new one: it is asked for on the next connection.
func (c *client) drop(l *link, s *subscription) {
	delete(c.subs, s.id)
	c.world.members.goes(s.member)
	delete(l.standing, s)
	l.queries = without(l.queries, s)
	c.add(s.interest)
}

func without(queries map[string][]*subscription, s *subscription) map[string][]*subscription {
	for name, members := range queries {
		queries[name] = slices.DeleteFunc(members, func(o *subscription) bool { return o == s })
	}
	return queries
}

func codeOf(problem json.RawMessage) string {
	var p struct{ Code string }
	_ = json.Unmarshal(problem, &p)
	return p.Code
}
