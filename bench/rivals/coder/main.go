// Coder is coder/websocket as a server of the bench, used naively.
package main

import "github.com/swampline/live/bench/rivals/internal/rival"

func main() { rival.Main(newHub(), "websocket", rival.Followed("/ws")) }
