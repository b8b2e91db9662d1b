package live_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/swampline/live/transport/transporttest"
)

// follower is a client of a hub that a test looks over the shoulder of.
type follower struct {
	t *testing.T
	*transporttest.Client
}

// server serves a bench's hub over a real connection.
func (b *bench) server() string {
	server := httptest.NewServer(b.serve)
	b.Cleanup(server.Close)
	return server.URL
}

// follow opens a client, and subscribes with it if there is something to subscribe to.
func follow(t *testing.T, transport, url, subscription string, headers ...string) *follower {
	t.Helper()
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	// The long poll is short: a test that waits for nothing must not wait for that.
	c, err := transporttest.Dial(limit(t), transport, url, transporttest.ClientOptions{Header: header, Wait: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Drop)
	f := &follower{t, c}
	if subscription != "" {
		f.say(subscription)
	}
	return f
}

func (f *follower) say(messages ...string) {
	f.t.Helper()
	if err := f.Send(limit(f.t), messages...); err != nil {
		f.t.Fatal(err)
	}
}

// next returns the next message that is not of the connection's own life.
func (f *follower) next() transporttest.Message {
	f.t.Helper()
	for {
		m, err := f.Next(limit(f.t))
		if err != nil {
			f.t.Fatal(err)
		}
		if m.Type != "hello" && m.Type != "cursor" {
			return m
		}
	}
}

// want returns the next message, which must be of a type.
func (f *follower) want(typ string) transporttest.Message {
	f.t.Helper()
	m := f.next()
	if m.Type != typ {
		f.t.Fatalf("got %s, want a %s", m.Raw, typ)
	}
	return m
}

var (
	queryName  = regexp.MustCompile(`"query":"[^"]*"`)
	rowVersion = regexp.MustCompile(`"version":("[^"]*"|[0-9]+)`)
	cursorText = regexp.MustCompile(`"cursor":"[^"]*"`)
	tagText    = regexp.MustCompile(`,"tag":"[^"]*"`)
)

// scrub replaces what differs from run to run.
func scrub(message string) string {
	message = tagText.ReplaceAllString(message, "")
	return cursorText.ReplaceAllString(queryName.ReplaceAllString(message, `"query":"Q"`), `"cursor":"C"`)
}
