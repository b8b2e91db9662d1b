package pusher

import (
	"context"
	"errors"
	"fmt"
	"regexp"
)

// App is one application of Pusher's: a set of channels with a key and a secret of its own.
type App struct {
	// ID names it in the URLs of the HTTP API, Key in those of clients. Secret signs. None may be empty.
	ID, Key, Secret string
	// Prefix stands before the names of its channels in the hub, and ends with a colon: with "shop:" the Pusher channel "orders" is the hub's channel
	// "shop:orders". Two apps may not have the same one. Empty: the names are the same.
	Prefix string
	// ClientEvents lets clients send events to private and presence channels.
	ClientEvents bool
	// SubscriptionCount tells the subscribers of a channel how many they are.
	SubscriptionCount bool
	// Watchlist tells users who are signed in which of those that they watch are online.
	Watchlist bool
	// Webhook is the URL that is told what happens; empty for none.
	Webhook string
	// Disabled refuses every connection and request.
	Disabled bool
	// TLSOnly refuses connections that did not come over TLS, with the code at which clients change to wss at once. What a proxy decrypted did not:
	// there let the proxy refuse.
	TLSOnly bool
	// MaxConnections bounds the connections on one node. Zero: no bound.
	MaxConnections int
}

// Lookup is what an app is asked for by: one of its fields is set.
type Lookup struct{ ID, Key string }

// ErrNoApp is what Options.Find returns for an app that does not exist.
var ErrNoApp = errors.New("pusher: no such app")

var appPrefix = regexp.MustCompile(`^([A-Za-z0-9_\-=@,.;:/]{1,100}:)?$`)

// check refuses an app that cannot be served, with a sentence that tells how to mend it.
func (a *App) check() error {
	switch {
	case a.ID == "" || a.Key == "" || a.Secret == "":
		return fmt.Errorf("app %q: it needs an ID, a Key and a Secret: set them", a.ID)
	case !appPrefix.MatchString(a.Prefix):
		return fmt.Errorf(`app %q: the Prefix %q is not allowed: let it be empty, or end with a colon, such as "shop:"`, a.ID, a.Prefix)
	case a.MaxConnections < 0:
		return fmt.Errorf("app %q: MaxConnections is %d: want a positive number, or zero for no bound", a.ID, a.MaxConnections)
	}
	if err := checkWebhook(a.Webhook); err != nil {
		return fmt.Errorf("app %q: %w", a.ID, err)
	}
	return nil
}

// checkApps refuses apps that cannot be told from each other.
func checkApps(apps []App) error {
	seen := map[string]string{}
	for i := range apps {
		a := &apps[i]
		if err := a.check(); err != nil {
			return err
		}
		for _, s := range []struct{ what, value string }{{"ID", a.ID}, {"Key", a.Key}, {"Prefix", a.Prefix}} {
			at := s.what + " " + s.value
			if other, twice := seen[at]; twice {
				return fmt.Errorf("app %q: app %q has the same %s %q: give each its own", a.ID, other, s.what, s.value)
			}
			seen[at] = a.ID
		}
	}
	return nil
}

// app returns the app that is asked for. The error is ErrNoApp, or one of the application's.
func (s *Server) app(ctx context.Context, by Lookup) (*App, error) {
	for i := range s.options.Apps {
		if a := &s.options.Apps[i]; by.ID != "" && a.ID == by.ID || by.Key != "" && a.Key == by.Key {
			return a, nil
		}
	}
	if s.options.Find == nil {
		return nil, ErrNoApp
	}
	a, err := s.options.Find(ctx, by)
	if err != nil {
		return nil, err
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("pusher: Options.Find: %w", err)
	}
	if by.ID != "" && a.ID != by.ID || by.Key != "" && a.Key != by.Key {
		return nil, fmt.Errorf("pusher: Options.Find returned app %q when asked for another one", a.ID)
	}
	return &a, nil
}
