package checker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/mirror"
)

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
	c.keep()
	args = append([]any{c.name, c.who, l.transport, l.number, s.interest.String(), s.at.String()}, args...)
	c.world.tally.Find(i, "%s (%s, %s, link %d), %s, at %s: "+format, args...)
}

// keep writes down what was said to the client, for who looks for the cause of a finding. The lock is held.
func (c *client) keep() {
	if c.world.config.Debug {
		_ = os.WriteFile(fmt.Sprintf("%s/%s.trace", os.TempDir(), strings.ReplaceAll(c.name, " ", "-")), []byte(strings.Join(c.trace, "\n")), 0o600)
	}
}

// resync judges whether there was a reason.
func (c *client) resync(l *link, s *subscription, m mirror.Message, line []byte) {
	c.world.tally.Resync(m.Reason)
	c.world.oracle.await(c.position(m.Cursor)) // it has a cause that the hub has seen
	if s.asked != l {
		return
	}
	c.world.noted()
	if c.excused(l, s, m) {
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
	from := s.at
	if sent := l.standing[s].sent; sent != "" {
		if from = c.position(sent); o.excuse(m.Reason, from, c.who) {
			return true
		}
	}
	switch m.Reason {
	case "history", "epoch":
		if s.meets() && (o.greeted(s.at) || o.greeted(from)) { // what it knew before is not what a new hub knows
			return true
		}
		return l.handle.lost.Load() > l.lost || l.handle.behind()
	case "rights":
		now, turns := c.world.rights.of(c.who)
		if s.meets() {
			return turns != s.turns || len(s.places) > 1 || o.excuse(m.Reason, l.began, c.who)
		}
		// A hub that is behind what the client was told elsewhere learns of it later than the client.
		return turns != s.turns || now != s.mask || o.excuse(m.Reason, l.began, c.who)
	case "unknown":
		return s.meets() && (o.greeted(s.at) || o.greeted(from) || o.doubted(s.at) || o.doubted(from))
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
		c.find(Gap, l, s, "after %v it got %d messages, the log has %d: got %s, want %v", before, len(m.Messages), len(want), m.Messages, want)
	}
	c.world.tally.Checked.Add(int64(len(want)))
}

// covers checks that what is held is what the log says, as far as the log went from a position to where the subscription is: of each change
// in between, that the row is there if it belongs here, in this version or a newer one, and is not if it does not. What belongs into a
// window depends on what else does, so of a window only the latter is checked.
func (c *client) covers(l *link, s *subscription, before broker.Position) {
	if s.kind != rows && s.kind != window {
		return
	}
	passed := c.world.oracle.changed(before, s.at)
	c.world.tally.Checked.Add(int64(len(passed)))
	for n, change := range passed {
		if change.was < change.version && c.world.oracle.blind(l.handle, change) {
			s.blind[change.key] = true
		}
		if change.open || slices.ContainsFunc(passed[n+1:], func(next logged) bool { return next.key == change.key }) {
			continue // what it is in the end counts
		}
		held, ok := s.feed.Rows[change.key]
		version := versionOf(held.Version)
		belongs := !change.gone && s.matches(change.row)
		switch {
		case belongs && s.kind == window:
		case belongs && (!ok || version < change.version):
			// A list that was read after the row had gone, or moved away, did not show it.
			if id, _ := strconv.ParseInt(change.key, 10, 64); !c.world.table.ended(id, change.version, s.read, s.matches) {
				c.find(Gap, l, s, "it went on from %v past %v, where row %s became version %d, and holds version %q; its list was read before %d: %s", before, change.at, change.key, change.version, held.Version, s.read, c.world.story(change.key))
			}
		case !belongs && ok && s.blind[change.key]:
			c.world.tally.Late.Add(1)
		case !belongs && ok && version <= change.version:
			c.find(Gap, l, s, "it went on from %v past %v, where row %s left with version %d, and holds version %s: %s", before, change.at, change.key, change.version, held.Version, c.world.story(change.key))
		}
	}
}

// lost reports whether the caller's rights are such, or have changed since it was asked, that a channel may be refused.
func (c *client) lost(s *subscription, st *standing) bool {
	if s.meets() {
		return c.unseen(s, st)
	}
	mask, turns := c.world.rights.of(c.who)
	owner, ok := chatOwner(s.channel)
	return ok && (turns != s.turns || turns != s.before || mask&(1<<owner) == 0)
}
