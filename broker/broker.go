// Package broker defines the log that all hubs of one application share.
//
// A broker is an ordered, bounded history of opaque entries and nothing else: it knows no routers, no sessions and no
// clients. Everything that live promises rests on two sentences of this contract: entries have one total order that
// every reader sees, and a reader that asks for what follows a position either gets all of it or is told
// [ErrExpired]. The suite in package brokertest prints the sentence that an implementation breaks.
package broker

import (
	"context"
	"errors"
)

// Entry is one element of the log: what was appended, and where it stands.
type Entry struct {
	Position Position
	// Data is what was given to Append. It is shared between readers and must not be modified.
	Data []byte
}

// Broker stores the log. Its methods may be called from several goroutines at once. While the log cannot be reached, Append
// and Head fail, at the latest promptly after their context has ended.
type Broker interface {
	// Append adds data to the end of the log and returns its position, which is greater than every position
	// that an earlier Append returned. When Append fails the entry may or may not be in the log; the caller may
	// append it again; the broker by itself adds it once. The broker does not keep a reference to data after Append
	// has returned, unless it owns a copy. Data larger than the broker's limit is refused with an error that wraps
	// ErrTooLarge, and whose text names both sizes.
	Append(ctx context.Context, data []byte) (Position, error)

	// Follow calls deliver with every entry after the position, in order and without a gap: first those that
	// the log holds, then new ones as they are appended, in batches of one or more. It returns
	//
	//   - ctx.Err() promptly when ctx ends,
	//   - deliver's error as soon as deliver returns one,
	//   - an error that wraps ErrExpired when the log no longer holds what follows the position: it was trimmed,
	//     the position is of another epoch, it lies beyond the end of the log, or the log never gave it out, even
	//     if others lie on both sides of it,
	//   - another error when the broker cannot be reached. The caller then follows again from the last entry
	//     that it was given.
	//
	// The zero Position is before the first entry of the present epoch: everything that is still held follows it,
	// and it never expires. Deliver is called from one goroutine at a time; while it runs nothing is lost. It must not
	// keep the slice, but may keep each Entry's Data.
	Follow(ctx context.Context, after Position, deliver func([]Entry) error) error

	// Head returns the position of the newest entry. A log that has forgotten all its entries still knows it, and
	// it has not expired: nothing follows it that is gone. In a log that never held an entry it is the position
	// before the first: of the present epoch, with offset zero.
	Head(ctx context.Context) (Position, error)
}

// ErrExpired says that the log does not hold what follows a position. Whoever gets it starts again from a snapshot.
var ErrExpired = errors.New("broker: the log no longer holds what follows this position")

// ErrTooLarge says that an entry is larger than the broker takes.
var ErrTooLarge = errors.New("broker: entry too large")
