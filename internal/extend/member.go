package extend

import (
	"context"
	"encoding/json"
	"time"
)

// Member is somebody in a place, as this module's other packages keep him there themselves, and are told of him.
type Member struct {
	// ID is what presence draws; who has a member kept leaves it empty.
	ID     string
	Place  Place
	Person string
	// State is a JSON object.
	State json.RawMessage
	// Own says that this node speaks for the member. Of another one, Heard is when it said something last, zero when it was never heard here: whether it
	// lived on after that, nobody knows.
	Own   bool
	Heard time.Time
}

// Kept is a member that no client speaks for, but the node itself, for as long as it lives. Its methods may be called by any goroutine, and do not wait: what
// they say goes on the log with what else comes within a batch.
type Kept interface {
	// ID is the member's.
	ID() string
	// Set says what the member does now.
	Set(state json.RawMessage)
	// Leave takes the member out.
	Leave()
}

// Watcher is told of all members as the log tells of them, each in its turn, so that of two nodes that have followed the log to the same place both have been told
// the same, in the same order.
type Watcher interface {
	// Saw is called with what a member was and is: was is nil for one that came, now for one that went. It must not wait, nor call presence.
	Saw(was, now *Member)
	// Known is called when everybody has been told of that was there when the watcher, or the log, began; while the log begins anew Saw is not called
	// before, and then told the difference. Who was there, and has not been heard of again, is told as gone some time after. It is as Saw.
	Known()
	// Run works until ctx ends, which is when the hub has stopped.
	Run(ctx context.Context)
	// Leave is called when the hub is about to stop: what is kept is said before the others are told that this node goes, and what is on the log by then is
	// told to Saw before the hub stops.
	Leave()
}
