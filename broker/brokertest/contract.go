package brokertest

import (
	"bytes"
	"fmt"

	"github.com/swampline/live/broker"
)

// The contract, sentence by sentence, in the words of package broker; a test holds them to it.
const (
	away = "While the log cannot be reached, Append and Head fail, at the latest promptly after their context has ended."

	oneOrder = "entries have one total order that every reader sees"

	allOrExpired = "a reader that asks for what follows a position either gets all of it or is told [ErrExpired]"

	appendIncreases = "Append adds data to the end of the log and returns its position, " +
		"which is greater than every position that an earlier Append returned."

	appendFailed = "When Append fails the entry may or may not be in the log; the caller may append it again; " +
		"the broker by itself adds it once."

	appendCopies = "The broker does not keep a reference to data after Append has returned, unless it owns a copy."

	appendTooLarge = "Data larger than the broker's limit is refused with an error that wraps ErrTooLarge, " +
		"and whose text names both sizes."

	followInOrder = "Follow calls deliver with every entry after the position, in order and without a gap: " +
		"first those that the log holds, then new ones as they are appended, in batches of one or more."

	followCancelled = "ctx.Err() promptly when ctx ends"

	followDeliver = "deliver's error as soon as deliver returns one"

	followExpired = "an error that wraps ErrExpired when the log no longer holds what follows the position: " +
		"it was trimmed, the position is of another epoch, it lies beyond the end of the log, " +
		"or the log never gave it out, even if others lie on both sides of it"

	followAgain = "another error when the broker cannot be reached. " +
		"The caller then follows again from the last entry that it was given."

	zeroPosition = "The zero Position is before the first entry of the present epoch: " +
		"everything that is still held follows it, and it never expires."

	deliverOneAtATime = "Deliver is called from one goroutine at a time; while it runs nothing is lost."

	deliverKeeps = "It must not keep the slice, but may keep each Entry's Data."

	headNewest = "Head returns the position of the newest entry."

	headEmpty = "In a log that never held an entry it is the position before the first: " +
		"of the present epoch, with offset zero."
)

// broken says which sentence was broken, and how.
func broken(sentence, format string, args ...any) error {
	return fmt.Errorf("the contract says: %q\nbut %s", sentence, fmt.Sprintf(format, args...))
}

// compare says what is wrong with what a follower was given; nil when it is exactly what it should be.
func compare(sentence string, want, got []broker.Entry) error {
	for i, w := range want {
		if i == len(got) {
			return broken(sentence, "entry %d of %d, %s, and all after it did not come", i+1, len(want), show(w))
		}
		if g := got[i]; g.Position != w.Position || !bytes.Equal(g.Data, w.Data) {
			return broken(sentence, "entry %d of %d should be %s and is %s%s", i+1, len(want), show(w), show(g),
				explain(want, i, g))
		}
	}
	if len(got) > len(want) {
		g := got[len(want)]
		return broken(sentence, "after all %d entries came one more, %s%s", len(want), show(g), explain(want, len(want), g))
	}
	return nil
}

// explain says how a wrong entry in place of want[i] relates to the right ones.
func explain(want []broker.Entry, i int, got broker.Entry) string {
	for j, w := range want {
		if w.Position != got.Position {
			continue
		}
		switch {
		case j < i:
			return fmt.Sprintf(", which came already as entry %d", j+1)
		case j > i:
			return fmt.Sprintf(", which is entry %d: %d are missing or late", j+1, j-i)
		}
		return ": the right position with other data"
	}
	return ", which should not come at all"
}

// show prints an entry in one line, however large.
func show(e broker.Entry) string {
	if len(e.Data) > 40 {
		return fmt.Sprintf("%v %q… (%d bytes)", e.Position, e.Data[:40], len(e.Data))
	}
	return fmt.Sprintf("%v %q", e.Position, e.Data)
}
