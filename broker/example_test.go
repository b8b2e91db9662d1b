package broker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

// A reader remembers the position of the last entry that it was given, and follows again from there.
func Example() {
	ctx := context.Background()
	var log broker.Broker = memory.New(memory.Options{})

	last, _ := log.Head(ctx)
	for _, s := range []string{"one", "two", "three"} {
		log.Append(ctx, []byte(s))
	}

	// The reader's connection breaks while it handles the second entry.
	broken := errors.New("connection lost")
	err := log.Follow(ctx, last, func(batch []broker.Entry) error {
		for _, e := range batch {
			if string(e.Data) == "two" {
				return broken
			}
			fmt.Printf("%s\n", e.Data)
			last = e.Position
		}
		return nil
	})
	fmt.Println(err)

	// Nothing is lost and nothing comes twice.
	ctx, cancel := context.WithCancel(ctx)
	err = log.Follow(ctx, last, func(batch []broker.Entry) error {
		for _, e := range batch {
			fmt.Printf("%s\n", e.Data)
			if string(e.Data) == "three" {
				cancel()
			}
		}
		return nil
	})
	fmt.Println(err)

	// Output:
	// one
	// connection lost
	// two
	// three
	// context canceled
}

// What the log no longer holds is said, never passed over.
func ExampleErrExpired() {
	ctx := context.Background()
	log := memory.New(memory.Options{MaxEntries: 2})

	first, _ := log.Append(ctx, []byte("one"))
	for _, s := range []string{"two", "three", "four"} {
		log.Append(ctx, []byte(s))
	}
	err := log.Follow(ctx, first, func([]broker.Entry) error { return nil })
	fmt.Println(errors.Is(err, broker.ErrExpired))
	// Output: true
}

// A position goes to clients as a cursor. Within one epoch cursors order as strings.
func ExamplePosition_String() {
	before := broker.Position{Epoch: 12345, Major: 99}
	later := broker.Position{Epoch: 12345, Major: 100_000}
	fmt.Println(before, later, before.String() < later.String())
	fmt.Println(broker.Position{})
	// Output:
	// 9ix.22r 9ix.4255s true
	// 0
}

func ExampleParsePosition() {
	p, err := broker.ParsePosition("9ix.4255s")
	fmt.Println(p.Epoch, p.Major, p.Minor, err)
	_, err = broker.ParsePosition("yesterday")
	fmt.Println(err)
	// Output:
	// 12345 100000 0 <nil>
	// broker: not a cursor
}
