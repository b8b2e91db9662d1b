package pusher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/transport"
	"github.com/swampline/live/where"
)

// Offer has the rows of a router followed on private channels, by clients that cannot run this module's own. Who may is for the application to say, as
// of any private channel: it signs the subscription. They are told
//
//	created  {"key":"7","version":1,"fields":{…}}  of a row that is new, or has come to match
//	updated  {"key":"7","version":2,"fields":{…}}  the fields that changed
//	deleted  {"key":"7"}                           of a row that is gone, or does not match any more
//	resync   {}                                    when nobody knows what they have missed: they read the rows anew
//
// and of none that is there already: a client reads these where the page has them from, once it has subscribed.
type Offer struct {
	// Router is the name of a router that is registered with the hub and has a List. Fields that it publishes to everybody are told; its Scope is
	// not asked.
	Router string
	// Channel is the name of a private channel, or a prefix followed by "*": "private-todos-*".
	Channel string
	// Where says which rows the channel of a name has. It is called with the context of the connection's request, when a client subscribes. Its error
	// refuses: a *live.Error as it says, any other as internal. Nil: all rows.
	Where func(ctx context.Context, name string) (where.Where, error)
}

// check refuses an offer that cannot be kept.
func (o *Offer) check(has func(router string) bool) error {
	name, family := strings.CutSuffix(o.Channel, "*")
	k, ok := kindOf(name)
	switch {
	case !ok || !k.private || k.presence || k.encrypted || k.cache:
		return fmt.Errorf(`the offer of %s: the channel %q is not allowed: want a private one, such as "private-todos" or "private-todos-*"`, o.Router, o.Channel)
	case family && name == "private-":
		return fmt.Errorf(`the offer of %s: %q would be all private channels: put something before the "*", as in "private-todos-*"`, o.Router, o.Channel)
	case !has(o.Router):
		return fmt.Errorf("the offer of %q: no router has this name: register it before pusher.New", o.Router)
	}
	return nil
}

// offerOf returns the offer of a channel, nil when it is none's: an exact name before a prefix, a longer prefix before a shorter one.
func (s *Server) offerOf(name string, k kind) *Offer {
	if !k.private || k.presence || k.encrypted || k.cache {
		return nil
	}
	var best *Offer
	for i := range s.options.Routers {
		o := &s.options.Routers[i]
		prefix, family := strings.CutSuffix(o.Channel, "*")
		switch {
		case o.Channel == name:
			return o
		case family && strings.HasPrefix(name, prefix) && (best == nil || len(o.Channel) > len(best.Channel)):
			best = o
		}
	}
	return best
}

// follow follows the rows of an offer.
func (s *Server) follow(ctx context.Context, sub *subscription) (source session.Source, err error) {
	defer func() {
		if p := recover(); p != nil { // of the application's
			err = session.NewPanicError(p)
		}
	}()
	var w where.Where
	if sub.offer.Where != nil {
		if w, err = sub.offer.Where(ctx, sub.name); err != nil {
			return source, problemOf(err)
		}
	}
	return s.hub.Rows(ctx, sub.offer.Router, w)
}

// offered is what a delivery is to those who follow rows on a channel, made once for all of them.
func offered(channel string, d *livequery.Delivery) []*transport.Frame {
	return d.Made(channel, func() any {
		var items []struct {
			Op      string          `json:"op"`
			Key     string          `json:"key"`
			Version json.RawMessage `json:"version"`
			Fields  json.RawMessage `json:"fields,omitempty"`
		}
		data := slices.Concat([]byte("["), d.Frame(d.Query.ID).Items, []byte("]"))
		if err := json.Unmarshal(data, &items); err != nil {
			return []*transport.Frame(nil) // it is the hub's own
		}
		var frames []*transport.Frame
		for _, i := range items {
			event := "deleted"
			row := map[string]any{"key": i.Key}
			switch i.Op {
			case "create", "enter":
				event = "created"
			case "update":
				event = "updated"
			}
			if event != "deleted" {
				row["version"], row["fields"] = i.Version, i.Fields
			}
			frames = append(frames, sayJSON(event, channel, row))
		}
		return frames
	}).([]*transport.Frame)
}

func isNoApp(err error) bool { return errors.Is(err, ErrNoApp) }
