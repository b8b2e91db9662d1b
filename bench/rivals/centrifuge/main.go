// Centrifuge is centrifugal/centrifuge as a server of the bench.
package main

import (
	"log"

	"github.com/swampline/live/bench/rivals/internal/rival"
)

func main() {
	h, err := newHub()
	if err != nil {
		log.Fatal(err)
	}
	rival.Main(h, "websocket", first)
}
