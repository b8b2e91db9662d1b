package pusher

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// person is a user as a presence channel shows him.
type person struct {
	id   string
	info json.RawMessage // nil for none
}

// maxUserInfo is how long the user_info of a member may be, in bytes.
const maxUserInfo = 1 << 10

// readPerson reads who somebody is: the id may be a number.
func readPerson(id, info json.RawMessage) (p person, err error) {
	if p.id, err = readID(id); err != nil {
		return p, err
	}
	if info = bytes.TrimSpace(info); len(info) > maxUserInfo {
		return p, errors.New("the user_info is too long: want 1024 bytes at most")
	}
	if len(info) > 0 && !bytes.Equal(info, []byte("null")) {
		var b bytes.Buffer
		if err := json.Compact(&b, info); err != nil {
			return p, err
		}
		p.info = b.Bytes()
	}
	return p, nil
}

// readID reads a user's id, which is a string or a number.
func readID(data json.RawMessage) (id string, err error) {
	if isString(data) {
		err = json.Unmarshal(data, &id)
	} else if n := json.Number(""); json.Unmarshal(data, &n) == nil {
		id = n.String()
	}
	if err != nil || id == "" || utf8.RuneCountInString(id) > longestUser {
		return "", errors.New("the user needs an id of 1 to 128 characters")
	}
	return id, nil
}

// personOf is who subscribes to a presence channel: whom the channel_data names, or without it the user who is signed in. The lock is held.
func (c *connection) personOf(channelData *string) (p person, err error) {
	if channelData == nil {
		if c.user == nil {
			return p, errors.New("want channel_data, or a user who is signed in")
		}
		return c.user.person, nil
	}
	var d struct {
		ID   json.RawMessage `json:"user_id"`
		Info json.RawMessage `json:"user_info"`
	}
	if wire.Deeper([]byte(*channelData), maxDepth) || json.Unmarshal([]byte(*channelData), &d) != nil {
		return p, errors.New("the channel_data is no JSON object with a user_id")
	}
	return readPerson(d.ID, d.Info)
}

// roster is who is on a presence channel, as one connection was told. The connection's lock guards it.
type roster struct {
	self          person
	member, token string            // the connection's own
	here          bool              // the own member has come by on the log
	rows          map[string]person // by member: a person may have several
	order         []string          // the ids of those who are told, in the order in which they were
	shown         map[string]person
}

func newRoster(self person) *roster {
	r := &roster{self: self, member: uuid.NewString(), token: rand.Text()}
	r.rows = map[string]person{r.member: self}
	r.shown = map[string]person{}
	r.diff()
	return r
}

// presence is what the session asks for: to be there.
func (r *roster) presence() *wire.Presence { return &wire.Presence{Member: r.member, Token: r.token} }

// row is a member as presence tells it.
type row struct {
	Op     string `json:"op"`
	Key    string `json:"key"`
	Fields struct {
		Person *string         `json:"person"`
		Name   string          `json:"name"`
		Info   json.RawMessage `json:"info"`
	} `json:"fields"`
}

// person is who the member is to Pusher's clients. Of one that came by another way the name is all that there may be to say.
func (r *row) person() person {
	p := person{id: *r.Fields.Person, info: r.Fields.Info}
	if bytes.Equal(p.info, []byte("null")) {
		p.info = nil
	}
	if p.info == nil && r.Fields.Name != "" {
		p.info = append(wire.AppendString([]byte(`{"name":`), r.Fields.Name), '}')
	}
	return p
}

// put takes a row that is there.
func (r *roster) put(m *row) {
	r.here = r.here || m.Key == r.member
	if m.Fields.Person != nil && m.Key != r.member { // an update tells what changed alone
		r.rows[m.Key] = m.person()
	}
}

// replace takes all who are there, and returns what the client is told of it.
func (r *roster) replace(s *subscription, rows []json.RawMessage) []*transport.Frame {
	r.rows = map[string]person{r.member: r.self}
	for _, data := range rows {
		var m row
		if json.Unmarshal(data, &m) == nil {
			r.put(&m)
		}
	}
	return r.frames(s)
}

// apply takes who came and went, and returns what the client is told of it.
func (r *roster) apply(s *subscription, d *livequery.Delivery) []*transport.Frame {
	for _, m := range rowsOf(d) {
		switch m.Op {
		case "leave", "delete":
			if m.Key != r.member {
				delete(r.rows, m.Key)
			}
		default:
			r.put(&m)
		}
	}
	return r.frames(s)
}

// rowsOf returns the rows of a delivery, read once for all who are told of it.
func rowsOf(d *livequery.Delivery) []row {
	return d.Made("pusher rows", func() any {
		var rows []row
		if json.Unmarshal(slices.Concat([]byte("["), d.Frame(d.Query.ID).Items, []byte("]")), &rows) != nil {
			return []row(nil)
		}
		return rows
	}).([]row)
}

// frames tells the client who came and who went, persons and not members. Before the subscription has succeeded there is nothing to tell: that
// tells all.
func (r *roster) frames(s *subscription) (frames []*transport.Frame) {
	removed, added := r.diff()
	if !s.told {
		return nil
	}
	for _, id := range removed {
		frames = append(frames, sayJSON("pusher_internal:member_removed", s.name, struct {
			ID string `json:"user_id"`
		}{id}))
	}
	for _, id := range added {
		frames = append(frames, sayJSON("pusher_internal:member_added", s.name, struct {
			ID   string          `json:"user_id"`
			Info json.RawMessage `json:"user_info,omitempty"`
		}{id, r.shown[id].info}))
	}
	return frames
}

// diff makes those who are shown those who are there, and returns the difference.
func (r *roster) diff() (removed, added []string) {
	there := make(map[string]person, len(r.shown))
	for _, p := range r.rows {
		there[p.id] = p
	}
	r.order = slices.DeleteFunc(r.order, func(id string) bool {
		if _, is := there[id]; !is {
			removed = append(removed, id)
			delete(r.shown, id)
			return true
		}
		return false
	})
	for id, p := range there {
		if _, is := r.shown[id]; !is {
			added = append(added, id)
			r.shown[id] = p
		}
	}
	slices.Sort(added)
	r.order = append(r.order, added...)
	return removed, added
}

// JSON is what a subscription is told of those who are there.
func (r *roster) JSON() string {
	b := []byte(`{"presence":{"ids":[`)
	for i, id := range r.order {
		if i > 0 {
			b = append(b, ',')
		}
		b = wire.AppendString(b, id)
	}
	b = append(b, `],"hash":{`...)
	for i, id := range r.order {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(wire.AppendString(b, id), ':')
		if info := r.shown[id].info; info != nil {
			b = append(b, info...)
		} else {
			b = append(b, "{}"...)
		}
	}
	b = strconv.AppendInt(append(b, `},"count":`...), int64(len(r.order)), 10)
	return string(append(b, "}}"...))
}

// attend follows who is on a channel, and makes the connection's user one of them.
func (c *connection) attend(ctx context.Context, m wire.Message, s *subscription) (session.Source, error) {
	if o := m.Origin; o.Person == nil {
		who, most := s.members.self, c.server.options.MaxMembers
		if all := c.server.members(c.app, s.name); len(all) >= most && !slices.Contains(all, who.id) {
			return session.Source{}, wire.NewProblem(http.StatusTooManyRequests, "too_many_members", fmt.Sprintf("the channel has %d users, as many as it may", most))
		}
		o.Person = &wire.Person{ID: who.id, Name: nameOf(who.info), Info: who.info}
		o.Lingers = c.lingers
	}
	return c.server.hub.Attend(ctx, m, extend.Place{Channel: hubChannel(c.app, s.name)})
}

// lingers reports whether the connection's members are to stay for a while when it is lost: where that is for the server's sake.
func (c *connection) lingers() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaving
}

// nameOf is what a person is called by those who know his user_info.
func nameOf(info json.RawMessage) string {
	var named struct {
		Name any `json:"name"`
	}
	if json.Unmarshal(info, &named) != nil {
		return ""
	}
	name, _ := named.Name.(string)
	return name
}
