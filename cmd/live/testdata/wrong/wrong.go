// Package wrong has funcs and methods that are not the one that is looked for.
package wrong

import (
	"net/http"

	"github.com/swampline/live"
)

// App is an application.
type App struct{}

// Hub is not live's.
type Hub struct{}

// LiveHub is a method.
func (App) LiveHub() *live.Hub { return live.New(live.Options{}) }

// Takes wants something.
func Takes(int) *live.Hub { return nil }

// Two returns two.
func Two() (*live.Hub, error) { return nil, nil }

// Value is no pointer.
func Value() http.Handler { return nil }

// Own is another Hub.
func Own() *Hub { return nil }

// Generic has a type parameter.
func Generic[T any]() *live.Hub { return nil }
