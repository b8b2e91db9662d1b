package redisbroker_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/redisbroker"
)

// Every process of the application makes its hub with a broker on the same log. The server need not be there when it starts.
func Example() {
	options, err := redis.ParseURL(cmp.Or(os.Getenv("REDIS_URL"), "redis://localhost:6379"))
	if err != nil {
		log.Fatal(err)
	}
	client := redis.NewClient(options) // or redis.NewFailoverClient, redis.NewClusterClient
	defer client.Close()

	shared, err := redisbroker.New(client, redisbroker.Options{Name: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	hub := live.New(live.Options{Broker: shared})
	hub.Register(&live.Channel{Name: "news"})
	// …mount the hub and serve, then:
	if err := hub.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("over")
	// Output: over
}
