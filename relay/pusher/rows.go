package pusher

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/swampline/live"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
)

// Rows are the rows of a router, and the channels on which they are told of. A router may be in several, for example in two views for two audiences.
//
// On each channel a row is created, updated and deleted, by events of these names. The data of the first two are all of the row's
// fields that the view has, as live sends them; that of deleted is the key, under its field's name. A row that moves from one channel to
// another is deleted there and created here. The router's Scope is not asked: it needs a caller, and here is none. Who may subscribe is told
// all that goes to the channel; fields tagged scope never do.
type Rows[T any] struct {
	// Router must be registered with the hub before.
	Router *live.Router[T]
	// Channel is the channel of all rows, or a prefix with a "*" behind it, in whose place stands what Of returns. Empty means
	// "private-" and the router's name, with Of "-*" behind that.
	Channel string
	// Of names what stands for the "*" of the channels on which a row is told of. "" is left out, and where it names none the row is told of
	// nowhere. It is given the row as it was and as it is, each with those fields only that can be compared: key, version, filter and scope;
	// all others are zero. What is not in a channel's alphabet is escaped, as "=" and the byte in hexadecimal digits. It must depend on the
	// row alone.
	Of func(row T) []string
	// View is the serializer's view that is sent. Empty means all published fields.
	View string
	// Public permits a Channel to which anybody may subscribe, for it begins neither with "private-" nor with "presence-".
	Public bool
}

// Source is a [Rows] of any type.
type Source interface {
	prepare(hub *live.Hub) (*source, error)
}

// source is a Rows that was compiled.
type source struct {
	router  string
	schema  *livequery.Schema
	view    *livequery.View
	key     string // the name of the key's field
	keyJSON func(key string) json.RawMessage
	channel pattern
	of      func(fields record.Fields) ([]string, error)
	places  *places
}

func (r Rows[T]) prepare(hub *live.Hub) (*source, error) {
	if r.Router == nil {
		return nil, errors.New("an element of Routers has no Router: set it")
	}
	rows, err := r.Router.Tail(r.View)
	if err != nil {
		return nil, err
	}
	name := r.Router.Name
	if r.Router.Hub() != hub {
		return nil, fmt.Errorf("router %s: it is registered with another hub: make a relay for that", name)
	}
	text := r.Channel
	if text == "" {
		text = "private-" + name
		if r.Of != nil {
			text += "-*"
		}
	}
	s := &source{router: name, schema: rows.Schema, view: rows.View, key: rows.Key, keyJSON: rows.KeyJSON}
	if s.channel, err = parsePattern(text, r.Public); err != nil {
		return nil, fmt.Errorf("router %s: %w", name, err)
	}
	switch {
	case s.channel.family && r.Of == nil:
		return nil, fmt.Errorf("router %s: the channel %q has a \"*\" and nothing says what stands for it: set Of", name, text)
	case !s.channel.family && r.Of != nil:
		return nil, fmt.Errorf("router %s: the channel %q has no \"*\" for what Of returns: add one, or remove Of", name, text)
	}
	s.of = func(fields record.Fields) ([]string, error) {
		row, err := rows.Part(fields)
		if err != nil {
			return nil, err
		}
		return r.names(row)
	}
	return s, nil
}

// names asks the application where a row is told of.
func (r Rows[T]) names(row T) (names []string, err error) {
	if r.Of == nil {
		return []string{""}, nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = session.NewPanicError(p)
		}
	}()
	return slices.DeleteFunc(slices.Clone(r.Of(row)), func(s string) bool { return s == "" }), nil
}

// unreadableError says that nobody knows on which channels a row is.
type unreadableError struct{ error }

func (e unreadableError) Unwrap() error { return e.error }

// channels returns the channels of a row, each once.
func (s *source) channels(fields record.Fields) ([]string, error) {
	rests, err := s.of(fields)
	if err != nil {
		return nil, unreadableError{err}
	}
	var names []string
	for _, rest := range rests {
		name, e := s.channel.name(rest)
		if e != nil {
			err = e
		} else if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, err
}

// events are what a change of a row says, what goes first. With events there is an error when some channels cannot be told.
func (s *source) events(c *record.Change) (told []event, err error) {
	known := s.places.of(c.Key)
	before, now, err := s.where(c, known)
	next := place{key: c.Key, channels: now, version: c.Version, gone: c.Now == nil}
	late := c.Now != nil && known.late(c.Version, c.Op == record.Create)
	if c.Now == nil {
		if known != nil && known.version != nil && (c.Version == nil || *known.version > *c.Version) {
			next.version = known.version // who deletes may have loaded the row long before
		}
	} else if late {
		now, next = known.channels, *known
	}
	s.places.put(next)

	var created, updated, deleted []string
	for _, name := range before {
		if !slices.Contains(now, name) {
			deleted = append(deleted, name)
		}
	}
	if len(deleted) > 0 {
		told = append(told, event{name: "deleted", channels: deleted, data: s.keyOnly(c.Key, ""), about: s.router})
	}
	if c.Now == nil || late {
		return told, err
	}
	unsaid := c.Was == nil && known == nil && c.Op != record.Create
	for _, name := range now {
		if unsaid || slices.Contains(before, name) {
			updated = append(updated, name)
		} else {
			created = append(created, name)
		}
	}
	if s.silent(c) {
		updated = nil
	}
	if len(updated)+len(created) == 0 {
		return told, err
	}
	data, short := s.view.AppendFields(nil, s.schema.Values(c.Now), nil), s.keyOnly(c.Key, "truncated")
	for _, e := range []event{{name: "updated", channels: updated}, {name: "created", channels: created}} {
		if len(e.channels) > 0 {
			e.data, e.short, e.about = string(data), short, s.router
			told = append(told, e)
		}
	}
	return told, err
}

// where returns the channels of a row as it was, by what the change says and what is known, and as it is.
func (s *source) where(c *record.Change, known *place) (before, now []string, err error) {
	if c.Was != nil {
		before, err = s.channels(c.Was)
	} else if c.Op == record.Delete && known == nil && s.channel.family {
		return nil, nil, errors.New("nobody said what the deleted row was, and this relay has not told of it: it is on no channel that is known")
	} else if c.Op != record.Create && !s.channel.family {
		before = []string{s.channel.prefix}
	}
	if known != nil {
		for _, name := range known.channels {
			if !slices.Contains(before, name) {
				before = append(before, name)
			}
		}
	}
	if c.Now != nil {
		var e error
		now, e = s.channels(c.Now)
		err = errors.Join(err, e)
	}
	return before, now, err
}

// silent reports whether a change touches no field that the view shows.
func (s *source) silent(c *record.Change) bool {
	if c.Changed == nil || c.Op != record.Update {
		return false
	}
	for _, name := range c.Changed {
		if i, ok := s.schema.Index(name); !ok || s.view.Shows(i) {
			return false
		}
	}
	return true
}

// keyOnly is the object of a row's key, with a flag unless that is empty.
func (s *source) keyOnly(key, flag string) string {
	o := map[string]json.RawMessage{s.key: s.keyJSON(key)}
	if flag != "" {
		o[flag] = json.RawMessage("true")
	}
	data, err := json.Marshal(o)
	if err != nil { // a key that is no JSON cannot have got on the log
		return "{}"
	}
	return string(data)
}
