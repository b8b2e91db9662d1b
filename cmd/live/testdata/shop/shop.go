// Package shop is an application of the tests.
package shop

import (
	"context"
	"fmt"

	"github.com/swampline/live"
)

// Todo is a model.
type Todo struct {
	ID    int64  `live:"id,key"`
	Title string `live:"title,write,filter"`
}

// LiveHub makes the hub.
func LiveHub() *live.Hub {
	fmt.Println("the shop prints as it starts")
	hub := live.New(live.Options{})
	hub.Register(&live.Router[Todo]{
		Name: "todos", Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]Todo, error) { return nil, nil },
	})
	return hub
}
