package livetest

import (
	"encoding/json"
	"testing"
)

// Channel is a client's subscription to a channel.
type Channel struct {
	*feed
}

// Channel follows a channel from now on. A refusal fails the test.
func (c *Client) Channel(t testing.TB, name string) *Channel {
	t.Helper()
	ch, err := c.TryChannel(t, name)
	if err != nil {
		t.Fatalf("livetest: %s: cannot follow %s: %v", c, name, err)
	}
	return ch
}

// TryChannel is Channel that returns a refusal, as a *live.Error.
func (c *Client) TryChannel(t testing.TB, name string) (*Channel, error) {
	t.Helper()
	f, err := c.subscribe(t, "channel "+name, map[string]any{"channel": name})
	if err != nil {
		return nil, err
	}
	return &Channel{f}, nil
}

// WantMessage wants the next message of the channel to be equal in JSON to what want encodes to.
func (ch *Channel) WantMessage(t testing.TB, want any) {
	t.Helper()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatalf("livetest: %v", err)
	}
	text := "the message " + clip(string(data))
	if e := ch.next(t, text); e.kind != messaged || !sameJSON(e.message, data) {
		ch.unexpected(t, text, e)
	}
}

// Next waits for the next message of the channel and decodes it into what v points to.
func (ch *Channel) Next(t testing.TB, v any) {
	t.Helper()
	e := ch.next(t, "a message")
	if e.kind != messaged {
		ch.unexpected(t, "a message", e)
	}
	if err := json.Unmarshal(e.message, v); err != nil {
		t.Fatalf("livetest: %s: the message %s: %v", ch, clip(string(e.message)), err)
	}
}
