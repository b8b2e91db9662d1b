// Package hub is an application's internal package, under an internal directory.
package hub

import (
	"context"

	"github.com/swampline/live"
)

type secret struct {
	ID int64 `live:"id,key"`
}

// Routers has a name of its own.
func Routers() *live.Hub {
	hub := live.New(live.Options{})
	hub.Register(&live.Router[secret]{
		Name: "secrets", Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]secret, error) { return nil, nil },
	})
	return hub
}
