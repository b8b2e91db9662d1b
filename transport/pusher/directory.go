package pusher

import (
	"context"
	"time"
)

// directory is what the registry asks about the apps of a server.
func (s *Server) directory() directory {
	d := directory{hubChannel: hubChannel, pusherChannel: pusherChannel, app: func(ctx context.Context, id string) (*App, error) {
		return s.app(ctx, Lookup{ID: id})
	}}
	for i := range s.options.Apps {
		d.ids = append(d.ids, s.options.Apps[i].ID)
	}
	return d
}

// byID is what the HTTP API asks for an app.
func (s *Server) byID(ctx context.Context, id string) (app *App, ok bool, err error) {
	app, err = s.app(ctx, Lookup{ID: id})
	if isNoApp(err) {
		return nil, false, nil
	}
	return app, err == nil, err
}

// lastPosts is how long webhooks may take for what is left when the hub stops.
const lastPosts = 5 * time.Second

// endHooks posts what has happened until the hub stopped.
func (s *Server) endHooks(ctx context.Context, w *webhooks) {
	<-ctx.Done()
	s.census.tellHooks(ctx)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPosts)
	defer cancel()
	_ = w.shutdown(ending) // it has told the logger what is lost
}
