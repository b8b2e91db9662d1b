package memory_test

import (
	"context"
	"fmt"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

func Example() {
	log := memory.New(memory.Options{MaxEntries: 1000})

	ctx, cancel := context.WithCancel(context.Background())
	log.Append(ctx, []byte("hello"))
	log.Append(ctx, []byte("goodbye"))

	err := log.Follow(ctx, broker.Position{}, func(batch []broker.Entry) error {
		for _, e := range batch {
			fmt.Printf("%d %s\n", e.Position.Major, e.Data)
		}
		cancel()
		return nil
	})
	fmt.Println(err)
	// Output:
	// 1 hello
	// 2 goodbye
	// context canceled
}

// Reset lets a test see what its application does when history is lost.
func ExampleBroker_Reset() {
	ctx := context.Background()
	log := memory.New(memory.Options{})
	last, _ := log.Append(ctx, []byte("hello"))

	log.Reset()
	err := log.Follow(ctx, last, func([]broker.Entry) error { return nil })
	fmt.Println(err != nil)
	// Output: true
}
