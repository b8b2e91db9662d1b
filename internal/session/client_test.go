package session_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/transport"
)

// client is a client with a session.
type client struct {
	*mirror.Client
	t       testing.TB
	hub     *hub
	session *session.Session
	types   []string // of the messages, in order
	last    []byte   // the message that came last
	tagged  bool     // it sends the tag with the cursor
	outlet  *outlet  // which parks the session; nil when the client comes for frames
}

func (h *hub) client() *client {
	return &client{Client: mirror.New(), t: h.t, hub: h, session: h.session(len(h.sessions()))}
}

// send hands a message to the session.
func (c *client) send(format string, args ...any) {
	c.t.Helper()
	if err := c.session.Receive(context.Background(), fmt.Appendf(nil, format, args...)); err != nil {
		c.t.Fatal(err)
	}
}

// subscribe subscribes to a filter, after the cursor that the client holds under the id, if it does.
func (c *client) subscribe(id int64, filter string) *mirror.Feed {
	c.t.Helper()
	return c.follow(id, `"router":"things","where":`+filter)
}

func (c *client) channel(id int64, name string) *mirror.Feed {
	c.t.Helper()
	return c.follow(id, `"channel":"`+name+`"`)
}

func (c *client) follow(id int64, what string) *mirror.Feed {
	feed := c.Feeds[id]
	if feed == nil {
		feed = &mirror.Feed{}
		c.Feeds[id] = feed
	}
	feed.Answered = false
	cursor := ""
	if feed.Cursor != "" {
		cursor = `,"cursor":"` + feed.Cursor + `"`
	}
	if c.tagged && feed.Tag != "" {
		cursor += `,"tag":"` + feed.Tag + `"`
	}
	c.send(`{"type":"subscribe","id":%d,%s%s}`, id, what, cursor)
	return feed
}

// take hands frames to the mirror.
func (c *client) take(frames []*transport.Frame) {
	c.t.Helper()
	for _, f := range frames {
		c.types, c.last = append(c.types, f.Type), f.Data
		if err := c.Receive(f.Data); err != nil {
			c.t.Errorf("%v: %s", err, f.Data)
		}
	}
}

// drain takes everything that comes until nothing more does. It is for a bubble.
func (c *client) drain() {
	c.t.Helper()
	if c.outlet != nil {
		c.settle()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	for {
		frames, err := c.session.Next(ctx)
		if err != nil {
			return
		}
		c.take(frames)
	}
}

// poll is one round.
func (c *client) poll(wait time.Duration) {
	c.t.Helper()
	frames, err := c.session.Poll(context.Background(), wait)
	if err != nil {
		c.t.Fatal(err)
	}
	c.take(frames)
}

// reconnect goes on with a session of its own, from the cursors.
func (c *client) reconnect() {
	c.close()
	c.session = c.hub.session(len(c.types))
	if c.outlet != nil {
		c.park()
	}
}

// close ends the session, as a client does that goes away.
func (c *client) close() {
	if c.outlet != nil {
		c.outlet.leave()
		return
	}
	c.session.Close()
}

// told returns the types of the messages since the last call.
func (c *client) told() string {
	told := strings.Join(c.types, " ")
	c.types = nil
	return told
}

// agrees compares a feed with the database.
func (h *hub) agrees(t testing.TB, feed *mirror.Feed, filter string) {
	t.Helper()
	p, err := h.bind(json.RawMessage(filter))
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, r := range h.list(p) {
		want = append(want, fmt.Sprint(r.key(), " in ", r.box, " v", r.version, " ", r.note))
	}
	for key, r := range feed.Rows {
		var note string
		_ = json.Unmarshal(r.Fields["note"], &note)
		got = append(got, fmt.Sprint(key, " in ", string(r.Fields["box"]), " v", string(r.Fields["version"]), " ", note))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s holds\n%s\nthe database\n%s", filter, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
