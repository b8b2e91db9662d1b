module github.com/swampline/live/bench

go 1.25.0

require (
	github.com/coder/websocket v1.8.15
	github.com/swampline/live v0.0.0
)

require github.com/google/uuid v1.6.0 // indirect

replace github.com/swampline/live => ../
