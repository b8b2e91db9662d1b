package natsbroker_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/natsbroker"
)

// What two processes of one application do: each has a broker on the same stream. Here the server runs in this process, where an
// application would name its own: nats.Connect("nats://nats.example:4222", nats.MaxReconnects(-1)).
func Example() {
	url, stop := embedded()
	defer stop()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		panic(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		panic(err)
	}

	// live.New(live.Options{Broker: natsbroker.New(js, natsbroker.Options{Replicas: 3})})
	one := natsbroker.New(js, natsbroker.Options{})
	two := natsbroker.New(js, natsbroker.Options{})

	ctx, cancel := context.WithCancel(context.Background())
	head, err := two.Head(ctx)
	if err != nil {
		panic(err)
	}
	for _, s := range []string{"hello", "goodbye"} {
		if _, err := one.Append(ctx, []byte(s)); err != nil {
			panic(err)
		}
	}
	err = two.Follow(ctx, head, func(batch []broker.Entry) error {
		for _, e := range batch {
			fmt.Printf("%d %s\n", e.Position.Major, e.Data)
			if e.Position.Major == 2 {
				cancel()
			}
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 1 hello
	// 2 goodbye
	// context canceled
}

// embedded starts a server in this process.
func embedded() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "nats")
	if err != nil {
		panic(err)
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		panic(err)
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		panic("no server")
	}
	return s.ClientURL(), func() {
		s.Shutdown()
		s.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
}
