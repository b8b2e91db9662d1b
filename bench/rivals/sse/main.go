// Sse is an event stream of net/http alone as a server of the bench.
package main

import "github.com/swampline/live/bench/rivals/internal/rival"

func main() { rival.Main(newHub(), "sse", rival.Followed("/sse")) }
