package checker

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/swampline/live/internal/mirror"
)

// joined draws one of the client's subscriptions that make it be somewhere; nil when there is none. The lock is held.
func (c *client) joined() *subscription {
	var all []*subscription
	for _, id := range c.ids() {
		if c.subs[id].member != nil {
			all = append(all, c.subs[id])
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[c.rnd.IntN(len(all))]
}

// act has one of the client's members do something, or leave: over a WebSocket that is there, or by a request of its own, which a browser sends as a
// beacon, and to whatever hub. It reports false when the connection is to end.
func (c *client) act(ctx context.Context, k *connection) bool {
	what, socket, beacon := c.rnd.IntN(6), c.rnd.IntN(2) == 0, c.elsewhere(c.world.nodes[c.rnd.IntN(len(c.world.nodes))])
	if c.rnd.IntN(2) == 0 {
		beacon = c.url()
	}
	c.mu.Lock()
	s := c.joined()
	if s == nil || what > 2 {
		c.mu.Unlock()
		return true
	}
	c.next++
	id, verb := c.next, "set"
	var texts []string
	if what == 0 {
		verb = "leave"
		c.world.tally.Fault(Leave)
		texts = c.quit(k, s)
	} else {
		c.world.tally.Fault(Say)
		c.world.members.does(s.member)
		if c.hides() {
			c.world.members.hides(s.member, c.rnd.IntN(3) == 0)
		}
	}
	call := c.world.members.call(id, s.member, verb)
	if socket = socket && k.link != nil; socket {
		c.calls[id] = true
		texts = append([]string{call}, texts...)
		c.note(k.link, "->", call)
	}
	c.mu.Unlock()
	if !socket {
		_, _ = c.call(ctx, beacon, call)
	}
	return k.say(ctx, texts...) == nil && (verb == "set" || k.transport != SSE) // a stream asks for who has left, and takes no messages
}

// elsewhere is the URL of a hub without the proxy.
func (c *client) elsewhere(n *node) string {
	return "http://" + n.address() + "/as/" + c.who + "/live/"
}

// hides reports whether the client's tabs are hidden now and then: those that are never killed, for hidden ones are waited for long.
func (c *client) hides() bool { return c.index%8 == 1 }

// quit forgets a subscription whose member leaves, and adds it as one of another member. It returns what to say on a WebSocket. The lock is
// held.
func (c *client) quit(k *connection, s *subscription) []string {
	delete(c.subs, s.id)
	c.world.members.goes(s.member)
	again := c.add(s.interest)
	if k.link == nil {
		return nil
	}
	delete(k.link.standing, s)
	k.link.queries = without(k.link.queries, s)
	c.pending[s.id] = true
	return []string{fmt.Sprintf(`{"type":"unsubscribe","id":%d}`, s.id), c.ask(k.link, again)}
}

// crash is the end of a client without a word: who comes in its place is another member.
func (c *client) crash() {
	if c.hides() {
		return
	}
	c.world.tally.Fault(Crash)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range c.ids() {
		if s := c.subs[id]; s.member != nil {
			delete(c.subs, id)
			c.world.members.goes(s.member)
			c.add(s.interest)
		}
	}
}

// call makes a request of one call, and returns the answer's type, or the code of its problem.
func (c *client) call(ctx context.Context, url, text string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.world.patience())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Accept", "application/x-ndjson")
	answer, err := c.http.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(body), "\n"), "\n") {
		m, err := mirror.Decode([]byte(line))
		if err != nil {
			return "", fmt.Errorf("HTTP status %d: %s", answer.StatusCode, body)
		}
		switch code := codeOf(m.Problem); {
		case m.Type == "result":
			return "result", nil
		case code != "":
			if code != "not_found" && answer.StatusCode == http.StatusOK && code != "unavailable" && code != "overloaded" {
				c.world.tally.Find(Refused, "%s (%s): %s is answered %s", c.name, c.who, text, line)
			}
			return code, nil
		}
	}
	return "", fmt.Errorf("no answer: %s", body)
}
