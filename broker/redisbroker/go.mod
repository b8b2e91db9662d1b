module github.com/swampline/live/broker/redisbroker

go 1.26.0

replace github.com/swampline/live => ../..

require (
	github.com/redis/go-redis/v9 v9.23.0
	github.com/swampline/live v0.0.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/coder/websocket v1.8.15 // indirect
	github.com/google/uuid v1.6.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)
