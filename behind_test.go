package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/transport/transporttest"
)

// gated is a broker whose entries wait for a gate.
type gated struct {
	broker.Broker
	gate chan struct{}
}

func (g gated) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	return g.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
		select {
		case <-g.gate:
			return deliver(batch)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// TestAWindowOnAHubThatIsBehind continues a window on a hub that has not followed the log to its cursor yet. The client lost a row on
// another hub and went before that had fetched the next one. What this hub has to give is as of before the client's cursor: the client
// would throw it away, and the hub would take it that the client has it.
func TestAWindowOnAHubThatIsBehind(t *testing.T) {
	log, db := memory.New(memory.Options{}), &scores{rows: map[int64]score{}}
	gate := make(chan struct{})
	var routers []*live.Router[score]
	var urls []string
	for _, b := range []broker.Broker{log, gated{log, gate}} {
		hub, r := live.New(live.Options{Broker: b, Logger: slog.New(slog.DiscardHandler)}), db.router()
		hub.Register(r)
		server := httptest.NewServer(hub)
		t.Cleanup(func() { server.Close(); _ = hub.Shutdown(context.Background()) })
		urls, routers = append(urls, server.URL+"/live/"), append(routers, r)
	}
	for id := range int64(4) {
		rank := id
		db.rows[id] = score{ID: id, Rank: &rank, Version: 1}
	}
	ahead := follow(t, transporttest.WebSocket, urls[0], `{"type":"subscribe","id":1,"router":"scores","order":"rank","limit":2}`)
	ahead.want("snapshot")
	there := follow(t, transporttest.WebSocket, urls[1], `{"type":"subscribe","id":1,"router":"scores","order":"rank","limit":2}`)
	there.want("snapshot")
	was := db.rows[0]
	db.mu.Lock()
	delete(db.rows, 0)
	db.mu.Unlock()
	if err := routers[0].Deleted(t.Context(), was); err != nil {
		t.Fatal(err)
	}
	left := ahead.want("change")
	for len(left.Changes) == 0 { // the word that the window is whole
		left = ahead.want("change")
	}

	feed := &mirror.Feed{Cursor: left.Cursor, Rows: map[string]mirror.Row{"1": {
		Key: "1", Version: json.RawMessage("1"), Fields: map[string]json.RawMessage{"id": json.RawMessage("1"), "rank": json.RawMessage("1")},
	}}}
	feed.Limit, feed.Order, feed.Bound = 2, "rank,id", []json.RawMessage{json.RawMessage("1"), json.RawMessage("1")}
	client := mirror.New()
	client.Feeds[1] = feed
	c := follow(t, transporttest.WebSocket, urls[1], "")
	whole := false // it was told that the window is whole
	take := func(m transporttest.Message) {
		whole = whole || m.More != nil
		if err := client.Receive([]byte(m.Raw)); err != nil {
			t.Error(err)
		}
	}
	c.say(fmt.Sprintf(`{"type":"subscribe","id":1,"router":"scores","order":"rank","limit":2,"cursor":%q,"bound":[1,1]}`, left.Cursor))
	take(c.want("resumed"))
	c.say(`{"type":"ping","id":9}`)
	for m := c.next(); m.Type != "pong"; m = c.next() {
		take(m)
	}
	close(gate)
	was, now := db.rows[1], db.rows[1]
	now.Name, now.Version = "last", 2
	db.mu.Lock()
	db.rows[1] = now
	db.mu.Unlock()
	if err := routers[1].Updated(t.Context(), was, now); err != nil {
		t.Fatal(err)
	}
	for !whole || string(feed.Rows["1"].Version) != "2" {
		take(c.next())
	}
	if rows := feed.Shown(); len(rows) != 2 || rows[1].Key != "2" {
		t.Errorf("the window shows %v, want the rows 1 and 2", rows)
	}
}
