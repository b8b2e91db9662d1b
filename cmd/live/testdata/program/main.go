// Program cannot be imported.
package main

import "github.com/swampline/live"

// LiveHub makes the hub.
func LiveHub() *live.Hub { return live.New(live.Options{}) }

func main() {}
