package checker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/mirror"
)

// client is one that follows rows and channels, drops, comes back, changes transports and hubs, and judges what it is told.
type client struct {
	world      *world
	name, who  string
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
	trace   []string
}

func newClient(w *world, index int, who string, interests []interest) *client {
	seed := w.config.Seed
	c := &client{
		world: w, name: "client " + strconv.Itoa(index), who: who,
		rnd:    rand.New(rand.NewPCG(seed, uint64(10_000+index))),
		random: rand.New(rand.NewPCG(seed, uint64(20_000+index))),
		subs:   map[int64]*subscription{}, pending: map[int64]bool{}, transports: Transports,
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
	st := &standing{}
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
	text := s.text()
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

// audit looks for secrets in the raw bytes: whatever a message is, it holds nothing that is not for this caller.
func (c *client) audit(line []byte) {
	for rest := line; ; {
		i := bytes.IndexByte(rest, '!')
		if i < 0 {
			return
		}
		rest = rest[i+1:]
		end := bytes.IndexByte(rest, '!')
		if end < 0 {
			return
		}
		owner, stamp, ok := bytes.Cut(rest[:end], []byte("."))
		o, err1 := strconv.ParseInt(string(owner), 10, 64)
		at, err2 := strconv.ParseInt(string(stamp), 10, 64)
		if !ok || err1 != nil || err2 != nil {
			c.world.tally.Find(Protocol, "%s: a secret that nobody wrote: %s", c.name, line)
			return
		}
		if broken := c.world.rights.permits(c.who, o, at); broken != "" {
			c.world.tally.Find(broken, "%s, who is %s, was sent what %d wrote at %d: %s", c.name, c.who, o, at, line)
		}
		rest = rest[end+1:]
	}
}

// find notes a finding of a subscription.
func (c *client) find(i Invariant, l *link, s *subscription, format string, args ...any) {
	if c.world.config.Debug {
		_ = os.WriteFile(fmt.Sprintf("%s/%s.trace", os.TempDir(), strings.ReplaceAll(c.name, " ", "-")), []byte(strings.Join(c.trace, "\n")), 0o600)
	}
	args = append([]any{c.name, c.who, l.transport, l.number, s.interest.String(), s.at.Major}, args...)
	c.world.tally.Find(i, "%s (%s, %s, link %d), %s, at %d: "+format, args...)
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
	s.read = c.world.table.now()
	s.at = c.position(m.Cursor)
	if s.kind == channel {
		return
	}
	c.world.tally.Rows.Add(int64(len(m.Rows)))
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

// resync judges whether there was a reason.
func (c *client) resync(l *link, s *subscription, m mirror.Message, line []byte) {
	c.world.tally.Resync(m.Reason)
	if s.asked != l || c.excused(l, s, m) {
		return
	}
	c.find(FalseResync, l, s, "of epoch %d, asked with %q, with no reason for %q (%s): %.200s", s.at.Epoch, l.standing[s].sent, m.Reason, c.world.oracle.causes(c.who), line)
}

func (c *client) excused(l *link, s *subscription, m mirror.Message) bool {
	o := c.world.oracle
	if !s.known {
		return true // it was asked for anew, and begun again before its answer was sent
	}
	if o.excuse(m.Reason, s.at, c.who) {
		return true
	}
	// The hub goes by what it was asked with, which another connection of the client may have overtaken.
	if sent := l.standing[s].sent; sent != "" && o.excuse(m.Reason, c.position(sent), c.who) {
		return true
	}
	switch m.Reason {
	case "history", "epoch":
		return l.handle.lost.Load() > l.lost || l.handle.behind()
	case "rights":
		now, turns := c.world.rights.of(c.who)
		// A hub that is behind what the client was told elsewhere learns of it later than the client.
		return turns != s.turns || now != s.mask || o.excuse(m.Reason, l.began, c.who)
	case "unknown":
		return s.kind == window
	}
	return false
}

// fits checks that a row is one that the database has had.
func (c *client) fits(l *link, s *subscription, r mirror.Row) {
	var got item
	_ = json.Unmarshal(r.Fields["id"], &got.ID)
	_ = json.Unmarshal(r.Fields["list"], &got.List)
	_ = json.Unmarshal(r.Fields["rank"], &got.Rank)
	_ = json.Unmarshal(r.Fields["title"], &got.Title)
	_ = json.Unmarshal(r.Fields["secret"], &got.Secret)
	_ = json.Unmarshal(r.Fields["version"], &got.Version)
	want, ok := c.world.table.at(r.Key, versionOf(r.Version))
	got.Owner = want.Owner
	if !ok || got != want || len(r.Fields) != 6 {
		c.find(Misfit, l, s, "row %s, version %s, is held as %+v; in the database it was %+v", r.Key, r.Version, got, want)
		return
	}
	if !s.matches(want) {
		c.find(Misfit, l, s, "row %s, version %s, does not belong here: %+v", r.Key, r.Version, want)
	}
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
	switch s.kind {
	case channel:
		c.heard(l, s, before, m)
	case rows, window:
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

// leaves checks that the key of a row was told only to a caller who might once see the row.
func (c *client) leaves(l *link, s *subscription, m mirror.Message) {
	for _, change := range m.Changes {
		if !c.world.table.owned(change.Key, c.world.rights.ever(c.who)) {
			c.find(Audience, l, s, "row %s never was for %s", change.Key, c.who)
		}
	}
}

// heard checks that messages are exactly those of the log.
func (c *client) heard(l *link, s *subscription, before broker.Position, m mirror.Message) {
	want := c.world.oracle.spoken(s.channel, before, s.at)
	same := len(want) == len(m.Messages)
	for i := 0; same && i < len(want); i++ {
		same = want[i].data == string(m.Messages[i])
	}
	if !same {
		c.find(Gap, l, s, "after %d it got %d messages, the log has %d: got %s, want %v", before.Major, len(m.Messages), len(want), m.Messages, want)
	}
	c.world.tally.Checked.Add(int64(len(want)))
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
	switch s.kind {
	case channel:
		if missed := c.world.oracle.spoken(s.channel, before, s.at); len(missed) > 0 {
			c.find(Gap, l, s, "the cursor moved from %d and passed over %d messages: %v", before.Major, len(missed), missed)
		}
	case rows:
		c.covers(l, s, before)
	}
}

// covers checks that what is held is what the log says, as far as the log went from a position to where the subscription is: of each change
// in between, that the row is there if it belongs here, in this version or a newer one, and is not if it does not.
func (c *client) covers(l *link, s *subscription, before broker.Position) {
	if s.kind != rows {
		return
	}
	passed := c.world.oracle.changed(before, s.at)
	c.world.tally.Checked.Add(int64(len(passed)))
	for n, change := range passed {
		if change.open || slices.ContainsFunc(passed[n+1:], func(next logged) bool { return next.key == change.key }) {
			continue // what it is in the end counts
		}
		held, ok := s.feed.Rows[change.key]
		version := versionOf(held.Version)
		belongs := !change.gone && s.matches(change.row)
		switch {
		case belongs && (!ok || version < change.version):
			// A list that was read after the row had gone, or moved away, did not show it.
			if id, _ := strconv.ParseInt(change.key, 10, 64); !c.world.table.ended(id, change.version, s.read, s.matches) {
				c.find(Gap, l, s, "it went on from %d past %d, where row %s became version %d, and holds version %q; its list was read before %d: %s", before.Major, change.at, change.key, change.version, held.Version, s.read, c.world.story(change.key))
			}
		case !belongs && ok && version == change.was && change.was < change.version:
			c.world.tally.Late.Add(1) // it was published late, and a hub that reads that from old history cannot tell
		case !belongs && ok && version <= change.version:
			c.find(Gap, l, s, "it went on from %d past %d, where row %s left with version %d, and holds version %s: %s", before.Major, change.at, change.key, change.version, held.Version, c.world.story(change.key))
		}
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
	case code == "unavailable" || code == "rate_limited" || code == "too_many_sessions" || code == "overloaded":
		return errGone
	case m.ID != 0 && m.ID <= c.next && (s == nil || l.standing[s] == nil):
		return nil // the client has unsubscribed meanwhile
	case s == nil:
		c.world.tally.Find(Refused, "%s (%s): %s", c.name, l.transport, line)
		return nil
	case s.kind == channel && code == "not_found" && c.lost(s):
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
	if s.kind != channel || !c.lost(s) {
		c.find(Refused, l, s, "%s", line)
	}
	c.drop(l, s)
}

// lost reports whether the caller's rights are such, or have changed since it was asked, that a channel may be refused.
func (c *client) lost(s *subscription) bool {
	mask, turns := c.world.rights.of(c.who)
	owner, ok := chatOwner(s.channel)
	return ok && (turns != s.turns || turns != s.before || mask&(1<<owner) == 0)
}

// drop forgets a subscription, and adds it as a new one: it is asked for on the next connection.
func (c *client) drop(l *link, s *subscription) {
	delete(c.subs, s.id)
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

// settled reports whether every subscription has come to a position, or cannot.
func (c *client) settled(at broker.Position) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subs {
		if s.kind == channel && c.barred(s) {
			continue
		}
		if !s.known || s.at.Epoch != at.Epoch || at.After(s.at) {
			return false
		}
	}
	return true
}

// lacks reports whether there is a subscription that was not asked for, and could be had.
func (c *client) lacks() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subs {
		if s.asked == nil && !(s.kind == channel && c.barred(s)) {
			return true
		}
	}
	return false
}

// barred reports whether the caller has no right to a channel.
func (c *client) barred(s *subscription) bool {
	mask, _ := c.world.rights.of(c.who)
	owner, ok := chatOwner(s.channel)
	return ok && mask&(1<<owner) == 0
}

// settle follows until everything is told, over one transport without faults.
func (c *client) settle(ctx context.Context, at broker.Position) {
	for try := 0; ctx.Err() == nil && !c.settled(at); try++ {
		transport := c.transports[c.rnd.IntN(len(c.transports))]
		k, err := c.open(ctx, transport, c.node)
		if err != nil {
			c.sleep(ctx, 50*time.Millisecond)
			continue
		}
		for alive := true; alive && !c.settled(at) && !c.lacks(); {
			select {
			case <-k.done:
				alive = false
				c.sleep(ctx, 20*time.Millisecond)
			case <-time.After(20 * time.Millisecond):
			}
		}
		k.close(true)
	}
}

func (c *client) sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// close ends what the client holds open.
func (c *client) close() {
	c.proxy.close()
	c.http.CloseIdleConnections()
}
