package pusher

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// user is who is signed in on a connection.
type user struct {
	person
	watch []string
	leave func() // of the shard's goroutine; nil before the census knows
}

// maxWatchlist is how many users one may watch.
const maxWatchlist = 100

// signin takes who the user of a connection is.
func (c *connection) signin(f *clientFrame) {
	var d struct {
		Auth     string `json:"auth"`
		UserData string `json:"user_data"`
	}
	if err := f.object(&d); err != nil {
		c.Say(failure(0, "pusher:signin: want data with auth and user_data"))
		return
	}
	if !authorised(c.app, d.Auth, textOfUser(c.socket, d.UserData)) {
		message := "the signature is not that of the app for this connection and user"
		c.CloseWith(&transport.ClosedError{Status: codeUnauthorised, Code: "signin refused"}, failure(codeUnauthorised, message))
		return
	}
	u, tooLong, err := readUser(d.UserData)
	if err != nil {
		c.Say(failure(0, "pusher:signin: "+err.Error()))
		return
	}
	if !c.become(u) {
		c.Say(failure(codeUnauthorised, "pusher:signin: another user is signed in on this connection"))
		return
	}
	c.Say(sayJSON("pusher:signin_success", "", map[string]string{"user_data": d.UserData}))
	c.later(func() { c.enlist(u) })
	if tooLong {
		c.Say(failure(codeWatchlistTooLong, fmt.Sprintf("the watchlist is too long: the first %d are watched", maxWatchlist)))
	}
}

// readUser reads user_data; tooLong says that more are to be watched than may be.
func readUser(data string) (u *user, tooLong bool, err error) {
	var d struct {
		ID    json.RawMessage   `json:"id"`
		Info  json.RawMessage   `json:"user_info"`
		Watch []json.RawMessage `json:"watchlist"`
	}
	if wire.Deeper([]byte(data), maxDepth) || json.Unmarshal([]byte(data), &d) != nil {
		return nil, false, errors.New("the user_data is no JSON object with an id")
	}
	u = &user{}
	if u.person, err = readPerson(d.ID, d.Info); err != nil {
		return nil, false, err
	}
	if tooLong = len(d.Watch) > maxWatchlist; tooLong {
		d.Watch = d.Watch[:maxWatchlist]
	}
	for _, id := range d.Watch {
		if id, err := readID(id); err == nil {
			u.watch = append(u.watch, id)
		}
	}
	return u, tooLong, nil
}

// become signs a user in, unless another one is. The same one may do so again.
func (c *connection) become(u *user) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.user != nil {
		return c.user.id == u.id
	}
	c.user = u
	c.server.signedIn(c, u.id)
	return true
}

// enlist has a user counted, and told of those whom he watches, unless he was before, or has gone. It runs on the shard's goroutine.
func (c *connection) enlist(u *user) {
	c.mu.Lock()
	current := c.user == u
	c.mu.Unlock()
	if !current {
		return
	}
	var tell func(online, offline []string)
	watch := u.watch
	if c.app.Watchlist && len(watch) > 0 {
		tell = c.watched
	} else {
		watch = nil
	}
	u.leave = c.server.census.signedIn(c.app, u.id, watch, tell)
}

// watched tells the client which of those whom its user watches came and went.
func (c *connection) watched(online, offline []string) {
	type event struct {
		Name string   `json:"name"`
		IDs  []string `json:"user_ids"`
	}
	var events []event
	if len(online) > 0 {
		events = append(events, event{"online", online})
	}
	if len(offline) > 0 {
		events = append(events, event{"offline", offline})
	}
	if len(events) > 0 {
		c.Say(sayJSON("pusher_internal:watchlist_events", "", map[string]any{"events": events}))
	}
}
