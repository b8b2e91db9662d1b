package pusher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/swampline/live"
)

// Options say where to, and what. URL, AppID, Key and Secret must be set, and something in Routers or Channels; of all else zero is the default.
type Options struct {
	// URL is where the service is, without a path: "https://api-eu.pusher.com", or that of a server of one's own.
	URL string
	// AppID, Key and Secret are those of the application there. The secret signs requests; it is not sent or logged.
	AppID, Key, Secret string
	// Client makes the requests. Nil means http.DefaultClient.
	Client *http.Client

	// Routers are those whose rows are relayed: see [Rows].
	Routers []Source
	// Channels are the hub's channels whose messages are relayed.
	Channels []Messages

	// Name tells this relay from others of the same log, which relay independently of each other. All nodes have the same name for
	// the same relay. Letters, digits, "_" and "-". Empty means "pusher".
	Name string
	// Lease is how long a node that relayed and died keeps the others from taking over: one second at least. Default 15 s.
	Lease time.Duration
	// Load and Save keep the position up to which the log was relayed: a text of up to 60 characters, of the relay's Name. Save is called by the node that relays, after
	// each turn in which something was sent, and Load when it begins; "" says that there is none yet. Their error is logged; after Load's
	// nothing is relayed until it succeeds. Nil, both: the position goes on the log, which does where that outlives the processes. One
	// without the other is a mistake.
	Load func(ctx context.Context) (position string, err error)
	Save func(ctx context.Context, position string) error

	// Timeout bounds one request. Default 10 s.
	Timeout time.Duration
	// Parallel is how many requests are made at once. Those of one channel are made one after the other. Default 4, 64 at most.
	Parallel int
	// Patience is how long requests are repeated that the service refuses for whom they come from (401, 403, 404), before what they say is
	// skipped. Default one minute.
	Patience time.Duration
	// MaxDataBytes is how large the data of an event may be, in bytes. Of a larger row only the key is sent, with "truncated". Default 10,240, which is what
	// Pusher takes.
	MaxDataBytes int
	// Remember is of how many rows of each router the relay remembers where they were, for changes that do not say so. Default 10,000.
	Remember int

	// Logger gets what could not be relayed, and why. Nil means the hub's.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Name = cmp.Or(o.Name, "pusher")
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	for _, d := range []struct {
		at   *time.Duration
		zero time.Duration
	}{{&o.Lease, 15 * time.Second}, {&o.Timeout, 10 * time.Second}, {&o.Patience, time.Minute}} {
		*d.at = cmp.Or(max(*d.at, 0), d.zero)
	}
	o.Parallel = cmp.Or(max(o.Parallel, 0), 4)
	o.MaxDataBytes = cmp.Or(max(o.MaxDataBytes, 0), 10<<10)
	o.Remember = cmp.Or(max(o.Remember, 0), 10_000)
	return o
}

// check refuses what cannot work.
func (o Options) check() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("the URL %q is not that of a server: say something like https://api-eu.pusher.com", o.URL)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("the URL %q has more than a scheme and a host: leave the rest out, for requests go to /apps/ and signatures cover that path", o.URL)
	case !plainName(o.AppID) || o.Key == "" || o.Secret == "":
		return errors.New("AppID, Key or Secret is missing, or the AppID has other characters than letters, digits, \"_\" and \"-\": take them from the service's page on the application")
	case !plainName(o.Name):
		return fmt.Errorf("the Name %q is not allowed: use letters, digits, \"_\" and \"-\", at most 64", o.Name)
	case o.Lease < time.Second:
		return fmt.Errorf("the Lease is %v, which is too short for two machines to agree on: use a second or more", o.Lease)
	case (o.Load == nil) != (o.Save == nil):
		return errors.New("one of Load and Save is set: set both, or neither")
	case o.Parallel > 64:
		return fmt.Errorf("its Parallel is %d: a service takes no more than 64 requests at once from one machine", o.Parallel)
	case len(o.Routers) == 0 && len(o.Channels) == 0:
		return errors.New("there are neither Routers nor Channels: say what is to be relayed")
	}
	return nil
}

// prepare compiles what is to be relayed.
func (o Options) prepare(hub *live.Hub) (sources map[string][]*source, messages []*messages, err error) {
	sources = map[string][]*source{}
	for i, s := range o.Routers {
		if s == nil {
			return nil, nil, fmt.Errorf("the element %d of Routers is nil: remove it", i)
		}
		prepared, err := s.prepare(hub)
		if err != nil {
			return nil, nil, err
		}
		prepared.places = newPlaces(o.Remember)
		sources[prepared.router] = append(sources[prepared.router], prepared)
	}
	names := map[string]bool{}
	for _, m := range o.Channels {
		prepared, err := m.prepare()
		if err != nil {
			return nil, nil, err
		}
		if names[m.Name] {
			return nil, nil, fmt.Errorf("channel %s: it is in Channels twice: remove one", m.Name)
		}
		names[m.Name] = true
		messages = append(messages, prepared)
	}
	return sources, messages, nil
}
