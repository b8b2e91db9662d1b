module github.com/swampline/live

go 1.25.0

require (
	github.com/coder/websocket v1.8.15
	github.com/google/uuid v1.6.0
)
