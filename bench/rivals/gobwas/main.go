// Gobwas is gobwas/ws as a server of the bench.
package main

import "github.com/swampline/live/bench/rivals/internal/rival"

func main() { rival.Main(newHub(), "websocket", rival.Followed("/ws")) }
