//go:build linux

package load

import (
	"bytes"
	"fmt"
	"syscall"
)

type state int

const (
	away     state = iota
	connects       // the handshake is not answered
	waits          // for the sign that it follows
	follows
)

// client is one connection.
type client struct {
	number, key int
	fd          int
	state       state
	again       bool // it comes, or polls, with what it has
	polled      bool // it has had an answer on this connection
	last        int  // number of the newest message, -1 before the first
	old         int  // number of what it was given anew, which may be ahead of messages that follow: it throws those away
	cursor, tag []byte
	sign        []byte

	rest  []byte // the beginning of something whose end has not come
	part  []byte // the beginning of a message in several frames, or of a line in several chunks
	chunk chunks

	discarded int64 // bytes, since Discard began
}

func (c *client) begin(fd int, again bool) {
	c.fd, c.state, c.again, c.polled = fd, connects, again, false
	c.rest, c.part, c.chunk = c.rest[:0], c.part[:0], chunks{}
}

// arrive says that a client follows.
func (g *Group) arrive(c *client) {
	if c.state == follows {
		return
	}
	if c.state = follows; c.last < 0 {
		c.last = g.newest[c.key] // what was before does not concern it
	}
	g.following++
	g.perKey[c.key]++
}

// said handles a message, or several in one piece.
func (g *Group) said(c *client, text []byte) {
	for c.state == waits || g.polls() { // a line for itself is a message; who follows a stream needs not know where one ends
		line, more, several := bytes.Cut(text, newline)
		g.line(c, line)
		if !several {
			return
		}
		text = more
	}
	g.count(c, text)
}

// line handles one message of a client that may not follow yet.
func (g *Group) line(c *client, line []byte) {
	if len(c.sign) > 0 && bytes.Contains(line, c.sign) {
		g.arrive(c)
		c.remember(line)
		c.sign = nil
		return
	}
	if len(g.ready.Anew) > 0 && c.again && c.state == waits && bytes.Contains(line, []byte(g.ready.Anew)) { // instead of the sign
		g.arrive(c)
		c.sign = nil
	}
	if c.state == follows {
		g.count(c, line)
	}
}

var (
	newline   = []byte("\n")
	cursorKey = []byte(`"cursor":"`)
	tagKey    = []byte(`"tag":"`)
)

// count counts the numbers of the messages in a text.
func (g *Group) count(c *client, text []byte) {
	rest, any := text, false
	for {
		at := bytes.Index(rest, g.number)
		if at < 0 {
			break
		}
		rest = rest[at+len(g.number):]
		n := 0
		for len(rest) > 0 && '0' <= rest[0] && rest[0] <= '9' {
			n, rest = n*10+int(rest[0]-'0'), rest[1:]
		}
		any = true
		g.got(c, n, text)
	}
	if !any && g.isAnew(text) {
		g.Told++
		c.last = -1
	}
	if g.Keep || g.polls() {
		before := string(c.cursor)
		c.remember(text)
		if string(c.cursor) < before && !g.isAnew(text) { // cursors compare as texts, and move forward
			c.cursor = append(c.cursor[:0], before...)
		}
	}
}

// got notes that message n has come.
func (g *Group) got(c *client, n int, text []byte) {
	step := max(1, g.keys)
	switch {
	case c.last >= 0 && n <= c.last:
		if n > c.old && !g.isAnew(text) {
			g.Double++
		}
		return
	case c.last >= 0 && n > c.last+step:
		if g.isAnew(text) {
			g.Told++
			c.old = n
		} else {
			g.Lost += int64((n - c.last - 1) / step)
		}
	}
	c.last = n
	g.Deliveries++
	f := &g.open[n%ring]
	f.missing--
	if g.latency != nil && !f.at.IsZero() {
		g.latency = append(g.latency, g.now.Sub(f.at))
	}
}

func (g *Group) isAnew(text []byte) bool {
	return len(g.ready.Anew) > 0 && bytes.Contains(text, []byte(g.ready.Anew))
}

// remember keeps the last cursor and tag.
func (c *client) remember(text []byte) {
	keep(&c.cursor, text, cursorKey)
	keep(&c.tag, text, tagKey)
}

func keep(into *[]byte, text, key []byte) {
	at := bytes.LastIndex(text, key)
	if at < 0 {
		return
	}
	value := text[at+len(key):]
	if end := bytes.IndexByte(value, '"'); end >= 0 {
		*into = append((*into)[:0], value[:end]...)
	}
}

// send writes something small.
func (g *Group) send(c *client, data []byte) {
	n, err := syscall.Write(c.fd, data)
	if err == nil && n < len(data) {
		err = fmt.Errorf("the server takes nothing more")
	}
	if err != nil {
		g.broken(c, err)
	}
}

// broken notes a connection that ended. One that never came to follow is a mistake.
func (g *Group) broken(c *client, why error) {
	if c.state != follows && g.err == nil {
		g.err = fmt.Errorf("client %d: before it follows: %w", c.number, why)
	}
	g.Closed++
	g.leave(c)
}
