// Package panics declares a router wrongly.
package panics

import framework "github.com/swampline/live"

type row struct {
	ID int64 `live:"id,key"`
}

// LiveHub panics.
func LiveHub() *framework.Hub {
	hub := framework.New(framework.Options{})
	hub.Register(&framework.Router[row]{Name: "rows"})
	return hub
}
